"""The exercises of notebook 04: the way back, the transposed convolution in a shuffle, ICNR, plain colours, blur."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.core import Exercise


def _unshuffle(x: Tensor, scale: int) -> Tensor:
    return F.pixel_unshuffle(x[None], scale)[0]


def _unshuffle_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.arange(16.0).reshape(1, 4, 4), 2
    for channels, height, width, scale in [(1, 2, 6, 2), (2, 4, 6, 2), (1, 3, 6, 3), (3, 6, 9, 3), (2, 4, 8, 4)]:
        yield torch.randn(channels, height, width, generator=generator), scale


UNSHUFFLE = Exercise(
    name="unshuffle",
    specification=(
        "unshuffle(x, scale) takes x (C, scale·H, scale·W) and gives (C·scale², H, W): the exact inverse of pixel "
        "shuffle, without PyTorch's own unshuffle."
    ),
    reference=_unshuffle,
    cases=_unshuffle_cases,
    without=("pixel_unshuffle",),
    hints=(
        "Go through the by-hand shuffle backwards: last step first, each step undone.",
        "Split each side in two: reshape to (C, H, scale, W, scale). Which two axes have to move in front of H?",
        "x.reshape(C, H, scale, W, scale).permute(0, 2, 4, 1, 3).reshape(C * scale**2, H, W).",
    ),
)


def _as_transposed(weight: Tensor, scale: int) -> Tensor:
    kernel_size, in_channels = weight.shape[-1], weight.shape[1]
    # Place u of the large kernel belongs to row u % scale of a block, and to the tap that many blocks from the end.
    places = torch.arange(scale * kernel_size)
    tap, part = kernel_size - 1 - places // scale, places % scale
    kernels = weight.reshape(-1, scale, scale, in_channels, kernel_size, kernel_size)
    rows = kernels[:, part, :, :, tap]  # (places, C, scale, in, K)
    return rows[:, :, part, :, tap].permute(3, 2, 1, 0)


def _as_transposed_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.arange(1.0, 5).reshape(4, 1, 1, 1), 2
    yield torch.arange(1.0, 37).reshape(4, 1, 3, 3), 2
    for channels, in_channels, kernel_size, scale in [(1, 2, 1, 3), (2, 1, 1, 2), (2, 3, 3, 2), (1, 2, 5, 3)]:
        shape = (channels * scale**2, in_channels, kernel_size, kernel_size)
        yield torch.randn(shape, generator=generator), scale


AS_TRANSPOSED = Exercise(
    name="as_transposed",
    specification=(
        "as_transposed(weight, scale) takes the kernels (C·scale², in, K, K) of a convolution followed by a pixel "
        "shuffle, and gives the kernels (in, C, scale·K, scale·K) of the transposed convolution of stride scale that "
        "does the same."
    ),
    reference=_as_transposed,
    cases=_as_transposed_cases,
    hints=(
        "One stamp at a time: feed the convolution a single 1, shuffle, and look at what has appeared.",
        "The response to a single 1 shows each kernel turned by 180°; the shuffle then interleaves the scale² kernels "
        "of a channel.",
        "So shuffle the turned kernels: for each input channel, F.pixel_shuffle of weight.flip(2, 3) with the input "
        "channel as batch: weight.flip(2, 3).transpose(0, 1).",
    ),
)


def _icnr_kernels(small: Tensor, scale: int) -> Tensor:
    return small.repeat_interleave(scale**2, dim=0)


def _icnr_kernels_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1), 2
    for channels, in_channels, kernel_size, scale in [(1, 3, 1, 2), (3, 2, 1, 2), (2, 1, 3, 3), (2, 2, 1, 4)]:
        yield torch.randn(channels, in_channels, kernel_size, kernel_size, generator=generator), scale


ICNR_KERNELS = Exercise(
    name="icnr_kernels",
    specification=(
        "icnr_kernels(small, scale) takes the kernels (C, in, K, K) of a small convolution and gives the kernels "
        "(C·scale², in, K, K) with which convolution and shuffle equal the small convolution and nearest upsampling."
    ),
    reference=_icnr_kernels,
    cases=_icnr_kernels_cases,
    hints=(
        "Which channels does the shuffle put into one output channel? All of these need the same kernel.",
        "Output channel 0 is made of channels 0 to scale² - 1, output channel 1 of the next scale², and so on.",
        "Each kernel scale² times in a row: there is a tensor method for it, and it is not repeat.",
    ),
)


def _grey_pattern(weight: Tensor, scale: int) -> Tensor:
    grey = torch.ones(1, weight.shape[1], weight.shape[-1], weight.shape[-1])
    return F.pixel_shuffle(F.conv2d(grey, weight), scale)[0]


def _grey_pattern_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.arange(1.0, 5).reshape(4, 1, 1, 1), 2
    for channels, in_channels, kernel_size, scale in [(2, 1, 1, 2), (1, 2, 1, 3), (3, 4, 3, 2), (2, 2, 1, 3)]:
        shape = (channels * scale**2, in_channels, kernel_size, kernel_size)
        yield torch.randn(shape, generator=generator), scale


GREY_PATTERN = Exercise(
    name="grey_pattern",
    specification=(
        "grey_pattern(weight, scale) takes the kernels (C·scale², in, K, K) of a convolution without bias, and gives "
        "the (C, scale, scale) block that shuffle repeats all over the picture when every input value is 1; without "
        "running a convolution."
    ),
    reference=_grey_pattern,
    cases=_grey_pattern_cases,
    without=("conv",),
    hints=(
        "What does a convolution make of a constant 1, far from any border?",
        "The sum of a kernel's weights: one number for each of the C·scale² kernels.",
        "weight.sum((1, 2, 3)) has C·scale² numbers; reshape them to (C, scale, scale).",
    ),
    tolerance=1e-5,
)


def _blur(x: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(x[None], [1, 0, 1, 0], mode="replicate"), 2, stride=1)[0]


def _blur_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield (torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]),)
    yield (torch.arange(16.0).remainder(2).reshape(1, 4, 4),)
    for channels, height, width in [(1, 1, 5), (2, 3, 4), (3, 6, 5)]:
        yield (torch.randn(channels, height, width, generator=generator),)


BLUR = Exercise(
    name="blur",
    specification=(
        "blur(x) takes x (C, H, W) and gives the same shape: each pixel averaged with its left, upper and upper left "
        "neighbours; at the upper and left border the border's own pixels stand in for those outside; without "
        "pooling."
    ),
    reference=_blur,
    cases=_blur_cases,
    without=("pool",),
    hints=(
        "First put a copy of the first row above the picture and a copy of the first column to its left.",
        "Then four pictures of the old size lie in the padded one, shifted by one row, one column, or both.",
        "padded = F.pad(x[None], [1, 0, 1, 0], mode='replicate')[0]; the first of the four is padded[:, 1:, 1:].",
    ),
    tolerance=1e-5,
)


PIXEL_SHUFFLE_EXERCISES = (UNSHUFFLE, ICNR_KERNELS, GREY_PATTERN, BLUR, AS_TRANSPOSED)
