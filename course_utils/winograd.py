"""3×3 convolutions with half of the multiplications, forward and backward, for training on a CPU.

Winograd's trick (Lavin and Gray 2016) along the rows of a picture: four rows of the output need six products of
mapped input rows with mapped kernel rows, not twelve. Such a product is a 1×3 convolution, which PyTorch does itself.
The maps evaluate and interpolate polynomials at 0, 1, -1, 2, -2 and infinity. In channels_last a row of the picture is
one line of numbers, so a map is a product of a small matrix with four or six lines where they lie. Along both axes the
trick multiplies four times less instead of twice, but its tiles have to be cut out, its products are many small ones,
and its rounding is larger. Where an input is infinite, not a number, or within a factor of ten (a gradient: fifteen) of
the largest float, all four rows that are calculated together are not a number.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 4
"""Rows of the output that are calculated together, from six of the input."""

CHUNK_BYTES = 2 * 2**20
"""Of one of the twelve pieces that wait at once, six of the input and six of the output: few enough for a cache."""

WIDE = torch.backends.cpu.get_cpu_capability() == "AVX512"
"""Limited to AVX2, oneDNN's weight gradients in channels_last were slow: all but AVX-512 take matrix products."""

_KERNEL = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_INPUT = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_OUTPUT = [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
]
"""Lavin and Gray's maps of the three rows of a kernel, of six rows of the input, and back to four of the output."""


@torch.no_grad()
def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``conv2d(x, weight, bias, padding=1)``, ``(N, D, H, W)`` in channels_last, on a CPU.

    Autograd does not see it; `course_utils.fast_convolution` has both ways.

    Args:
        x: ``(N, C, H, W)``, none of them 0, in float32 or float64; quickest in channels_last.
        weight: ``(D, C, 3, 3)``, of the same type.
        bias: ``(D,)``, of the same type.
    """
    x = x.permute(0, 2, 3, 1).contiguous()
    kernels = torch.einsum("ik,dckl->idlc", _matrix(_KERNEL, x), weight).permute(0, 1, 3, 2).unsqueeze(3)
    biases = [None, bias, None, None, None, None]  # the second product is added to each of the four rows, once
    to_products, back = _matrix(_INPUT, x), _matrix(_OUTPUT, x)
    shape = len(x), len(weight), *x.shape[1:3]
    found = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    out = found.permute(0, 2, 3, 1)
    mapped, products = _room(x, out), _room(out, x)
    for tiles in _chunks(x, out):
        _map(to_products, x, tiles, mapped)
        for i, (kernel, added) in enumerate(zip(kernels, biases, strict=True)):
            part = mapped[i, : len(tiles)].permute(0, 3, 1, 2)
            products[i, : len(tiles)] = F.conv2d(part, kernel, added, padding=(0, 1)).permute(0, 2, 3, 1)
        _map_back(back, products, tiles, out)
    return found


@torch.no_grad()
def weight_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Gradient ``(D, C, 3, 3)`` of the weights of ``conv2d(x, weight, padding=1)``, on a CPU.

    Args:
        x: the convolution's input, ``(N, C, H, W)``; quickest in channels_last.
        grad: gradient of its output, ``(N, D, H, W)``.
    """
    x, grad = (part.permute(0, 2, 3, 1).contiguous() for part in (x, grad))
    found = x.new_zeros(6, grad.shape[-1], x.shape[-1], 3)
    to_products, from_rows = _matrix(_INPUT, x), _matrix(_OUTPUT, x).T
    mapped, mapped_grad = _room(x, grad), _room(grad, x)
    for tiles in _chunks(x, grad):
        _map(to_products, x, tiles, mapped)
        _map(from_rows, grad, tiles, mapped_grad)
        for i in range(6):
            found[i] += _row_gradient(mapped[i, : len(tiles)], mapped_grad[i, : len(tiles)])
    return torch.einsum("ik,idcl->dklc", _matrix(_KERNEL, x), found).permute(0, 3, 1, 2)  # channels_last, as weights


def _matrix(rows: list[list[float]], like: Tensor) -> Tensor:
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def _chunks(x: Tensor, other: Tensor) -> list[range]:
    """The tiles, each four rows of a picture, numbered through all pictures: so many at once as `CHUNK_BYTES` says."""
    tiles = len(x) * -(-x.shape[1] // TILE)
    tile = x.shape[2] * max(x.shape[3], other.shape[3]) * x.element_size()
    pieces = -(-tiles // max(1, CHUNK_BYTES // tile))
    step = -(-tiles // pieces)
    return [range(first, min(first + step, tiles)) for first in range(0, tiles, step)]


def _room(x: Tensor, other: Tensor) -> Tensor:
    """Room for six maps of the tiles of one chunk: ``(6, T, 1, W, C)`` for `x` ``(N, H, W, C)``."""
    return x.new_empty(6, len(_chunks(x, other)[0]), 1, *x.shape[2:])


def _tops(x: Tensor, tiles: range) -> Iterator[tuple[int, int]]:
    """Picture and first row of each tile."""
    for tile in tiles:
        n, row = divmod(tile, -(-x.shape[1] // TILE))
        yield n, TILE * row


def _map(matrix: Tensor, x: Tensor, tiles: range, mapped: Tensor) -> None:
    """Write six sums of the rows of `x` ``(N, H, W, C)`` in each tile, and around it if `matrix` has six columns.

    Rows outside the picture are zeros: their columns of `matrix` are left out.
    """
    for k, (n, top) in enumerate(_tops(x, tiles)):
        first = top - (matrix.shape[1] - TILE) // 2
        inside = slice(max(first, 0), min(first + matrix.shape[1], x.shape[1]))
        columns = matrix[:, inside.start - first : inside.stop - first]
        torch.mm(columns, x[n, inside].flatten(1), out=mapped[:, k].view(len(matrix), -1))


def _map_back(matrix: Tensor, products: Tensor, tiles: range, out: Tensor) -> None:
    """Write four rows of `out` ``(N, H, W, D)`` for each tile."""
    for k, (n, top) in enumerate(_tops(out, tiles)):
        rows = out[n, top : top + TILE]
        torch.mm(matrix[: len(rows)], products[:, k].flatten(1), out=rows.view(len(rows), -1))


def _row_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Gradient ``(D, C, 3)`` of a 1×3 kernel, of its input ``(T, 1, W, C)`` and its output's ``(T, 1, W, D)``."""
    if WIDE:
        geometry = ([1, 1], [0, 1], [1, 1], False, [0, 0], 1)
        weight = x.new_empty(grad.shape[-1], x.shape[-1], 1, 3).contiguous(memory_format=torch.channels_last)
        x, grad = x.permute(0, 3, 1, 2), grad.permute(0, 3, 1, 2)
        return torch.ops.aten.convolution_backward(grad, x, weight, None, *geometry, [False, True, False])[1].squeeze(2)
    # All pixels in one line, moved by one: what would meet over the end of a row is set to zero.
    line, line_grad = x.flatten(0, 2), grad.flatten(0, 2)
    but_first, but_last = grad.clone(), grad.clone()
    but_first[:, :, 0] = 0
    but_last[:, :, -1] = 0
    left = but_first.flatten(0, 2)[1:].T @ line[:-1]
    right = but_last.flatten(0, 2)[:-1].T @ line[1:]
    return torch.stack((left, line_grad.T @ line, right), -1)
