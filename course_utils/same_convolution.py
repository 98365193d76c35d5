"""A convolution that pads as TensorFlow does, so written that a network exports with the sides of pictures open."""

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn


class SameConv2d(Conv2dSame):
    """timm's `Conv2dSame`, same weights and same output, with sizes that stay short where they are symbols.

    timm's padding names the size of its input three times, so after five of them, one inside another, the size of a
    grid is an expression of hundreds of terms: `torch.export` with open sides then takes minutes. Like timm's it can be
    traced; unlike timm's it cannot be scripted.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, D, ⌈H / stride⌉, ⌈W / stride⌉)``."""
        out = self._conv_forward(self.pad(x), self.weight, self.bias)
        if torch.compiler.is_exporting():
            height, width = (-(-side // step) for side, step in zip(x.shape[-2:], self.stride, strict=True))
            out = out.narrow(-2, 0, height).narrow(-1, 0, width)  # all of it, by a shorter name
        return out

    def pad(self, x: Tensor) -> Tensor:
        """`x` with the zeros around it that this convolution wants, one more below and on the right if it is odd."""
        padding = []
        for side, kernel, stride, dilation in zip(
            x.shape[:-3:-1], self.kernel_size[::-1], self.stride[::-1], self.dilation[::-1], strict=True
        ):
            overlap = (kernel - 1) * dilation + 1 - stride
            missing = -side % stride + overlap
            if overlap < 0:  # a stride that leaves pixels out
                missing = missing.clamp(min=0) if isinstance(missing, Tensor) else max(missing, 0)  # traced, or not
            padding += [missing // 2, missing - missing // 2]
        return F.pad(x, padding)


def use_short_sizes(model: nn.Module) -> None:
    """Switch timm's `Conv2dSame` in `model`, in place, to `SameConv2d`; weights, names and outputs stay."""
    for module in model.modules():
        if type(module) is Conv2dSame:
            module.__class__ = SameConv2d
