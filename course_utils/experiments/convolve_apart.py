"""A decoder whose two paths are convolved apart in every block, and one with as many weights whose paths meet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_utils.unet import DynamicUnet


class HalvedConv(nn.Module):
    """Two convolutions side by side, ``(N, C, H, W)`` to ``(N, D, H, W)``, with the weights that `conv` has for them.

    The first `n_out` channels come from the inputs numbered `inputs`, the rest from the other ones.
    """

    def __init__(self, conv: nn.Conv2d, inputs: Sequence[int], n_out: int) -> None:
        super().__init__()
        self.inputs = list(inputs)
        self.others = [channel for channel in range(conv.in_channels) if channel not in self.inputs]
        self.first = _part(conv, self.inputs, slice(None, n_out))
        self.rest = _part(conv, self.others, slice(n_out, None))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.first(x[:, self.inputs]), self.rest(x[:, self.others])], dim=1)


@torch.no_grad()
def _part(conv: nn.Conv2d, inputs: list[int], outputs: slice) -> nn.Conv2d:
    weight = conv.weight[outputs, inputs]
    sizes = weight.shape[1], weight.shape[0], conv.kernel_size
    part = nn.Conv2d(*sizes, padding=conv.padding, bias=conv.bias is not None).to(weight)
    part.weight.copy_(weight)
    if conv.bias is not None:
        part.bias.copy_(conv.bias[outputs])
    return part


def convolve_apart(model: DynamicUnet) -> None:
    """Keep what comes from below and from across apart, in place, through both convolutions of every block.

    Outputs are shared out as the inputs are. The next block still reads both.
    """
    for block in model.blocks:
        _halve(block, range(_n_below(block)))


def convolve_mixed_halves(model: DynamicUnet) -> None:
    """As many weights as `convolve_apart` leaves, but both halves read from below and from across."""
    for block in model.blocks:
        channels, n = block.convs[0][0].in_channels, _n_below(block)
        _halve(block, [i * channels // n for i in range(n)])  # evenly spread over all


def _n_below(block: nn.Module) -> int:
    return block.convs[0][0].in_channels - block.skip_norm.num_features


def _halve(block: nn.Module, inputs: Sequence[int]) -> None:
    first, second = block.convs
    n_out = round(first[0].out_channels * len(inputs) / first[0].in_channels)
    first[0] = HalvedConv(first[0], inputs, n_out)
    second[0] = HalvedConv(second[0], range(n_out), n_out)
