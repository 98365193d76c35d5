"""Fill holes from their borders, smoothly: what can be said about a hole without knowing what pictures show."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.tensor_checks import describe, is_batch_of_floats

SMOOTHINGS = 8
"""Passes of the mean of four neighbours on each grid of the pyramid."""


def fill_smoothly(pictures: Tensor, holes: Tensor) -> Tensor:
    """Continue each picture ``(N, C, H, W)`` into its holes ``(N, 1, H, W)``, bool; elsewhere it stays as it is.

    Pull and push (Gortler and others 1996, *The lumigraph*): grids of half the size, each pixel the mean of the known
    ones below it, until no hole is left; then back, each hole enlarged from the coarser grid and smoothed towards the
    mean of its four neighbours, the solution of Laplace's equation. A picture that is all hole becomes grey, 0.5.

    Raises:
        ValueError: if `pictures` are no floats ``(N, C, H, W)``, finite outside of the holes, or `holes` no bool of the
            same size on the same device.
    """
    _check(pictures, holes)
    if not pictures.numel():
        return pictures.clone()
    whole = pictures.to(torch.promote_types(pictures.dtype, torch.float32))
    grids = [(torch.where(holes, 0, whole), (~holes).to(whole.dtype))]
    while max(grids[-1][0].shape[-2:]) > 1 and not bool((grids[-1][1] > 0).all()):
        total, weight = grids[-1]
        grids.append((F.avg_pool2d(total, 2, ceil_mode=True), F.avg_pool2d(weight, 2, ceil_mode=True)))
    total, weight = grids[-1]
    filled = torch.where(weight > 0, _ratio(total, weight), 0.5)
    for total, weight in reversed(grids[:-1]):
        inside = weight == 0
        guess = F.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
        filled = torch.where(inside, guess[..., : total.shape[-2], : total.shape[-1]], _ratio(total, weight))
        for _ in range(SMOOTHINGS):
            filled = torch.where(inside, _mean_of_four(filled), filled)
    return torch.where(holes, filled.to(pictures.dtype), pictures)


def _check(pictures: Tensor, holes: Tensor) -> None:
    if not is_batch_of_floats(pictures):
        raise ValueError(f"pictures are {describe(pictures)}, not floats (N, C, H, W).")
    size = (len(pictures), 1, *pictures.shape[2:])
    if not isinstance(holes, Tensor) or holes.dtype != torch.bool or holes.shape != size:
        raise ValueError(f"holes are {describe(holes)}, not bool of shape {size}.")
    if holes.device != pictures.device:
        raise ValueError(f"holes are on {holes.device} and pictures on {pictures.device}; put them on one device.")
    if not (pictures.isfinite() | holes).all():
        raise ValueError("the pictures hold nan or inf outside of the holes.")


def _ratio(total: Tensor, weight: Tensor) -> Tensor:
    return total / torch.where(weight > 0, weight, 1)


def _mean_of_four(x: Tensor) -> Tensor:
    padded = F.pad(x, [1, 1, 1, 1], mode="replicate")
    rows, columns = padded[..., 1:-1, :], padded[..., 1:-1]
    return (rows[..., :-2] + rows[..., 2:] + columns[..., :-2, :] + columns[..., 2:, :]) / 4
