"""Weight gradients of 3×3 convolutions with a quarter of the multiplications, for training on a CPU.

Winograd's trick (Lavin and Gray 2016): cut the picture into tiles, map each tile to a domain where convolving is
multiplying entry by entry, and map back at the end. A weight gradient sums over all tiles, so it maps back only once,
and the sums are 36 matrix products. Nine products of a pixel become 36 of a tile of sixteen: 2.25.

Why gradients only: oneDNN's forward pass and input gradient are fast in channels_last; its weight gradient there, with
the AVX2 instructions of many processors, is several times slower than in any other layout. With AVX-512 it is not, and
the trick pays on large grids only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from course_utils.checks import describe
from course_utils.memory_format import to_channels_last

TILE = 4
"""Side of the tiles of the output; those of the input overlap and are two pixels larger."""

CHUNK_BYTES = 8 * 2**20
"""So much of the mapped input at a time stays in a processor's cache."""

FEWEST_PIXELS, FEWEST_CHANNELS = {"AVX512": (2048, 96)}.get(torch.backends.cpu.get_cpu_capability(), (128, 1))
"""Least ``N·H·W`` of a batch, and least input and output channels of a 3×3 kernel; with fewer, mapping costs more than
it saves."""

_INPUT = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_KERNEL = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def _on_both_axes(rows: list[list[float]]) -> Tensor:
    matrix = torch.tensor(rows, dtype=torch.float64, device="cpu")
    return torch.kron(matrix, matrix)


_MAPPINGS = _on_both_axes(_INPUT), _on_both_axes(_OUTPUT).T.contiguous(), _on_both_axes(_KERNEL).T.contiguous()
"""Of an input tile ``(36, 36)``, an output tile's gradient ``(36, 16)``, and back to a kernel ``(9, 36)``.

The three matrices of Lavin and Gray for tiles of four (points 0, 1, -1, 2, -2 and infinity), applied to rows and
columns at once.
"""


