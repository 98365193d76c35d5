"""Answers to the exercises of notebook 04."""

import torch
import torch.nn.functional as F
from torch import nn


def unshuffle(x, scale):
    """One kind of pixel after the other."""
    return torch.stack([x[:, r::scale, c::scale] for r in range(scale) for c in range(scale)], dim=1).flatten(0, 1)


def icnr_kernels(small, scale):
    return torch.cat([small[:, None]] * scale**2, dim=1).flatten(0, 1)


def grey_pattern(weight, scale):
    return weight.sum((1, 2, 3)).reshape(-1, scale, scale)


def blur(x):
    rows = (torch.cat([x[:, :1], x[:, :-1]], dim=1) + x) / 2
    return (torch.cat([rows[:, :, :1], rows[:, :, :-1]], dim=2) + rows) / 2


def as_transposed(weight, scale):
    return F.pixel_shuffle(weight.flip(2, 3).transpose(0, 1), scale)


def torus_blur(x):
    rows = (x.roll(1, 1) + x) / 2
    return (rows.roll(1, 2) + rows) / 2


def unshuffled_into_zeros(x, scale):
    channels, height, width = x.shape
    out = torch.zeros(channels * scale**2, height // scale, width // scale)
    for channel in range(len(out)):
        place = channel % scale**2
        out[channel] = x[channel // scale**2, place // scale :: scale, place % scale :: scale]
    return out


ALSO_RIGHT = {"unshuffle": {"a loop": unshuffled_into_zeros}}

FORBIDDEN = {
    "unshuffle": {
        "PyTorch's": F.pixel_unshuffle,
        "PyTorch's as a module": lambda x, s: nn.PixelUnshuffle(s)(x),
    },
    "grey_pattern": {
        "runs a convolution": lambda w, s: F.pixel_shuffle(F.conv2d(torch.ones(1, *w.shape[1:]), w), s)[0],
    },
    "blur": {
        "pools": lambda x: F.avg_pool2d(F.pad(x[None], [1, 0, 1, 0], mode="replicate"), 2, stride=1)[0],
        "pools by a module": lambda x: nn.AvgPool2d(2, 1)(F.pad(x[None], [1, 0, 1, 0], mode="replicate"))[0],
    },
}

RIGHT = {f.__name__: f for f in (unshuffle, icnr_kernels, grey_pattern, blur, as_transposed)}

WRONG = {
    "unshuffle": {
        "shuffles again": lambda x, s: x.reshape(-1, x.shape[1] // s, x.shape[2] // s),
        "columns first": lambda x, s: unshuffle(x.transpose(1, 2), s).transpose(1, 2),
        "kinds before channels": lambda x, s: torch.cat([x[:, r::s, c::s] for r in range(s) for c in range(s)]),
        "cuts into quarters": lambda x, s: torch.stack(
            [part for row in x.chunk(s, 1) for part in row.chunk(s, 2)], dim=1
        ).flatten(0, 1),
        "knows 2 only": lambda x, s: unshuffle(x, 2) if x.shape[1] % 2 == 0 and x.shape[2] % 2 == 0 else x,
    },
    "icnr_kernels": {
        "repeats the whole": lambda w, s: w.repeat(s**2, 1, 1, 1),
        "scale, not its square": lambda w, s: w.repeat_interleave(s, 0),
        "shares the weight out": lambda w, s: w.repeat_interleave(s**2, 0) / s**2,
        "repeats the inputs": lambda w, s: w.repeat_interleave(s**2, 1),
    },
    "grey_pattern": {
        "columns first": lambda w, s: w.sum((1, 2, 3)).reshape(-1, s, s).transpose(1, 2),
        "mean of the weights": lambda w, s: w.mean((1, 2, 3)).reshape(-1, s, s),
        "channels last": lambda w, s: w.sum((1, 2, 3)).reshape(s, s, -1).permute(2, 0, 1),
        "keeps the inputs apart": lambda w, s: w.sum((2, 3)).reshape(-1, s, s),
    },
    "blur": {
        "right and lower neighbours": lambda x: blur(x.flip(1, 2)).flip(1, 2),
        "zeros outside": lambda x: F.avg_pool2d(F.pad(x[None], [1, 0, 1, 0]), 2, stride=1)[0],
        "reflects to the other side": torus_blur,
        "in blocks": lambda x: F.interpolate(F.avg_pool2d(x[None], 2, ceil_mode=True), x.shape[1:])[0],
        "loses a row and a column": lambda x: F.avg_pool2d(x[None], 2, stride=1)[0],
    },
    "as_transposed": {
        "does not turn": lambda w, s: F.pixel_shuffle(w.transpose(0, 1), s),
        "turns after the shuffle": lambda w, s: F.pixel_shuffle(w.transpose(0, 1), s).flip(2, 3),
        "puts kernels side by side": lambda w, s: (
            w.flip(2, 3)
            .reshape(-1, s, s, *w.shape[1:])
            .permute(3, 0, 1, 4, 2, 5)
            .reshape(w.shape[1], -1, s * w.shape[2], s * w.shape[3])
            .transpose(2, 3)
        ),
    },
}
