"""AdamW in one pass over weights in any memory format."""

from typing import Any

import torch
from torch import Tensor


class FusedAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` with ``fused=True``, made quicker and safer for weights in channels_last on a CPU.

    There PyTorch's fused step (still in 2.15) copies each gradient that is not contiguous, and then does not use the
    copy. And it walks weight, gradient and moments side by side in memory, which is silently wrong where their formats
    differ. Here it sees each such weight in the order in which it lies in memory; a gradient or a moment in another
    format is first copied into the weight's.
    """

    def __init__(self, params: Any, lr: float | Tensor = 1e-3, **options: Any) -> None:
        super().__init__(params, lr, fused=True, **options)

    def _init_group(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *others: list[Tensor]):
        """Fill the lists with what PyTorch's step works on: weights, gradients, moments and counts of steps."""
        for parameter in group["params"]:
            moments = self.state.get(parameter, {})
            moments.update({name: _in_format_of(parameter, x) for name, x in moments.items() if name != "step"})
        has_complex = super()._init_group(group, params, grads, *others)
        for place, parameter in enumerate(params):
            grads[place] = _in_format_of(parameter, grads[place])
            if parameter.device.type == "cpu" and _is_channels_last(parameter):
                for tensors in (params, grads, *others):
                    if tensors and tensors[place].ndim == 4:
                        tensors[place] = tensors[place].detach().permute(0, 2, 3, 1)
        return has_complex


def _in_format_of(parameter: Tensor, x: Tensor) -> Tensor:
    return x if x.stride() == parameter.stride() else torch.empty_like(parameter).copy_(x)


def _is_channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
