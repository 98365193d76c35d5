"""What a training run is asked to be: refused where it cannot be meant, else kept, to be compared with a checkpoint."""

from collections.abc import Iterable
from operator import index
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks import check_whole, is_number, is_whole
from course_utils.distributed import world_size
from course_utils.optimisation import ParameterGroups


def checked_settings(
    model: nn.Module,
    groups: ParameterGroups,
    batches_per_epoch: int,
    *,
    epochs: int,
    weight_decay: float,
    pct_start: float,
    grad_clip: float | None,
    ema: float | None,
    amp: torch.dtype | None,
    channels_last: bool,
    compile: bool,
    seed: int,
    recipe: str,
) -> dict[str, Any]:
    """The settings of `course_utils.training.fit` as plain values: a run with others is another run.

    Raises:
        ValueError: for one out of range.
    """
    check_whole(epochs=epochs)
    if not is_number(weight_decay) or not 0 <= weight_decay < float("inf"):
        raise ValueError(f"weight_decay={weight_decay!r} is not a number of at least 0.")
    if not is_number(pct_start) or not 0 <= pct_start < 1:
        raise ValueError(f"pct_start={pct_start!r} is not a share of the steps from 0 up to, but not including, 1.")
    if grad_clip is not None and not (is_number(grad_clip) and grad_clip > 0):
        raise ValueError(f"grad_clip={grad_clip!r} is not positive; None switches clipping off.")
    if ema is not None and not (is_number(ema) and 0 <= ema < 1):
        raise ValueError(f"ema={ema!r} is not a share from 0 up to, but not including, 1; None switches averaging off.")
    if amp not in (None, torch.bfloat16, torch.float16):
        raise ValueError(f"amp={amp!r} is not None, torch.bfloat16 or torch.float16.")
    device = next(parameters[0].device for parameters, _ in groups if parameters)
    if amp is torch.float16 and device.type != "cuda":
        raise ValueError(f"amp=torch.float16 needs CUDA, and the model is on {device}; take torch.bfloat16.")
    if compile and world_size() > 1:
        raise ValueError(f"compile=True is for one process, and there are {world_size()}; leave it out.")
    if not is_whole(seed) or not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed={seed!r} is not a whole number of 64 bits.")
    if not isinstance(recipe, str):
        raise ValueError(f"recipe={recipe!r} is not text.")
    return {
        "epochs": index(epochs),
        "batches per epoch": batches_per_epoch,
        "lr": [rate for _, rate in groups],
        "weight_decay": float(weight_decay),
        "pct_start": float(pct_start),
        "grad_clip": None if grad_clip is None else float(grad_clip),
        "ema": None if ema is None else float(ema),
        "amp": str(amp),
        "channels_last": bool(channels_last),
        "compile": bool(compile),
        "seed": index(seed),
        "recipe": str(recipe),
        "number of parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable parameters": [name for name, parameter in model.named_parameters() if parameter.requires_grad],
    }


def check_functions(loss_fn: object, evaluate: object) -> None:
    """Raise a `ValueError` for a loss that cannot be called with scores and classes, or scoring that is no function."""
    if isinstance(loss_fn, type):
        raise ValueError(f"loss_fn={loss_fn.__name__} is a class; give one of it, {loss_fn.__name__}().")
    if not callable(loss_fn) or not (evaluate is None or callable(evaluate)):
        raise ValueError(f"loss_fn={loss_fn!r} and evaluate={evaluate!r} must be functions; evaluate may be None.")


def check_steps(batches: Iterable[tuple[Tensor, Tensor]], checkpoint_every: int | None) -> None:
    """Raise a `ValueError` for batches that no schedule or not every process can use, or a span that is no number."""
    if checkpoint_every is not None:
        check_whole(checkpoint_every=checkpoint_every)
    try:
        length = len(batches)
    except TypeError as error:
        raise ValueError(
            "batches has no length, which the schedule needs; pass a list, Batches or a DataLoader."
        ) from error
    if length == 0:
        raise ValueError("batches is empty; check the split, the batch size and drop_last.")
    batch_size = getattr(batches, "batch_size", None)
    if batch_size is not None and batch_size < world_size():
        raise ValueError(
            f"batch_size={batch_size} has less than one picture for each of {world_size()} processes; raise it, or "
            "start fewer processes."
        )
