"""Answers to the exercises of notebook 02."""

import torch
import torch.nn.functional as F

from course_utils.conv_arithmetic import overlap_counts, transposed_conv_output_size, zero_insert


def double_exactly(kernel_size, stride):
    """By trying: the first padding for which some output padding gives stride times 1 and stride times 9."""
    for padding in range(kernel_size):
        for output_padding in range(stride):
            try:
                sizes = [transposed_conv_output_size(n, kernel_size, stride, padding, output_padding) for n in (1, 9)]
            except ValueError:
                continue
            if sizes == [stride, 9 * stride]:
                return padding, output_padding


def scatter_add(x, weight, stride, padding):
    """All stamps at once, added up by `fold`, which cuts what it would have padded."""
    size = [(side - 1) * stride + weight.shape[-1] - 2 * padding for side in x.shape[1:]]
    stamps = torch.einsum("chw,cdij->dijhw", x, weight).flatten(3).flatten(0, 2)
    return F.fold(stamps[None], size, weight.shape[-1], stride=stride, padding=padding)[0]


def gathered(x, weight, stride, padding):
    """The gather view: zeros between, zeros around, turned kernels."""
    grid = F.pad(zero_insert(x, stride), [weight.shape[-1] - 1] * 4)[None]
    result = F.conv2d(grid, weight.flip(2, 3).transpose(0, 1))[0]
    return result[:, padding : result.shape[1] - padding, padding : result.shape[2] - padding]


def inputs_per_kind(kernel_size, stride):
    start = 10 * stride
    return overlap_counts(20, 20, kernel_size, stride)[start : start + stride, start : start + stride]


