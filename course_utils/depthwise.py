"""Gradients of depthwise convolutions in float32, for training in bfloat16 on a CPU.

A processor with instructions for bfloat16 convolves faster in it. Gradients of depthwise convolutions with a stride,
dilation or kernels above 3×3 are the exception: oneDNN takes a slow way for them, and a step of EfficientNet gains
little, or loses. Here they are calculated in float32 (figures: ``tests/benchmarks/README.md``).
"""

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from course_utils.same_convolution import SameConv2d


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, *geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return F.conv2d(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype), *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        exact = (part.to(torch.float32, memory_format=torch.channels_last) for part in (grad, x, weight))
        grad_x, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
            *exact, [len(weight)], stride, padding, dilation, False, [0, 0], groups, ctx.needs_input_grad[:3]
        )
        return None if grad_x is None else grad_x.to(x.dtype), grad_weight, grad_bias, *[None] * 4


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution whose gradients are computed in float32 where its output is in bfloat16, on a CPU.

    Same weights; same output as under autocast; gradients for the weights as they are stored, in float32, before
    autocast rounds them. Outside autocast to bfloat16, for anything but float32 weights and ``(N, C, H, W)``, on a GPU,
    under `torch.compile` and without gradients it is PyTorch's own. Gradients of gradients and `torch.func` are not
    available.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not _casts(input, weight, bias):
            return super()._conv_forward(input, weight, bias)
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        with torch.autocast("cpu", enabled=False):
            return _Convolution.apply(input.to(torch.bfloat16), weight, bias, *geometry)


class DepthwiseConv2dSame(SameConv2d, DepthwiseConv2d):
    """The same for a convolution that pads as TensorFlow does."""


_SWITCHED = {nn.Conv2d: DepthwiseConv2d, Conv2dSame: DepthwiseConv2dSame, SameConv2d: DepthwiseConv2dSame}


def use_float32_depthwise_gradients(model: nn.Module) -> int:
    """Switch `model`, in place, to channels_last and its slow depthwise convolutions to the above; returns how many.

    Weights, names and state dict stay as they are. Switched are those with zero padding given in numbers, or padded as
    TensorFlow does (timm's `Conv2dSame`, our `SameConv2d`), that are larger than 3×3 or have a stride or dilation: the
    others are quick in bfloat16.
    """
    model.to(memory_format=torch.channels_last)
    switched = [module for module in model.modules() if type(module) in _SWITCHED and _is_slow(module)]
    for module in switched:
        module.__class__ = _SWITCHED[type(module)]
    return len(switched)


def _is_slow(conv: nn.Conv2d) -> bool:
    depthwise = 1 < conv.groups == conv.in_channels
    plain = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    return depthwise and plain and (max(conv.kernel_size) > 3 or max(*conv.stride, *conv.dilation) > 1)


def _casts(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether a convolution is about to be run in bfloat16, and its gradients can be taken over."""
    return (
        x.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and x.ndim == 4
        and x.dtype in (torch.float32, torch.bfloat16)
        and weight.dtype == torch.float32
        and (bias is None or bias.dtype == torch.float32)
    )
