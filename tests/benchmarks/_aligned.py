"""A candidate: convolutions whose channels come in eights inside, as the matrix units of a GPU read 16-bit numbers.

The tail of a `course_utils.unet.DynamicUnet` with ``last_cross`` has 99 channels: 96, and the three of the picture.
Five channels of zeros more make it 104, whose weights are zeros too: the same sums, with zeros added. Whether that pays
has not been measured yet: `compare_networks eights` does it, on a GPU.
"""

import torch.nn.functional as F
from torch import Tensor, nn

ALIGNMENT = 8
"""Channels of 16 bits in the 16 bytes that a matrix unit reads at once."""

DEVICES = ("cuda",)
"""Where there are such units."""


class AlignedConv2d(nn.Conv2d):
    """A convolution that pads its channels with zeros to a multiple of `ALIGNMENT` while it calculates, on `DEVICES`.

    Same weights, same output ``(N, out_channels, H', W')``, same gradients, to rounding. In eager mode it copies its
    input and its output once more; `torch.compile` writes the zeros together with whatever comes before.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        extra_in, extra_out = -self.in_channels % ALIGNMENT, -self.out_channels % ALIGNMENT
        if input.device.type not in DEVICES or not (extra_in or extra_out):
            return super()._conv_forward(input, weight, bias)
        weight = F.pad(weight, (0, 0, 0, 0, 0, extra_in, 0, extra_out))
        bias = None if bias is None else F.pad(bias, (0, extra_out))
        padded = super()._conv_forward(_more_channels(input, extra_in), weight, bias)
        return _more_channels(padded, -extra_out)


def _more_channels(x: Tensor, count: int) -> Tensor:
    """`x` ``(N, C, H, W)`` or ``(C, H, W)`` with `count` channels of zeros more, or ``-count`` less.

    By `F.pad` also where a slice would do: the gradient of a slice is not in channels_last.
    """
    return F.pad(x, (0, 0, 0, 0, 0, count)) if count else x


def use_aligned_channels(model: nn.Module) -> int:
    """Switch the convolutions of `model`, in place, to `AlignedConv2d` where that adds channels; returns how many.

    Weights, names and state dict stay as they are. Switched are plain `nn.Conv2d` without groups.
    """
    switched = [
        module
        for module in model.modules()
        if type(module) is nn.Conv2d
        and module.groups == 1
        and (module.in_channels % ALIGNMENT or module.out_channels % ALIGNMENT)
    ]
    for module in switched:
        module.__class__ = AlignedConv2d
    return len(switched)
