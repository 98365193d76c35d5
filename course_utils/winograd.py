"""3×3 convolutions with half of the multiplications, forward and backward, for training on a CPU.

Winograd's trick (Lavin and Gray 2016) along the rows of a picture: four rows of the output need six products of
mapped input rows with mapped kernel rows, not twelve. Such a product is a 1×3 convolution, which PyTorch does itself.
The maps evaluate and interpolate polynomials at 0, 1, -1, 2, -2 and infinity: sums of whole rows with small whole
factors, which read memory in order and copy no tiles. Along both axes the trick multiplies four times less instead of
twice, but its tiles have to be cut out, its products are many small ones, and its rounding is larger. Where an input
is infinite, not a number, or within a factor of ten of the largest float, up to five rows around it are not a number.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.tensor_checks import describe

TILE = 4
"""Rows of the output that are calculated together, from six of the input."""

CHUNK_BYTES = 2 * 2**20
"""Of one mapped piece: few enough to stay in a processor's cache."""

WIDE = torch.backends.cpu.get_cpu_capability() == "AVX512"
"""Limited to AVX2, oneDNN's weight gradients in channels_last were slow: all but AVX-512 take matrix products."""

EXACT = (torch.float32, torch.float64)

_KERNEL = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
"""Lavin and Gray's map of the three rows of a kernel; those of input and output are written out below."""


@torch.no_grad()
def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``conv2d(x, weight, bias, padding=1)``, ``(N, D, H, W)`` in channels_last, on a CPU.

    Autograd does not see it; `course_utils.fast_convolution` has both ways.

    Args:
        x: ``(N, C, H, W)``, none of them 0; quickest in channels_last.
        weight: ``(D, C, 3, 3)``.
        bias: ``(D,)``.

    Raises:
        ValueError: if they have other shapes, or are not both float32 or both float64.
    """
    fits = x.ndim == weight.ndim == 4 and weight.shape[1:] == (x.shape[1], 3, 3)
    if not fits or not x.numel() or x.dtype != weight.dtype or x.dtype not in EXACT:
        raise ValueError(
            f"x is {describe(x)} and weight {describe(weight)}, not (N, C, H, W) and (D, C, 3, 3), "
            "both float32 or both float64."
        )
    if bias is not None and (bias.shape != weight.shape[:1] or bias.dtype != weight.dtype):
        raise ValueError(f"bias is {describe(bias)}, and weight {describe(weight)}: it must be (D,) of the same type.")
    x = x.permute(0, 2, 3, 1).contiguous()
    height = x.shape[1]
    kernels = torch.einsum("ik,dckl->idlc", _matrix(weight), weight).permute(0, 1, 3, 2).unsqueeze(3)
    biases = [None, bias, None, None, None, None]  # the second product is added to each of the four rows, once
    shape = len(x), len(weight), *x.shape[1:3]
    found = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    out = found.permute(0, 2, 3, 1)
    for top, rows in _chunks(x, out):
        mapped = _map_input(_rows(x, top - 1, rows + 2))
        products = (
            F.conv2d(part.permute(0, 3, 1, 2), kernel, bias, padding=(0, 1)).permute(0, 2, 3, 1)
            for part, kernel, bias in zip(mapped, kernels, biases, strict=True)
        )
        whole = top + rows <= height
        target = out[:, top : top + rows] if whole else out.new_empty(len(out), rows, *out.shape[2:])
        _map_back(products, target.unflatten(1, (-1, TILE)))
        if not whole:
            out[:, top:] = target[:, : height - top]
    return found


@torch.no_grad()
def weight_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Gradient ``(D, C, 3, 3)`` of the weights of ``conv2d(x, weight, padding=1)``, on a CPU.

    Args:
        x: the convolution's input, ``(N, C, H, W)``; quickest in channels_last.
        grad: gradient of its output, ``(N, D, H, W)``.

    Raises:
        ValueError: if they are not both float32 or both float64, or differ in `N`, `H` or `W`.
    """
    exact = x.dtype == grad.dtype and x.dtype in EXACT
    if not exact or not x.ndim == grad.ndim == 4 or len(x) != len(grad) or x.shape[2:] != grad.shape[2:]:
        raise ValueError(
            f"x is {describe(x)} and grad {describe(grad)}, not (N, C, H, W) and (N, D, H, W), "
            "both float32 or both float64."
        )
    if not x.numel() or not grad.numel():
        return x.new_zeros(grad.shape[1], x.shape[1], 3, 3)
    x, grad = (part.permute(0, 2, 3, 1).contiguous() for part in (x, grad))
    found = x.new_zeros(6, grad.shape[-1], x.shape[-1], 3)
    for top, rows in _chunks(x, grad):
        mapped = _map_input(_rows(x, top - 1, rows + 2))
        mapped_grad = _map_gradient(_rows(grad, top, rows).unflatten(1, (-1, TILE)))
        found += torch.stack([_row_gradient(*pair) for pair in zip(mapped, mapped_grad, strict=True)])
    return torch.einsum("ik,idcl->dklc", _matrix(found), found).permute(0, 3, 1, 2)  # channels_last, as the weights


