"""Convolutions that are quicker on a CPU than PyTorch's own, forward and backward: the same maths, to rounding.

Which way is quicker depends on the grid. On a fine one, multiplications are the cost, and Winograd's trick halves those
of 3×3 kernels (`course_utils.winograd`). On a coarse one it is the weights, and one product of matrices reads them as
they are (`course_utils.matrix_convolution`), which suits the weight gradients of all 1×1 kernels, too. In between,
PyTorch's own way is as quick.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import matrix_convolution, winograd
from course_utils.winograd import WIDE

FEWEST_CHANNELS, FEWEST_ROWS, LEAST_WORK = 96, 12, 5.5e7 if WIDE else 2e7
"""Winograd's trick: least input and output channels, rows, and ``N·H·W · (C·D / (C + D))²``; below, it costs more.

It saves a share of ``N·H·W · C·D`` multiplications, and its maps take ``N·H·W · (C + D)``. It calculates four rows at a
time, so the last of few are mostly zeros. The square, and the bounds, were found by trial on an Intel Xeon, the second
of them with AVX-512 switched off.
"""

COARSE = 1.0
"""Matrix products: most pixels ``N·H·W`` of the output for each of its channels, for the gradient of the weights.

For output and input, whose windows cost more, ``2 / k²`` as many.
"""


def _ways(conv: nn.Conv2d, x: Tensor) -> tuple[str, str]:
    """How to calculate the output and its input's gradient, and how the gradient of the weights."""
    k, stride, channels = conv.kernel_size[0], conv.stride[0], conv.out_channels
    pixels = len(x) * -(-x.shape[2] // stride) * -(-x.shape[3] // stride)
    if pixels * k * k <= 2 * COARSE * channels:  # cutting out windows costs k² times the pixels
        return "matrix", "matrix"
    wide = k == 3 and stride == 1 and min(conv.in_channels, channels) >= FEWEST_CHANNELS
    work = pixels * (conv.in_channels * channels / (conv.in_channels + channels)) ** 2
    way = "winograd" if wide and x.shape[2] >= FEWEST_ROWS and work >= LEAST_WORK else "torch"
    return way, "matrix" if k == 1 or pixels <= COARSE * channels else way


class _Convolution(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, ways: tuple[str, str]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.ways = stride, ways
        if ways[0] == "winograd":
            return winograd.convolve(x, weight, bias)
        if ways[0] == "matrix":
            return matrix_convolution.convolve(x, weight, bias, stride)
        return F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), stride, (way, way_of_weights) = ctx.saved_tensors, ctx.stride, ctx.ways
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # for gradients of gradients: PyTorch's own way has one
            return *_by_torch(x, weight, grad, stride, (wants_x, wants_weight, wants_bias)), None, None
        grad = grad.contiguous(memory_format=torch.channels_last)
        rest = wants_x and way == "torch", wants_weight and way_of_weights == "torch", False
        grad_x, grad_weight, _ = _by_torch(x, weight, grad, stride, rest) if any(rest) else (None, None, None)
        if wants_x and way == "winograd":
            grad_x = winograd.convolve(grad, weight.flip(2, 3).transpose(0, 1))
        elif wants_x and way == "matrix":
            grad_x = matrix_convolution.input_gradient(grad, weight, x.shape, stride)
        if wants_weight and way_of_weights == "winograd":
            grad_weight = winograd.weight_gradient(x, grad)
        elif wants_weight and way_of_weights == "matrix":
            grad_weight = matrix_convolution.weight_gradient(x, grad, weight.shape[-1], stride)
        return grad_x, grad_weight, grad.sum((0, 2, 3)) if wants_bias else None, None, None


def _by_torch(
    x: Tensor, weight: Tensor, grad: Tensor, stride: int, wants: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    """Gradients of input, weights and bias, those that are wanted."""
    geometry = ([len(weight)], [stride] * 2, [weight.shape[-1] // 2] * 2, [1, 1], False, [0, 0], 1)
    return torch.ops.aten.convolution_backward(grad, x, weight, *geometry, wants)


class FastConv2d(nn.Conv2d):
    """A 3×3 or 1×1 convolution that takes the quickest of these ways.

    Same weights, same output and gradients to rounding. Other geometries, autocast, GPUs, empty batches, products in
    bfloat16 (``torch.set_float32_matmul_precision("medium")``), `torch.compile` and `torch.export` take PyTorch's own
    way. Not available are the transforms of `torch.func`, as ``grad`` and ``vmap``, forward-mode derivatives,
    `torch.fx` and TorchScript.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        possible = (
            _fits(self)
            and not torch.compiler.is_compiling()
            and input.device.type == "cpu"
            and not torch.is_autocast_enabled("cpu")
            and input.dtype == weight.dtype
            and input.dtype in (torch.float32, torch.float64)
            and input.ndim == 4
            and input.shape[1] == weight.shape[1]
            and (bias is None or bias.dtype == weight.dtype)
            and input.numel() > 0
            and not _products_are_rounded()
        )
        ways = _ways(self, input) if possible else ("torch", "torch")
        if ways == ("torch", "torch"):
            return super()._conv_forward(input, weight, bias)
        return _Convolution.apply(input, weight, bias, self.stride[0], ways)


def use_fast_convolutions(model: nn.Module) -> int:
    """Switch `model`, in place, to channels_last and its convolutions to `FastConv2d`; returns how many.

    Weights, names and state dict stay as they are. Switched are plain convolutions with a 3×3 kernel and padding 1,
    or a 1×1 kernel without padding, of any stride.
    """
    model.to(memory_format=torch.channels_last)
    switched = [module for module in model.modules() if type(module) is nn.Conv2d and _fits(module)]
    for module in switched:
        module.__class__ = FastConv2d
    return len(switched)


def _products_are_rounded() -> bool:
    """Whether oneDNN has been allowed to round the factors of float32 products to bfloat16."""
    settings = torch.backends.mkldnn
    return "bf16" in (settings.matmul.fp32_precision, settings.conv.fp32_precision)


def _fits(conv: nn.Conv2d) -> bool:
    plain = conv.dilation == (1, 1) and conv.groups == 1 and conv.padding_mode == "zeros"
    square = conv.stride[0] == conv.stride[1]
    return plain and square and (conv.kernel_size, conv.padding) in {((3, 3), (1, 1)), ((1, 1), (0, 0))}
