"""Test-time augmentation: look at a picture several ways, and average what the network says."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AveragedViews(nn.Module):
    """A trained network asked about several views of each picture: ``(N, 3, H, W)`` to log class probabilities.

    The class probabilities of all views are averaged, at the size of the picture. It takes as many times longer as
    there are views.

    Args:
        flip: look at the mirror image too.
        scales: sizes to look at, as shares of the picture's own.

    Raises:
        ValueError: if a scale is not positive, or there is none.
    """

    def __init__(self, model: nn.Module, flip: bool = True, scales: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        if not scales or not all(0 < scale < float("inf") for scale in scales):
            raise ValueError(f"scales={tuple(scales)} are not positive shares of the picture's size; (1.0,) is one.")
        self.model, self.flip, self.scales = model, flip, tuple(scales)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self._probabilities(x, scale) for scale in self.scales]).mean(0).log()

    def _probabilities(self, x: Tensor, scale: float) -> Tensor:
        size = x.shape[-2:]
        seen = x
        if scale != 1:
            new_size = [max(32, round(side * scale)) for side in size]
            seen = F.interpolate(x, new_size, mode="bilinear", antialias=True)
        found = self.model(seen).float().softmax(1)
        if self.flip:
            found = (found + self.model(seen.flip(-1)).float().softmax(1).flip(-1)) / 2
        return F.interpolate(found, size, mode="bilinear") if scale != 1 else found
