"""A moving average of weights that a GPU keeps without ever waiting for the processor."""

import copy

import torch
from torch import nn


class MovingAverage(nn.Module):
    """Exponential moving average of the parameters and buffers of a network; ``module`` is the averaged network.

    `torch.optim.swa_utils.AveragedModel` asks a GPU in every step to finish its work, goes through all modules again,
    and averages each whole number, such as batch norm's count of batches, by itself. This one does none of it.

    Args:
        model: the network to follow. Its tensors must stay the same ones: change them in place, as optimisers do.
        decay: share that each update keeps of the average; the first update copies `model`.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)
        self.decay = decay
        self.register_buffer("n_averaged", torch.tensor(0, device="cpu"))
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        self._floats = tuple(zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True))
        self._whole = tuple(zip(*(pair for pair in pairs if not pair[0].is_floating_point()), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Take one step towards the network; whole numbers are copied."""
        if self._floats:
            torch._foreach_lerp_(*self._floats, 1 - self.decay if self.n_averaged else 1.0)
        if self._whole:
            torch._foreach_copy_(*self._whole)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
