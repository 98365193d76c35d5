"""Enlarge a picture by a whole factor with schemes that learn nothing, and measure what each of them makes of it."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import check_whole
from course_utils.conv_arithmetic import zero_insert
from course_utils.metrics import psnr
from course_utils.upsampling import checkerboard_energy

Scheme = Callable[[Tensor, int], Tensor]
"""Takes a picture ``(C, H, W)`` of floats and a factor, gives ``(C, factor·H, factor·W)``."""

REPEATS = 5
RANDOM_KERNEL_SEED = 0


def bilinear_kernel(factor: int) -> Tensor:
    """Kernel with which a transposed convolution of stride `factor` is bilinear interpolation, ``(K, K)``.

    A pyramid with ``K = 2·factor - factor % 2``; its weights add up to ``factor²`` (Long et al. 2015).
    """
    check_whole(factor=factor)
    side = 2 * factor - factor % 2
    distance = (torch.arange(side) - (side - 1) / 2).abs() / factor
    return torch.outer(1 - distance, 1 - distance)


def enlarge_by_kernel(x: Tensor, kernel: Tensor, factor: int) -> Tensor:
    """Transposed convolution of each channel with the same `kernel`: ``(C, H, W)`` to ``(C, factor·H, factor·W)``.

    The border pixels are repeated outwards first, so that the border gets as many products as the inside.

    Raises:
        ValueError: if `x` is no picture of floats, or the kernel is not square and at least as large as the factor.
    """
    _check_picture(x, factor)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or len(kernel) < factor:
        raise ValueError(f"a kernel of shape {tuple(kernel.shape)} is not (K, K) with K of at least factor={factor}.")
    rings = -(-(len(kernel) - factor) // (2 * factor)) or 1
    start = rings * factor + (len(kernel) - factor) // 2
    padded = F.pad(x[:, None], [rings] * 4, mode="replicate")
    full = F.conv_transpose2d(padded, kernel[None, None].to(x), stride=factor)[:, 0]
    height, width = (factor * side for side in x.shape[-2:])
    return full[:, start : start + height, start : start + width]


def _interpolate(mode: str, align_corners: bool | None = None) -> Scheme:
    def scheme(x: Tensor, factor: int) -> Tensor:
        _check_picture(x, factor)
        return F.interpolate(x[None], scale_factor=factor, mode=mode, align_corners=align_corners)[0]

    return scheme


def _equal_weights(x: Tensor, factor: int) -> Tensor:
    side = factor + 1
    return enlarge_by_kernel(x, torch.full((side, side), (factor / side) ** 2), factor)


def _random_weights(x: Tensor, factor: int) -> Tensor:
    kernel = torch.rand(2 * factor, 2 * factor, generator=torch.Generator().manual_seed(RANDOM_KERNEL_SEED))
    return enlarge_by_kernel(x, kernel * factor**2 / kernel.sum(), factor)


def _zeros_between(x: Tensor, factor: int) -> Tensor:
    """`factor²` times as bright, so that the mean stays."""
    _check_picture(x, factor)
    return F.pad(zero_insert(x, factor), [0, factor - 1, 0, factor - 1]) * factor**2


SCHEMES: dict[str, Scheme] = {
    "zeros between": _zeros_between,
    "nearest": _interpolate("nearest"),
    "bilinear": _interpolate("bilinear", align_corners=False),
    "bilinear, aligned": _interpolate("bilinear", align_corners=True),
    "bicubic": _interpolate("bicubic", align_corners=False),
    "transposed, equal": _equal_weights,
    "transposed, random": _random_weights,
}
"""By name. *Aligned*: with ``align_corners=True``. The transposed convolutions have a kernel of ``factor + 1`` equal
weights (uneven counts), and one of ``2·factor`` random weights (even counts)."""


@dataclass(frozen=True)
class Enlargement:
    """What a scheme made of a reduced picture, or the original itself.

    Attributes:
        picture: ``(C, H, W)``, the size of the original.
        psnr: against the original, in decibels; infinite for the original.
        checkerboard: `checkerboard_energy` with the factor as its scale.
        milliseconds: median time of the scheme alone.
    """

    picture: Tensor
    psnr: float
    checkerboard: float
    milliseconds: float


def reduce(picture: Tensor, factor: int) -> Tensor:
    """Mean of each ``factor × factor`` block; a rest at the right and lower border is cut off.

    ``(C, H, W)`` floats become ``(C, H // factor, W // factor)``.

    Raises:
        ValueError: if the picture is smaller than a block, or holds no floats.
    """
    _check_picture(picture, factor)
    if min(picture.shape[1:]) < factor:
        raise ValueError(f"a picture of {tuple(picture.shape[1:])} pixels has no block of {factor} × {factor}.")
    return F.avg_pool2d(picture, factor)


def _check_picture(x: Tensor, factor: int) -> None:
    check_whole(factor=factor)
    if x.ndim != 3 or not x.is_floating_point() or not x.numel():
        raise ValueError(f"got {x.dtype} of shape {tuple(x.shape)}, not a picture of floats (C, H, W).")


def cut_to(original: Tensor, factor: int) -> Enlargement:
    """The original ``(C, H, W)`` without the rest that `factor` does not divide."""
    height, width = (factor * side for side in reduce(original, factor).shape[1:])
    picture = original[:, :height, :width]
    return Enlargement(picture, math.inf, checkerboard_energy(picture, factor), 0.0)


def enlarge_again(original: Tensor, scheme: Scheme, factor: int) -> Enlargement:
    """Reduce `original` by `factor`, enlarge it with `scheme`, compare with the original.

    Args:
        original: ``(C, H, W)`` floats, white is 1; a rest that the factor does not divide is cut off.

    Raises:
        ValueError: if `scheme` gives another size than the original's.
    """
    small = reduce(original, factor)
    truth = original[:, : factor * small.shape[1], : factor * small.shape[2]]
    picture = scheme(small, factor)
    if not isinstance(picture, Tensor):
        raise ValueError(f"the scheme returned {type(picture).__name__}, not a tensor {tuple(truth.shape)}.")
    picture = picture.detach().to(truth.dtype)
    if not picture.isfinite().all():
        raise ValueError("the scheme made values that are not finite.")
    if picture.shape != truth.shape:
        raise ValueError(
            f"the scheme made {tuple(picture.shape)} of {tuple(small.shape)}; factor {factor} asks for "
            f"{tuple(truth.shape)}."
        )
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        scheme(small, factor)
        seconds.append(time.perf_counter() - start)
    return Enlargement(
        picture, psnr(picture[None], truth[None]), checkerboard_energy(picture, factor), 1000 * median(seconds)
    )


def rings(side: int = 384) -> Tensor:
    """Zone plate ``(3, side, side)``, 0 to 1: rings from 0 cycles per pixel in the middle to ½ amid each side.

    Whatever frequency a scheme loses or invents shows at its own place.
    """
    places = torch.arange(side) - (side - 1) / 2
    squared = places[:, None] ** 2 + places[None] ** 2
    return (0.5 + 0.5 * torch.cos(torch.pi * squared / side)).expand(3, side, side).contiguous()


def names_of(schemes: Mapping[str, Scheme]) -> tuple[str, ...]:
    """The names, checked: two schemes at least are needed to compare."""
    if len(schemes) < 2:
        raise ValueError(f"{len(schemes)} scheme is nothing to compare; give two or more by name.")
    for name, scheme in schemes.items():
        if not name or not callable(scheme):
            raise ValueError(
                f"scheme {name!r}: {scheme!r} is no function with a name; give one that takes (x, factor)."
            )
    return tuple(schemes)
