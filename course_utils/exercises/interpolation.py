"""The exercises of notebook 03: what a kernel lets through, bilinear interpolation in disguise, where windows lie."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from course_utils.exercises.core import Exercise
from course_utils.experiments.enlargement import bilinear_kernel


def _response(kernel: Tensor, frequency: float) -> float:
    angles = 2 * math.pi * frequency * torch.arange(len(kernel), dtype=torch.float64)
    return math.hypot((kernel * angles.cos()).sum().item(), (kernel * angles.sin()).sum().item())


def _response_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.tensor([1.0, 1.0]), 0.25
    yield torch.tensor([1.0, 0.0, -1.0]), 0.125
    yield torch.tensor([0.25, 0.75, 0.75, 0.25]), 0.375
    for length in (1, 2, 3, 5, 8):
        kernel = torch.randn(length, generator=generator)
        yield kernel, 0.5 * torch.rand((), generator=generator).item()
    yield from [(kernel, 0.0), (kernel, 0.5), (torch.tensor([1.0, 3.0]), 0.5)]


RESPONSE = Exercise(
    name="response",
    specification=(
        "response(kernel, frequency) gives the amplitude that a kernel (K,) leaves of a wave of amplitude 1 and of "
        "`frequency` cycles per pixel, any number from 0 to ½, without sending a wave through; at 0 that is the size "
        "of the sum of the weights."
    ),
    reference=_response,
    cases=_response_cases,
    without=("conv",),
    hints=(
        "No picture is needed. Weight k shifts the wave by k pixels; what comes out is the weighted sum of the shifted "
        "waves.",
        "Shifted by k, cos(2πfn) is cos(2πfk) · cos(2πfn) + sin(2πfk) · sin(2πfn). Add up over k, the cosines and the "
        "sines apart from each other.",
        "angles = 2 * torch.pi * frequency * torch.arange(K); then the root of (kernel * angles.cos()).sum() ** 2 plus "
        "(kernel * angles.sin()).sum() ** 2.",
    ),
    tolerance=1e-5,
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
        (x, -3.0, 0.5),
        (x, 0.5, 4.5),
    ]
    y = torch.randn(4, 6, generator=generator)
    yield from [(y, 2.6, 4.1), (y, 0.3, 3.9), (y, 3.0, 5.0), (y, 3.4, 1.5), (y, 1.0, 2.0)]


BILINEAR_AT = Exercise(
    name="bilinear_at",
    specification=(
        "bilinear_at(x, row, column) gives the value of x (H, W), interpolated bilinearly, at a place that need not be "
        "whole; beyond the outermost centres the border pixel's value holds."
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
        "fuse_nearest(weight) takes the (O, I, 3, 3) weights of a convolution with padding 1 after nearest doubling, "
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


def _centre_seen(layers: Sequence[tuple[int, int, int]], i: int) -> float:
    place = float(i)
    for kernel_size, stride, padding in reversed(layers):
        place = place * stride + (kernel_size - 1) / 2 - padding
    return place


def _centre_seen_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield from [([(3, 1, 1)], 0), ([(2, 2, 0)], 0), ([(2, 2, 0)], 3), ([(3, 2, 1)], 2), ([(5, 1, 0)], 4)]
    yield from [([(4, 2, 1)], 1), ([(1, 2, 0)], 3), ([(7, 2, 1)], 0), ([(3, 2, 2)], 0)]
    yield from [([(2, 2, 0), (3, 2, 1)], 1), ([(3, 2, 1), (2, 2, 0)], 1), ([(3, 1, 0), (2, 2, 0)], 2)]
    yield from [([(7, 2, 3), (3, 2, 1)], i) for i in (0, 5)]
    yield [(7, 2, 3), (3, 2, 1), (3, 1, 1), (3, 2, 1), (2, 2, 0)], 4
    yield [(3, 1, 0), (3, 1, 0), (2, 2, 0), (3, 1, 0), (3, 1, 0), (2, 2, 0)], 3  # two levels of the U-Net of 2015


CENTRE_SEEN = Exercise(
    name="centre_seen",
    specification=(
        "centre_seen(layers, i) takes the layers of a network as (kernel_size, stride, padding), first layer first, "
        "and gives the place of the middle of the window that output pixel i sees, counted in input pixels from the "
        "first input pixel's centre; what a window sees of the padding is a part of it."
    ),
    reference=_centre_seen,
    cases=_centre_seen_cases,
    hints=(
        "One layer, no padding: output pixel i reads input pixels i * stride to i * stride + kernel_size - 1. Where is "
        "their middle? And padding moves all of it.",
        "A layer's output is the next one's input, so walk back: from the last layer to the first.",
        "For each layer of reversed(layers): place = place * stride + (kernel_size - 1) / 2 - padding, from place = i.",
    ),
)


INTERPOLATION_EXERCISES = (RESPONSE, BILINEAR_AT, PYRAMID_KERNEL, FUSE_NEAREST, CENTRE_SEEN)
