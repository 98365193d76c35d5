"""Fill holes from their rims, with nothing learnt: what a network that fills holes starts from, and has to beat."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.layers import describe
from course_utils.restoration import check_pictures

SWEEPS = 12
"""Jacobi sweeps on each grid; the coarser grids have done the rest."""


def fill_smoothly(pictures: Tensor, masks: Tensor) -> Tensor:
    """Replace what is masked by the smoothest continuation of its rim; the rest stays as it is.

    The fill solves Laplace's equation, so that each pixel is the mean of its four neighbours: first on a grid of half
    the size, and so on down, then from the coarsest to the finest by Jacobi's sweeps (a multigrid cascade).

    Args:
        pictures: ``(N, 3, H, W)`` floats, white 1.
        masks: ``(N, 1, H, W)`` bool, True in the holes; what `pictures` hold there is not looked at.

    Raises:
        ValueError: if they are no pictures, masks of another shape or type, or a picture is nothing but hole.
    """
    check_pictures(pictures)
    if not isinstance(masks, Tensor) or masks.dtype != torch.bool or masks.shape != pictures[:, :1].shape:
        raise ValueError(f"masks are {describe(masks)}, not bool {tuple(pictures[:, :1].shape)}.")
    if masks.flatten(1).all(1).any():
        raise ValueError("a picture is one hole: there is nothing to fill it from.")
    known = (~masks).to(pictures.dtype)
    return torch.where(masks, _fill(pictures * known, known), pictures)


def _fill(values: Tensor, known: Tensor) -> Tensor:
    """`values` are 0 where `known` is 0, and means over the known part of each pixel elsewhere."""
    open_places = known == 0
    if not open_places.any():
        return values
    weight = _halve(known)
    coarse = _fill(_halve(values * known) / weight.clamp(min=1e-12), (weight > 0).to(known.dtype))
    filled = torch.where(open_places, F.interpolate(coarse, values.shape[-2:], mode="bilinear"), values)
    for _ in range(SWEEPS):
        rim = F.pad(filled, (1, 1, 1, 1), mode="replicate")
        mean = (rim[..., 1:-1, :-2] + rim[..., 1:-1, 2:] + rim[..., :-2, 1:-1] + rim[..., 2:, 1:-1]) / 4
        filled = torch.where(open_places, mean, filled)
    return filled


def _halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