def weight_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Gradient ``(D, C, 3, 3)`` of the weights of ``conv2d(x, weight, padding=1)``, on a CPU.

    Args:
        x: the convolution's input, ``(N, C, H, W)``; quickest in channels_last.
        grad: gradient of its output, ``(N, D, H, W)``.

    Raises:
        ValueError: if they are not both float32 or both float64, or differ in `N`, `H` or `W`.
    """
    exact = x.dtype == grad.dtype and x.dtype in (torch.float32, torch.float64)
    if not exact or not x.ndim == grad.ndim == 4 or len(x) != len(grad) or x.shape[2:] != grad.shape[2:]:
        raise ValueError(
            f"x is {describe(x)} and grad {describe(grad)}, not (N, C, H, W) and (N, D, H, W), "
            "both float32 or both float64."
        )
    if not x.numel() or not grad.numel():
        return x.new_zeros(grad.shape[1], x.shape[1], 3, 3)
    height, width = x.shape[2:]
    x, grad = x.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)  # (N, H, W, C) and (N, H, W, D)
    map_input, map_gradient, map_back = (mapping.to(x.dtype) for mapping in _MAPPINGS)
    across = -(-width // TILE)
    bytes_of_a_row = 36 * across * len(x) * x.shape[-1] * x.element_size()
    step = TILE * max(1, CHUNK_BYTES // bytes_of_a_row)
    found = None
    for top in range(0, height, step):
        bottom = min(top + step, height)
        rows = TILE * -(-(bottom - top) // TILE)
        sides = (0, 0, 1, TILE * across + 1 - width)
        above, below = max(top - 1, 0), min(top + rows + 1, height)
        part = F.pad(x[:, above:below], (*sides, above - (top - 1), top + rows + 1 - below))
        part_grad = F.pad(grad[:, top:bottom], (0, 0, 0, TILE * across - width, 0, rows - (bottom - top)))
        mapped = _mapped(map_input, part, TILE + 2, rows // TILE, across)
        mapped_grad = _mapped(map_gradient, part_grad, TILE, rows // TILE, across)
        products = mapped_grad.transpose(1, 2), mapped
        found = torch.bmm(*products) if found is None else found.baddbmm_(*products)
    return (map_back @ found.flatten(1)).view(3, 3, *found.shape[1:]).permute(2, 3, 0, 1).contiguous()


def _mapped(mapping: Tensor, x: Tensor, side: int, down: int, across: int) -> Tensor:
    """Tiles of `x` ``(N, H, W, C)``, `side` wide and `TILE` apart, through `mapping`: ``(36, N·down·across, C)``."""
    x = x.contiguous()
    picture, row, column, channel = x.stride()
    tiles = x.as_strided(
        (side, side, len(x), down, across, x.shape[-1]), (row, column, picture, TILE * row, TILE * column, channel)
    )
    return (mapping @ tiles.reshape(side * side, -1)).view(36, -1, x.shape[-1])


class _Convolution(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return F.conv2d(x, weight, bias, padding=padding)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        wanted = ctx.needs_input_grad
        geometry = ([1, 1], [ctx.padding] * 2, [1, 1], False, [0, 0], 1)
        grad_x = grad_weight = None
        if wanted[0]:
            mask = [True, False, False]
            grad_x = torch.ops.aten.convolution_backward(grad, x, weight, None, *geometry, mask)[0]
        if wanted[1] and weight.shape[-1] == 3:
            grad_weight = weight_gradient(x, grad)
        elif wanted[1]:
            flat_x, flat_grad = (part.permute(0, 2, 3, 1).reshape(-1, part.shape[1]) for part in (x, grad))
            grad_weight = (flat_grad.T @ flat_x).view_as(weight)
        grad_bias = grad.sum((0, 2, 3)) if wanted[2] else None
        return grad_x, grad_weight, grad_bias, None


class WinogradConv2d(nn.Conv2d):
    """A 3×3 or 1×1 convolution of stride 1 whose weight gradient is computed as above, where that is quicker.

    Same weights, same output, same gradients to rounding. Other geometries, autocast, GPUs, grids below
    `FEWEST_PIXELS`, 3×3 kernels below `FEWEST_CHANNELS` and `torch.compile` take PyTorch's own way. Gradients of
    gradients are not available, nor are `torch.func` and forward-mode derivatives.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        quick = (
            _fits(self)
            and weight.requires_grad
            and torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
            and input.device.type == "cpu"
            and not torch.is_autocast_enabled("cpu")
            and input.dtype in (torch.float32, torch.float64)
            and input.ndim == 4
            and (self.kernel_size == (1, 1) or min(weight.shape[:2]) >= FEWEST_CHANNELS)
            and len(input) * input.shape[2] * input.shape[3] >= FEWEST_PIXELS
        )
        if not quick:
            return super()._conv_forward(input, weight, bias)
        return _Convolution.apply(input, weight, bias, self.padding[0])


def use_winograd(model: nn.Module) -> int:
    """Switch `model`, in place, to channels_last and its convolutions to `WinogradConv2d`; returns how many.

    Weights, names and state dict stay as they are. Switched are plain convolutions of stride 1 with a 3×3 kernel and
    padding 1, or a 1×1 kernel without padding.

    Raises:
        ValueError: if a layer of `model` is lazy and still without weights, or has five dimensions, as of `nn.Conv3d`.
    """
    to_channels_last(model)
    switched = [module for module in model.modules() if type(module) is nn.Conv2d and _fits(module)]
    for module in switched:
        module.__class__ = WinogradConv2d
    return len(switched)


def _fits(conv: nn.Conv2d) -> bool:
    plain = conv.stride == (1, 1) and conv.dilation == (1, 1) and conv.groups == 1 and conv.padding_mode == "zeros"
    return plain and (conv.kernel_size, conv.padding) in {((3, 3), (1, 1)), ((1, 1), (0, 0))}
