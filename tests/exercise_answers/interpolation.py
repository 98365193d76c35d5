"""Answers to the exercises of notebook 03."""

import torch
import torch.nn.functional as F


def nearest_exact(x, height, width):
    return F.interpolate(x[None, None].float(), (height, width), mode="nearest-exact")[0, 0].to(x.dtype)


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


def corner_index(x, height, width):
    rows, columns = torch.arange(height) * x.shape[0] // height, torch.arange(width) * x.shape[1] // width
    return x[rows][:, columns]


def rounded_index(x, height, width):
    rows = (torch.arange(height) * (x.shape[0] / height)).round().long().clamp(max=x.shape[0] - 1)
    columns = (torch.arange(width) * (x.shape[1] / width)).round().long().clamp(max=x.shape[1] - 1)
    return x[rows][:, columns]


def averaged_codes(x, height, width):
    return F.interpolate(x[None, None].float(), (height, width), mode="bilinear")[0, 0].long()


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
    "nearest_exact": nearest_exact,
    "bilinear_at": bilinear_at,
    "pyramid_kernel": pyramid_kernel,
    "fuse_nearest": fuse_nearest,
}

WRONG = {
    "nearest_exact": {
        "the corner decides": corner_index,
        "rounded instead of cut off": rounded_index,
        "codes averaged": averaged_codes,
        "height and width swapped": lambda x, height, width: nearest_exact(x, width, height),
    },
    "bilinear_at": {
        "row and column swapped": lambda x, row, column: bilinear_at(x, column, row),
        "the farther, the more": lambda x, row, column: four_weights(
            x, row, column, lambda down, across: outer([down, 1 - down], [across, 1 - across])
        ),
        "3 : 2 : 2 : 1": lambda x, row, column: four_weights(x, row, column, lectures_guess),
        "beyond the border": not_clamped,
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
