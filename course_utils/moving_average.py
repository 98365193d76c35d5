"""A moving average of weights that a GPU keeps without waiting for the processor."""

import copy

import torch
from torch import Tensor, nn


class MovingAverage(nn.Module):
    """Exponential moving average of the parameters and buffers of a network; ``module`` is the averaged network.

    `torch.optim.swa_utils.AveragedModel` asks a GPU in every step to finish its work, and averages each whole number,
    such as batch norm's count of batches, by itself, rounded down. This one waits for nothing and copies those.

    Args:
        decay: share that each update keeps of the average; the first update copies the network.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)
        self.decay = decay
        self.register_buffer("n_averaged", torch.tensor(0, device="cpu"))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards `model`. Its tensors are looked up anew: a layer may have replaced some."""
        first = self.n_averaged == 0
        averaged, copied = [], []
        for pair in zip(_tensors(self.module), _tensors(model), strict=True):
            (copied if first or not _has_fractions(pair[0]) else averaged).append(pair)
        if averaged:
            torch._foreach_lerp_(*zip(*averaged, strict=True), 1 - self.decay)
        if copied:
            torch._foreach_copy_(*zip(*copied, strict=True))
        self.n_averaged += 1


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _has_fractions(x: Tensor) -> bool:
    return x.is_floating_point() or x.is_complex()
