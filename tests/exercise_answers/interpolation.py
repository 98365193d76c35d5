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


def centre_seen(layers, i):
    """By autograd: the pixels of which an output pixel's gradient is not 0, far enough from the border."""
    steps = math.prod(stride for _, stride, _ in layers)
    away = 200 // steps
    picture = torch.zeros(1, 1, 600, requires_grad=True)
    x = picture
    for kernel_size, stride, padding in layers:
        x = F.conv1d(x, torch.ones(1, 1, kernel_size), stride=stride, padding=padding)
    x[0, 0, i + away].backward()
    seen = picture.grad[0, 0].nonzero()
    return (seen.min() + seen.max()) / 2 - away * steps


def centre_of_ends(layers, i, clip=-math.inf):
    first = last = i
    for kernel_size, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel_size - 1
    return (max(first, clip) + last) / 2


def centre_from_the_front(layers, i):
    """Where output pixel 0 lies, and how far apart output pixels are, from layer to layer."""
    place, step = 0, 1
    for kernel_size, stride, padding in layers:
        place += step * ((kernel_size - 1) / 2 - padding)
        step *= stride
    return place + i * step


ALSO_RIGHT = {"centre_seen": {"from both ends": centre_of_ends, "from the front": centre_from_the_front}}


def in_turn(kernel, frequency, part=torch.cos):
    return (kernel * part(2 * math.pi * frequency * torch.arange(len(kernel), dtype=torch.float64))).sum()


def measured(kernel, frequency):
    """As the notebook does, which is right only if the 64 pixels hold whole cycles, and not at 0 and ½."""
    wave = torch.cos(2 * torch.pi * frequency * torch.arange(64 + len(kernel) - 1))
    return (2 * F.conv1d(wave[None, None], kernel[None, None]).square().mean()).sqrt()


def back_through(layers, i, step):
    """As the right answer, with another step from a layer's output to its input."""
    for layer in layers[::-1]:
        i = step(i, *layer)
    return i


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
    "centre_seen": centre_seen,
}


def waves_sent_through(kernel, frequency):
    """As long as the kernel, so that one number comes out: exact, but no look at the kernel alone."""
    angles = 2 * torch.pi * frequency * torch.arange(len(kernel))
    waves = torch.stack([angles.cos(), angles.sin()])[:, None]
    return F.conv1d(waves, kernel[None, None]).norm()


FORBIDDEN = {"response": {"sends waves through": waves_sent_through}}

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
    "centre_seen": {
        "first layer first": lambda layers, i: centre_from_the_front(layers[::-1], i),
        "forgets the padding": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i * s + (k - 1) / 2),
        "half a kernel": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i * s + k / 2 - p),
        "half a kernel, rounded": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i * s + k // 2 - p),
        "rounded down": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i * s + (k - 1) // 2 - p),
        "first pixel of the window": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i * s - p),
        "last pixel of the window": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i * s - p + k - 1),
        "places between halves": lambda layers, i: back_through(layers, i, lambda i, k, s, p: (i + 0.5) * s - 0.5),
        "places of aligned pixels": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i * s),
        "counted from the edge": lambda layers, i: centre_of_ends(layers, i) + 0.5,
        "padding added": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i * s + (k - 1) / 2 + p),
        "moved before it strides": lambda layers, i: back_through(
            layers, i, lambda i, k, s, p: (i + (k - 1) / 2 - p) * s
        ),
        "offsets in one unit": lambda layers, i: (
            i * math.prod(s for _, s, _ in layers) + sum((k - 1) / 2 - p for k, _, p in layers)
        ),
        "the last layer alone": lambda layers, i: centre_of_ends(layers[-1:], i),
        "forgets the strides": lambda layers, i: back_through(layers, i, lambda i, k, s, p: i + (k - 1) / 2 - p),
        "place clipped to the picture": lambda layers, i: max(centre_of_ends(layers, i), 0),
        "window clipped to the picture": lambda layers, i: centre_of_ends(layers, i, clip=0),
    },
}
