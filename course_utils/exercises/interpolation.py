"""The exercises of notebook 03: nearest and bilinear interpolation, and what they are in disguise."""

from collections.abc import Iterator

import torch
from torch import Tensor

from course_utils.enlargement import bilinear_kernel
from course_utils.exercises.core import Exercise


def _nearest_exact(x: Tensor, height: int, width: int) -> Tensor:
    rows, columns = (
        (2 * torch.arange(new) + 1) * old // (2 * new) for new, old in zip((height, width), x.shape, strict=True)
    )
    return x[rows][:, columns]


def _nearest_exact_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0, 1, 2, 3]]), 1, 2
    yield torch.tensor([[0, 1, 2, 3]]), 1, 6
    for old, new in [((2, 3), (4, 6)), ((5, 4), (3, 2)), ((6, 7), (5, 5)), ((3, 3), (7, 8)), ((9, 12), (4, 5))]:
        yield torch.randint(12, old, generator=generator), *new


NEAREST_EXACT = Exercise(
    name="nearest_exact",
    specification=(
        "nearest_exact(x, height, width) gives the (height, width) picture in which each pixel copies the pixel of x "
        "(H, W) that its centre lies in; on a border, the pixel to the right or below."
    ),
    reference=_nearest_exact,
    cases=_nearest_exact_cases,
    hints=(
        "Where does the centre of new pixel i lie, counted in old pixels from the left edge of the picture?",
        "At (i + ½) · old / new. The old pixel j covers the line from j to j + 1.",
        "rows = (2 * torch.arange(height) + 1) * x.shape[0] // (2 * height), whole numbers all the way; then x[rows].",
    ),
)


def _bilinear_at(x: Tensor, row: float, column: float) -> Tensor:
    places = []
    for place, side in zip((row, column), x.shape, strict=True):
        place = min(max(place, 0.0), side - 1.0)
        first = min(int(place), max(side - 2, 0))
        places.append((first, min(first + 1, side - 1), place - first))
    (top, bottom, down), (left, right, across) = places
    above = (1 - across) * x[top, left] + across * x[top, right]
    below = (1 - across) * x[bottom, left] + across * x[bottom, right]
    return (1 - down) * above + down * below


def _bilinear_at_cases(generator: torch.Generator) -> Iterator[tuple]:
    x = torch.tensor([[1.0, 2.0], [3.0, 8.0]])
    yield from [
        (x, 0.25, 0.25),
        (x, 0.0, 0.75),
        (x, 1.0, 1.0),
        (x, -0.25, 0.5),
        (x, 0.5, 1.25),
        (x, 0.5, -0.25),
        (x, 1.25, 0.5),
    ]
    y = torch.randn(4, 6, generator=generator)
    yield from [(y, 2.6, 4.1), (y, 0.3, 3.9), (y, 3.0, 5.0), (y, 3.4, 1.5), (y, 1.0, 2.0)]


BILINEAR_AT = Exercise(
    name="bilinear_at",
    specification=(
        "bilinear_at(x, row, column) gives the value of x (H, W), interpolated bilinearly, at a place that need not be "
        "whole; beyond the outermost centres the border pixels go on."
    ),
    reference=_bilinear_at,
    cases=_bilinear_at_cases,
    hints=(
        "Bring row and column into the range of the centres first; then find the pixel above and to the left.",
        "With r = row - top and c = column - left the four weights are (1 - r)(1 - c), (1 - r)c, r(1 - c), rc.",
        "Clamp row to 0 … H - 1; top = min(int(row), H - 2), and the same for columns: then top + 1 is always there.",
    ),
    tolerance=1e-5,
)


def _pyramid_kernel_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield from [(2,), (3,), (1,), (4,), (5,), (8,)]


PYRAMID_KERNEL = Exercise(
    name="pyramid_kernel",
    specification=(
        "pyramid_kernel(factor) gives the (K, K) kernel, K = 2 * factor - factor % 2, with which a transposed "
        "convolution of stride factor interpolates bilinearly."
    ),
    reference=bilinear_kernel,
    cases=_pyramid_kernel_cases,
    hints=(
        "One side is enough: the kernel is an outer product. How much does an old pixel give at a distance?",
        "1 - distance / factor, with the distance from the middle of the kernel in new pixels.",
        "distance = (torch.arange(K) - (K - 1) / 2).abs(); for factor 2 that is 1.5, 0.5, 0.5, 1.5.",
    ),
    tolerance=1e-5,
)


def _fuse_nearest(weight: Tensor) -> Tensor:
    fused = weight.new_zeros(*weight.shape[:2], 4, 4)
    for row in (0, 1):
        for column in (0, 1):
            fused[..., row : row + 3, column : column + 3] += weight.flip(2, 3)
    return fused.transpose(0, 1)


def _fuse_nearest_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield (torch.arange(1.0, 10.0).reshape(1, 1, 3, 3),)
    for shape in [(1, 2, 3, 3), (2, 1, 3, 3), (3, 4, 3, 3)]:
        yield (torch.randn(shape, generator=generator),)


FUSE_NEAREST = Exercise(
    name="fuse_nearest",
    specification=(
        "fuse_nearest(weight) takes the (O, I, 3, 3) weights of a convolution with padding 1 behind nearest doubling, "
        "and gives the (I, O, 4, 4) weights of the transposed convolution, stride 2 and padding 1, that equals both."
    ),
    reference=_fuse_nearest,
    cases=_fuse_nearest_cases,
    hints=(
        "A single input pixel 1 becomes a block of 2 × 2 ones. What does the convolution make of that block?",
        "The convolution slides an unturned kernel; a stamp is the kernel turned by 180°. Four turned kernels, a pixel "
        "apart, add up to 4 × 4.",
        "Add weight.flip(2, 3) into a 4 × 4 canvas at rows 0 and 1, columns 0 and 1; then swap the first two axes.",
    ),
    tolerance=1e-5,
)


INTERPOLATION_EXERCISES = (NEAREST_EXACT, BILINEAR_AT, PYRAMID_KERNEL, FUSE_NEAREST)