def _matrix(like: Tensor) -> Tensor:
    return torch.tensor(_KERNEL, dtype=like.dtype, device=like.device)


def _chunks(x: Tensor, out: Tensor) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each piece of a picture; only the last can reach beyond the picture's end."""
    tiles = -(-x.shape[1] // TILE)
    row = len(x) * x.shape[2] * max(x.shape[3], out.shape[3]) * x.element_size()
    pieces = -(-tiles // max(1, CHUNK_BYTES // row))
    step = TILE * -(-tiles // pieces)
    for top in range(0, TILE * tiles, step):
        yield top, min(step, TILE * tiles - top)


def _rows(x: Tensor, top: int, rows: int) -> Tensor:
    """So many rows of `x` ``(N, H, W, C)`` from `top` on, zeros where there are none."""
    above, below = max(-top, 0), max(top + rows - x.shape[1], 0)
    part = x[:, top + above : top + rows - below]
    return F.pad(part, (0, 0, 0, 0, above, below)) if above or below else part


def _map_input(x: Tensor) -> Iterator[Tensor]:
    """Six ``(N, T, W, C)`` of `x` ``(N, 4·T + 2, W, C)``, one after another: so each is used and freed in the cache."""
    x0, x1, x2, x3, x4, x5 = (x[:, k : x.shape[1] - 5 + k : TILE] for k in range(6))
    yield torch.sub(x4, x2, alpha=5).add_(x0, alpha=4)
    even, odd = torch.sub(x4, x2, alpha=4), torch.sub(x3, x1, alpha=4)
    yield even + odd
    yield even.sub_(odd)
    even, odd = x4 - x2, x3 - x1
    yield torch.add(even, odd, alpha=2)
    yield even.sub_(odd, alpha=2)
    yield torch.sub(x5, x3, alpha=5).add_(x1, alpha=4)


def _map_back(products: Iterator[Tensor], out: Tensor) -> None:
    """Write four rows ``(N, T, 4, W, D)`` of six products ``(N, T, W, D)``, each calculated when it is needed."""
    out0, out1, out2, out3 = out.unbind(2)
    zero, one, minus_one = next(products), next(products), next(products)
    sum1, difference1 = one + minus_one, one.sub_(minus_one)
    torch.add(zero, sum1, out=out0)
    del zero, one, minus_one
    two, minus_two = next(products), next(products)
    sum2, difference2 = two + minus_two, two.sub_(minus_two)
    out0.add_(sum2)
    torch.add(difference1, difference2, alpha=2, out=out1)
    torch.add(sum1, sum2, alpha=4, out=out2)
    torch.add(difference1, difference2, alpha=8, out=out3)
    out3.add_(next(products))


def _map_gradient(grad: Tensor) -> Iterator[Tensor]:
    """The transpose of `_map_back`: six ``(N, T, W, D)`` of the gradients ``(N, T, 4, W, D)`` of four rows."""
    g0, g1, g2, g3 = grad.unbind(2)
    yield g0
    even, odd = g0 + g2, g1 + g3
    yield even + odd
    yield even.sub_(odd)
    even, odd = torch.add(g0, g2, alpha=4), torch.add(g1, g3, alpha=4)
    yield torch.add(even, odd, alpha=2)
    yield even.sub_(odd, alpha=2)
    yield g3


def _row_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Gradient ``(D, C, 3)`` of a 1×3 kernel, of its input ``(N, T, W, C)`` and its output's ``(N, T, W, D)``."""
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
