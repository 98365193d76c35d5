"""A convolution as one product of matrices, forward and backward: for coarse grids, on a CPU.

The window of each output pixel becomes one row of a matrix, and the kernels become the columns of another. On a grid of
few pixels, weights are most of what a convolution reads, and PyTorch's own rearranges all of them, at every step, for
the output and for each gradient. A matrix product takes them as they lie in memory in channels_last.

Throughout: any stride, a square kernel ``(D, C, k, k)`` of odd side, padding ``k // 2``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """``conv2d(x, weight, bias, stride, k // 2)``, ``(N, D, H', W')`` in channels_last; autograd does not see it.

    Args:
        x: ``(N, C, H, W)``; quickest in channels_last, as are the weights.
        weight: ``(D, C, k, k)``.
        bias: ``(D,)``.
    """
    windows = _windows(x, weight.shape[-1], stride)
    rows, columns = windows.shape[1:3]
    shape = len(x), len(weight), rows, columns
    found = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    product = _kernels(weight) @ windows.flatten(0, 2).T  # few windows times the weights would be slower
    out = found.permute(0, 2, 3, 1).view(-1, len(weight))
    if bias is None:
        out.copy_(product.T)
    else:
        torch.add(product.T, bias, out=out)
    return found


@torch.no_grad()
def input_gradient(grad: Tensor, weight: Tensor, shape: tuple[int, ...], stride: int) -> Tensor:
    """Gradient of the input, of `shape` ``(N, C, H, W)``: every window's is added where the window lay.

    Args:
        grad: gradient of the output, ``(N, D, H', W')``.
        weight: ``(D, C, k, k)``.
    """
    k, (n, channels, height, width) = weight.shape[-1], shape
    rows, columns = grad.shape[2:]
    windows = (grad.permute(0, 2, 3, 1) @ _kernels(weight)).unflatten(-1, (k, k, channels))
    found = grad.new_zeros(n, height + k - 1, width + k - 1, channels)
    for i in range(k):
        for j in range(k):
            below, right = i + stride * (rows - 1) + 1, j + stride * (columns - 1) + 1
            found[:, i:below:stride, j:right:stride] += windows[:, :, :, i, j]
    edge = k // 2
    inside = found[:, edge : edge + height, edge : edge + width]
    return inside.contiguous().permute(0, 3, 1, 2)  # from a slice, batch norm would go back slowly


@torch.no_grad()
def weight_gradient(x: Tensor, grad: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Gradient of the weights, ``(D, C, k, k)`` in channels_last.

    Args:
        x: the convolution's input, ``(N, C, H, W)``.
        grad: gradient of its output, ``(N, D, H', W')``.
    """
    windows = _windows(x, kernel_size, stride).flatten(0, 2)
    found = grad.permute(0, 2, 3, 1).flatten(0, 2).T @ windows
    return found.view(-1, kernel_size, kernel_size, x.shape[1]).permute(0, 3, 1, 2)


def _windows(x: Tensor, k: int, stride: int) -> Tensor:
    """What lies under the kernel at each output pixel: ``(N, H', W', k·k·C)``."""
    x = x.permute(0, 2, 3, 1)
    if k == 1:
        return x[:, ::stride, ::stride].contiguous()
    edge = k // 2
    padded = F.pad(x, (0, 0, edge, edge, edge, edge))
    return padded.unfold(1, k, stride).unfold(2, k, stride).permute(0, 1, 2, 4, 5, 3).flatten(3)


def _kernels(weight: Tensor) -> Tensor:
    """One row for each output channel, ``(D, k·k·C)``: no copy where the weights lie in channels_last."""
    return weight.permute(0, 2, 3, 1).flatten(1)
