"""ReLU, then concatenation, with one tensor kept for the way back instead of two."""

import torch
import torch.nn.functional as F
from torch import Tensor


def relu_then_concat(x: Tensor, other: Tensor) -> Tensor:
    """``torch.cat([x.relu(), other], dim=1)``: ``(N, C, H, W)`` and ``(N, D, H, W)`` to ``(N, C + D, H, W)``.

    The way back through a ReLU needs its output. So PyTorch keeps that, although the joined tensor, kept for the next
    layer, holds the same values once more. Here the joined tensor serves both. On a picture's grid each of the two is
    among the largest tensors of a network.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or not torch.is_grad_enabled():
        return torch.cat([F.relu(x), other], dim=1)
    return _ReluThenConcat.apply(x, other)


class _ReluThenConcat(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, other: Tensor) -> Tensor:
        joined = torch.cat([x, other], dim=1)
        joined[:, : x.shape[1]].relu_()
        return joined

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], joined: Tensor) -> None:
        ctx.channels = inputs[0].shape[1]
        ctx.save_for_backward(joined)
        ctx.save_for_forward(joined)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        (joined,), channels = ctx.saved_tensors, ctx.channels
        return torch.ops.aten.threshold_backward(grad[:, :channels], joined[:, :channels], 0), grad[:, channels:]

    @staticmethod
    def jvp(ctx, change: Tensor, other_change: Tensor) -> Tensor:
        (joined,), channels = ctx.saved_tensors, ctx.channels
        rectified = torch.ops.aten.threshold_backward(change, joined[:, :channels], 0)
        return torch.cat([rectified, other_change], dim=1)