def even_out(weight, stride):
    """Divide by what constant 1 becomes far from any border."""
    result = F.conv_transpose2d(torch.ones(1, 1, 20, 20), weight[None, None], stride=stride)[0, 0]
    start = 10 * stride
    sums = result[start : start + stride, start : start + stride]
    repeats = -(-len(weight) // stride)
    return weight / sums.repeat(repeats, repeats)[: len(weight), : len(weight)]


def without_zeros(x, weight):
    """All four shares at once: turned, each weighs the 2 × 2 windows of the padded picture."""
    height, width = x.shape
    windows = F.pad(x, [1] * 4).unfold(0, 2, 1).unfold(1, 2, 1)
    parts = torch.einsum("hwij,ikjl->klhw", windows, weight.reshape(2, 2, 2, 2).flip(0, 1, 2, 3))
    result = torch.empty(2 * height, 2 * width)
    for row in (0, 1):
        for column in (0, 1):
            result[row::2, column::2] = parts[row, column, row : row + height, column : column + width]
    return result


def even_out_in_place(weight, stride):
    """As `even_out`, but the kernel that was handed over is changed."""
    return weight.copy_(even_out(weight, stride))


def stamped(x, weight, stride, padding, *, add=True, transposed=False, turned=False, gap=None):
    k, gap = weight.shape[-1], gap or stride
    height, width = ((side - 1) * gap + k for side in x.shape[1:])
    canvas = torch.zeros(weight.shape[1], height, width)
    weight = weight.flip(2, 3) if turned else weight.transpose(2, 3) if transposed else weight
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            stamp = torch.einsum("c,cdij->dij", x[:, row, column], weight)
            place = canvas[:, row * gap : row * gap + k, column * gap : column * gap + k]
            place.copy_(place + stamp if add else stamp)
    return canvas[:, padding : height - padding, padding : width - padding]


def shares(x, weight, *, turned=True, swapped=False):
    height, width = x.shape
    padded, result = F.pad(x, [1] * 4)[None, None], torch.empty(2 * height, 2 * width)
    for row in (0, 1):
        for column in (0, 1):
            first = (row, column) if swapped else (1 - row, 1 - column)
            share = weight[first[0] :: 2, first[1] :: 2]
            part = F.conv2d(padded, (share.flip(0, 1) if turned else share)[None, None])[0, 0]
            result[row::2, column::2] = part[row : row + height, column : column + width]
    return result


RIGHT = {f.__name__: f for f in (double_exactly, scatter_add, inputs_per_kind, even_out, without_zeros)}


def counted_by_a_convolution(kernel_size, stride):
    ones = torch.ones(1, 1, 20, 20)
    counts = F.conv_transpose2d(ones, torch.ones(1, 1, kernel_size, kernel_size), stride=stride)[0, 0]
    return counts[10 * stride : 11 * stride, 10 * stride : 11 * stride].long()


FORBIDDEN = {
    "scatter_add": {
        "PyTorch's": lambda x, w, s, p: F.conv_transpose2d(x[None], w, stride=s, padding=p)[0],
        "the gather view": gathered,
    },
    "inputs_per_kind": {"runs a convolution": counted_by_a_convolution},
    "without_zeros": {
        "PyTorch's": lambda x, w: F.conv_transpose2d(x[None, None], w[None, None], stride=2, padding=1)[0, 0],
    },
}

WRONG = {
    "double_exactly": {
        "pads as a convolution does": lambda k, s: (k // 2, s - k + 2 * (k // 2)),
        "rounds down": lambda k, s: ((k - s) // 2, s - k + 2 * ((k - s) // 2)),
        "no output padding": lambda k, s: ((k - s + 1) // 2, 0),
        "turned round": lambda k, s: double_exactly(k, s)[::-1],
        "knows 2 only": lambda k, s: double_exactly(k, 2) if k >= 2 else (0, 0),
    },
    "scatter_add": {
        "overwrites": lambda x, w, s, p: stamped(x, w, s, p, add=False),
        "turns the kernel": lambda x, w, s, p: stamped(x, w, s, p, turned=True),
        "swaps rows and columns": lambda x, w, s, p: stamped(x, w, s, p, transposed=True),
        "forgets the stride": lambda x, w, s, p: stamped(x, w, s, p, gap=1),
        "forgets the padding": lambda x, w, s, p: scatter_add(x, w, s, 0),
        "cuts one row at most": lambda x, w, s, p: scatter_add(x, w, s, min(p, 1)),
        "pads instead of cutting": lambda x, w, s, p: F.pad(scatter_add(x, w, s, 0), [p] * 4),
    },
    "inputs_per_kind": {
        "begins at the second pixel": lambda k, s: inputs_per_kind(k, s).roll((-1, -1), (0, 1)),
        "one side only": lambda k, s: inputs_per_kind(k, s)[0],
        "rounds up everywhere": lambda k, s: torch.full((s, s), (-(-k // s)) ** 2),
        "floats": lambda k, s: inputs_per_kind(k, s).float(),
        "takes the corner of the map": lambda k, s: overlap_counts(20, 20, k, s)[:s, :s],
    },
    "even_out": {
        "one sum for all": lambda w, s: w / w.sum(),
        "sum times shares": lambda w, s: w * s**2 / w.sum(),
        "sums sizes": lambda w, s: w * even_out(w.abs(), s) / w.abs(),
        "divides by counts": lambda w, s: even_out(torch.ones_like(w), s) * w,
        "in blocks": lambda w, s: w / F.avg_pool2d(w[None, None], s, ceil_mode=True).sum(),
        "knows 2 only": lambda w, s: even_out(w, 2),
        "overwrites its argument": even_out_in_place,
    },
    "without_zeros": {
        "does not turn": lambda x, w: shares(x, w, turned=False),
        "takes the other shares": lambda x, w: shares(x, w, swapped=True),
        "nearest instead": lambda x, w: x.repeat_interleave(2, 0).repeat_interleave(2, 1),
        "forgets the padding": lambda x, w: F.conv_transpose2d(x[None, None], w[None, None], stride=2)[0, 0],
    },
}
