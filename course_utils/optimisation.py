"""The optimiser and the schedule of a training run: AdamW, a learning rate for each parameter group, one cycle."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from course_utils.checks import is_number
from course_utils.fused_adamw import FusedAdamW

ParameterGroups = list[tuple[list[nn.Parameter], float]]


def trainable_groups(model: nn.Module, lr: float | Iterable[float]) -> ParameterGroups:
    """Trainable parameters of `model`, with the highest learning rate for each group of them.

    Args:
        lr: one rate for everything, or one for each list in ``model.parameter_groups()``.

    Raises:
        ValueError: if nothing is trainable, a rate is not positive, or rates and groups do not match.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError("the model has no parameter to train; call unfreeze(model), or freeze less of it.")
    if isinstance(lr, Tensor | np.ndarray):
        lr = lr.tolist()
    elif isinstance(lr, Iterable) and not isinstance(lr, str | bytes):
        lr = list(lr)
    groups, rates = [trainable], [lr]
    if not is_number(lr):
        if not isinstance(lr, list) or not all(map(is_number, lr)):
            raise ValueError(f"lr={lr!r} is neither a number nor a list of them.")
        rates = lr
        if not hasattr(model, "parameter_groups"):
            raise ValueError(f"{type(model).__name__} has no parameter_groups() for lr={rates}; pass one number.")
        groups = model.parameter_groups()
    if len(groups) != len(rates):
        raise ValueError(f"lr={rates} gives {len(rates)} rates for {len(groups)} parameter groups; give one for each.")
    if not all(rate > 0 and math.isfinite(rate) for rate in rates):
        raise ValueError(f"lr={lr} is not positive; a learning rate such as 1e-3 is.")
    known = {id(parameter) for group in groups for parameter in group}
    if not all(id(parameter) in known for parameter in trainable):
        raise ValueError(f"parameter_groups() of {type(model).__name__} leaves out trainable parameters; freeze these.")
    return [([p for p in group if p.requires_grad], float(rate)) for group, rate in zip(groups, rates, strict=True)]


def adamw(groups: ParameterGroups, weight_decay: float) -> torch.optim.AdamW:
    """AdamW whose weight decay spares biases, norms and all else of fewer than two dimensions, as the field does.

    The second beta is 0.99, a memory of a hundred steps, since the course's runs are short.
    """
    options = []
    for parameters, rate in groups:
        decayed = [parameter for parameter in parameters if parameter.ndim > 1]
        spared = [parameter for parameter in parameters if parameter.ndim <= 1]
        options.append({"params": decayed, "lr": rate, "weight_decay": weight_decay})
        options.append({"params": spared, "lr": rate, "weight_decay": 0.0})
    options = [option for option in options if option["params"]]
    if options[0]["params"][0].device.type in ("cpu", "cuda"):
        return FusedAdamW(options, betas=(0.95, 0.99))
    return torch.optim.AdamW(options, betas=(0.95, 0.99))


def one_cycle(optimizer: torch.optim.Optimizer, total_steps: int, pct_start: float) -> OneCycleLR:
    """Up to the optimiser's learning rates in `pct_start` of the steps, then down; Adam's first beta the other way.

    A single step has the full rate: of a cycle it would be the end, which trains nothing.
    """
    if pct_start * total_steps == 1:
        # torch divides by the length of the rise less one step, which would be zero.
        pct_start *= 1 + 1e-9
    rates = [group["lr"] for group in optimizer.param_groups]
    ends = {"div_factor": 1.0, "final_div_factor": 1.0} if total_steps == 1 else {}
    return OneCycleLR(optimizer, rates, total_steps=total_steps, pct_start=float(pct_start), **ends)
