"""Answers to the exercises of notebook 03."""

import math

import torch
import torch.nn.functional as F


def response(kernel, frequency):
    """The transform of the kernel, as one complex sum."""
    waves = torch.exp(-2j * torch.pi * frequency * torch.arange(len(kernel), dtype=torch.float64))
    return (kernel * waves).sum().abs()


def bilinear_at(x, row, column):
    """`grid_sample` takes places from -1 to 1 between the outermost centres."""
    height, width = x.shape
    place = torch.tensor([2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1]).reshape(1, 1, 1, 2)
    return F.grid_sample(x[None, None], place, padding_mode="border", align_corners=True)[0, 0, 0, 0]


def pyramid_kernel(factor):
    """What one pixel becomes in the middle of a picture of zeros."""
    side = 2 * factor - factor % 2
    picture = torch.zeros(1, 1, 5, 5)
    picture[0, 0, 2, 2] = 1
    large = F.interpolate(picture, scale_factor=factor, mode="bilinear", align_corners=False)[0, 0]
    start = 2 * factor - (side - factor) // 2
    return large[start : start + side, start : start + side]


def fuse_nearest(weight):
    """Ask the two layers what they make of each input channel's single pixel."""
    channels = weight.shape[1]
    pictures = torch.eye(channels).reshape(channels, channels, 1, 1) * torch.ones(1, 1, 1, 1)
    pictures = F.pad(pictures, [2, 2, 2, 2])
    made = F.conv2d(F.interpolate(pictures, scale_factor=2), weight, padding=1)
    return made[..., 3:7, 3:7]


def in_turn(kernel, frequency, part=torch.cos):
    return (kernel * part(2 * math.pi * frequency * torch.arange(len(kernel), dtype=torch.float64))).sum()


def measured(kernel, frequency):
    """As the notebook does, which is right only if the 64 pixels hold whole cycles, and not at 0 and ½."""
    wave = torch.cos(2 * torch.pi * frequency * torch.arange(64 + len(kernel) - 1))
    return (2 * F.conv1d(wave[None, None], kernel[None, None]).square().mean()).sqrt()


def four_weights(x, row, column, weigh):
    row, column = min(max(row, 0), x.shape[0] - 1), min(max(column, 0), x.shape[1] - 1)
    top, left = min(int(row), x.shape[0] - 2), min(int(column), x.shape[1] - 2)
    return (weigh(row - top, column - left) * x[top : top + 2, left : left + 2]).sum()


def outer(first, second):
    return torch.outer(torch.tensor(first), torch.tensor(second))


def lectures_guess(down, across):
    """3 for the nearest, 2 for its neighbours, 1 for the pixel opposite."""
    weights = torch.tensor([[3.0, 2.0], [2.0, 1.0]]) / 8
    return weights.flip([axis for axis, share in enumerate((down, across)) if share > 0.5])


def not_clamped(x, row, column):
    top, left = min(max(int(row), 0), x.shape[0] - 2), min(max(int(column), 0), x.shape[1] - 2)
    weights = outer([1 - (row - top), row - top], [1 - (column - left), column - left])
    return (weights * x[top : top + 2, left : left + 2]).sum()


RIGHT = {
    "response": response,
    "bilinear_at": bilinear_at,
    "pyramid_kernel": pyramid_kernel,
    "fuse_nearest": fuse_nearest,
}

WRONG = {
    "response": {
        "cosines alone": lambda kernel, frequency: in_turn(kernel, frequency).abs(),
        "cosines and sines added": lambda kernel, frequency: (
            in_turn(kernel, frequency).abs() + in_turn(kernel, frequency, part=torch.sin).abs()
        ),
        "signed at the highest frequency": lambda kernel, frequency: (
            kernel[::2].sum() - kernel[1::2].sum() if frequency == 0.5 else response(kernel, frequency)
        ),
        "half the angle": lambda kernel, frequency: response(kernel, frequency / 2),
        "squared": lambda kernel, frequency: response(kernel, frequency) ** 2,
        "as a share of the response at 0": lambda kernel, frequency: response(kernel, frequency) / kernel.sum().abs(),
        "halved": lambda kernel, frequency: response(kernel, frequency) / 2,
        "sum of the absolute weights": lambda kernel, frequency: kernel.abs().sum(),
        "measured on 64 pixels": measured,
    },
    "bilinear_at": {
        "row and column swapped": lambda x, row, column: bilinear_at(x, column, row),
        "the farther, the more": lambda x, row, column: four_weights(
            x, row, column, lambda down, across: outer([down, 1 - down], [across, 1 - across])
        ),
        "3 : 2 : 2 : 1": lambda x, row, column: four_weights(x, row, column, lectures_guess),
        "beyond the border": not_clamped,
        "knows one pixel outside": lambda x, row, column: (
            bilinear_at(x, row, column) if min(row, column) > -1 and row < len(x) and column < x.shape[1] else x.mean()
        ),
        "nearest": lambda x, row, column: x[
            min(max(round(row), 0), x.shape[0] - 1), min(max(round(column), 0), x.shape[1] - 1)
        ],
    },
    "pyramid_kernel": {
        "sum 1": lambda factor: pyramid_kernel(factor) / factor**2,
        "ones": lambda factor: torch.ones(factor, factor),
        "even side always": lambda factor: F.pad(pyramid_kernel(factor), [0, factor % 2] * 2),
        "one side only": lambda factor: pyramid_kernel(factor)[0] / pyramid_kernel(factor)[0].max(),
    },
    "fuse_nearest": {
        "not turned": lambda weight: fuse_nearest(weight).flip(2, 3),
        "channels not swapped": lambda weight: fuse_nearest(weight).transpose(0, 1),
        "averaged": lambda weight: fuse_nearest(weight) / 4,
        "one stamp": lambda weight: F.pad(weight.flip(2, 3).transpose(0, 1), [0, 1, 0, 1]),
    },
}
