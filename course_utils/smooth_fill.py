"""Fill holes from their borders, smoothly: what can be said about a hole without knowing what pictures show."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import describe, is_batch_of_floats

SMOOTHINGS = 8
"""Passes of the mean of four neighbours on each grid of the pyramid."""


def fill_smoothly(pictures: Tensor, holes: Tensor, empty: float = 0.5) -> Tensor:
    """Continue each picture ``(N, C, H, W)`` into its holes ``(N, 1, H, W)``, bool; elsewhere it stays as it is.

    Pull and push (Gortler and others 1996, *The lumigraph*): grids of half the size, each pixel the mean of the known
    ones below it, until no hole is left; then back, each hole enlarged from the coarser grid and smoothed towards the
    mean of its four neighbours, the solution of Laplace's equation. A picture that is all hole becomes `empty`.

    Raises:
        ValueError: if `pictures` are no floats ``(N, C, H, W)``, or `holes` no bool of the same size.
    """
    if not is_batch_of_floats(pictures):
        raise ValueError(f"pictures are {describe(pictures)}, not floats (N, C, H, W).")
    size = (len(pictures), 1, *pictures.shape[2:])
    if not isinstance(holes, Tensor) or holes.dtype != torch.bool or holes.shape != size:
        raise ValueError(f"holes are {describe(holes)}, not bool of shape {size}.")
    known = (~holes).to(pictures.dtype)
    grids = [(torch.where(holes, 0, pictures), known)]
    while max(grids[-1][0].shape[-2:]) > 1 and not bool((grids[-1][1] > 0).all()):
        total, weight = (_quarter(x) for x in grids[-1])
        grids.append((total, weight))
    total, weight = grids[-1]
    filled = torch.where(weight > 0, total / weight.clamp_min(1e-6), empty)
    for total, weight in reversed(grids[:-1]):
        inside = weight == 0
        guess = F.interpolate(filled, total.shape[-2:], mode="bilinear", align_corners=False)
        filled = torch.where(inside, guess, total / weight.clamp_min(1e-6))
        for _ in range(SMOOTHINGS):
            filled = torch.where(inside, _mean_of_four(filled), filled)
    return torch.where(holes, filled, pictures)


def _quarter(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True)


def _mean_of_four(x: Tensor) -> Tensor:
    padded = F.pad(x, [1, 1, 1, 1], mode="replicate")
    rows, columns = padded[..., 1:-1, :], padded[..., 1:-1]
    return (rows[..., :-2] + rows[..., 2:] + columns[..., :-2, :] + columns[..., 2:, :]) / 4
