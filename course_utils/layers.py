"""The small parts that upsampling and the U-Net share: convolution + norm + activation, residual block, self-attention.

Each module here pickles whole, which torch's own weight and spectral norm parametrisations do not.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_choice, check_whole, is_number

LARGEST = 1e30
"""No limit of a range may lie beyond: in 32 bits the distance of two of them stays finite."""
NORM_TYPES = (None, "batch", "instance", "weight", "spectral")
ActivationFactory = Callable[[], nn.Module]


def check_activation(act_cls: object) -> None:
    """Raise a `ValueError` unless calling `act_cls` makes an activation."""
    try:
        made = None if isinstance(act_cls, nn.Module) else act_cls()
    except TypeError:  # no function, or one such as F.relu that wants a tensor
        made = None
    if not isinstance(made, nn.Module):
        raise ValueError(f"act_cls={act_cls!r} makes no activations; give a class such as nn.ReLU, without brackets.")


def activation(act_cls: ActivationFactory) -> nn.Module:
    """What `act_cls` makes, but a ReLU that overwrites its input: the same values, less memory.

    For places where nothing else needs that input: behind a convolution, a norm, a sum, a `torch.cat`, a pixel shuffle
    or a pooling. As with every layer in place, a full backward hook on the module before it fails.
    """
    made = act_cls()
    return nn.ReLU(inplace=True) if type(made) is nn.ReLU else made


class WeightNormConv2d(nn.Conv2d):
    """Convolution whose kernels are stored as length times direction (Salimans & Kingma 2016).

    ``weight = weight_g * weight_v / |weight_v|`` with one length for each output channel.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        weight = self._parameters.pop("weight")
        self.weight_g = nn.Parameter(torch.empty(weight.shape[0], 1, 1, 1))
        self.weight_v = nn.Parameter(weight.detach().clone())
        self.set_weight(weight)

    @torch.no_grad()
    def set_weight(self, weight: Tensor) -> None:
        """Make the effective kernel equal to `weight`, shape ``(out_channels, in_channels, kH, kW)``."""
        self.weight_v.copy_(weight)
        self.weight_g.copy_(torch.linalg.vector_norm(weight, dim=(1, 2, 3), keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(self.weight_v, dim=(1, 2, 3), keepdim=True)
        return self._conv_forward(x, self.weight_g * self.weight_v / length, self.bias)


class _SpectralNorm(nn.Module):
    """A kernel divided by its largest singular value, found by one power iteration a training step."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.weight_orig = nn.Parameter(weight.detach().clone())
        self.register_buffer("weight_u", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("weight_v", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        with torch.no_grad():
            for _ in range(15):
                self._iterate(matrix)

    def _iterate(self, matrix: Tensor) -> None:
        self.weight_v.copy_(F.normalize(matrix.T @ self.weight_u, dim=0))
        self.weight_u.copy_(F.normalize(matrix @ self.weight_v, dim=0))

    def forward(self) -> Tensor:
        if self.training:
            with torch.no_grad():
                self._iterate(self.weight_orig.flatten(1))
        # Clones: the buffers change in place at the next step, while backward still needs today's values.
        sigma = torch.dot(self.weight_u.clone(), torch.mv(self.weight_orig.flatten(1), self.weight_v.clone()))
        return self.weight_orig / sigma


class SpectralNormConv2d(nn.Conv2d):
    """Convolution whose kernel, as a matrix, has largest singular value 1 (Miyato et al. 2018)."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.normalised = _SpectralNorm(self._parameters.pop("weight"))

    @torch.no_grad()
    def set_weight(self, weight: Tensor) -> None:
        """Make `weight`, shape ``(out_channels, in_channels, kH, kW)``, the kernel before normalisation."""
        self.normalised = _SpectralNorm(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.normalised(), self.bias)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm that also takes a grid of one pixel, whose deviation from its own mean is 0."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2] * x.shape[-1] == 1:
            return self.bias.view(1, -1, 1, 1) + 0 * self.weight.view(1, -1, 1, 1) * x  # no weight without a gradient
        return super().forward(x)


_CONVOLUTIONS = {"weight": WeightNormConv2d, "spectral": SpectralNormConv2d}


def set_conv_weight(conv: nn.Conv2d, weight: Tensor) -> None:
    """Write `weight` into a convolution of any norm type."""
    if hasattr(conv, "set_weight"):
        conv.set_weight(weight)
    else:
        with torch.no_grad():
            conv.weight.copy_(weight)


def init_kaiming_(conv: nn.Conv2d) -> None:
    """He-normal weights (He et al. 2015) and a bias of zero, in place."""
    weight = torch.empty(conv.out_channels, conv.in_channels // conv.groups, *conv.kernel_size)
    set_conv_weight(conv, nn.init.kaiming_normal_(weight))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


class ConvLayer(nn.Sequential):
    """Convolution, then norm, then activation: ``(N, in, H, W)`` to ``(N, out, H, W)`` for an odd `kernel_size`.

    Args:
        norm_type: ``None``, ``"batch"`` or ``"instance"`` put that layer after the convolution; ``"weight"`` and
            ``"spectral"`` normalise its kernel instead.
        act_cls: makes the activation; ``None`` leaves it out.
        norm_scale: what the norm's scale starts from (0 silences a residual branch at the start).

    Raises:
        ValueError: for an unknown norm, an activation that makes none, or no whole number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        norm_type: str | None = "batch",
        act_cls: ActivationFactory | None = nn.ReLU,
        norm_scale: float = 1.0,
    ) -> None:
        check_whole(in_channels=in_channels, out_channels=out_channels)
        check_choice("norm_type", norm_type, NORM_TYPES)
        if act_cls is not None:
            check_activation(act_cls)
        conv_cls = _CONVOLUTIONS.get(norm_type, nn.Conv2d)
        needs_bias = norm_type not in ("batch", "instance")
        conv = conv_cls(in_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, bias=needs_bias)
        init_kaiming_(conv)
        layers: list[nn.Module] = [conv]
        if norm_type == "batch":
            layers.append(batch_norm(out_channels, norm_scale))
        elif norm_type == "instance":
            layers.append(_start_norm(InstanceNorm(out_channels, affine=True), norm_scale))
        if act_cls is not None:
            layers.append(activation(act_cls))
        super().__init__(*layers)


def _start_norm(norm: nn.Module, scale: float) -> nn.Module:
    nn.init.constant_(norm.weight, scale)
    nn.init.constant_(norm.bias, 1e-3)
    return norm


def batch_norm(channels: int, scale: float = 1.0) -> nn.BatchNorm2d:
    """Batch norm that starts at `scale` and the tiny bias 1e-3, which keeps a ReLU after it from starting dead."""
    return _start_norm(nn.BatchNorm2d(channels), scale)


class _Residual(nn.Module):
    """`convpath` beside an identity path, added, then the activation; a 1×1 convolution where the channels differ."""

    def __init__(
        self,
        convpath: nn.Sequential,
        in_channels: int,
        out_channels: int,
        norm_type: str | None,
        act_cls: ActivationFactory,
    ) -> None:
        super().__init__()
        self.convpath = convpath
        self.idpath = (
            nn.Identity()
            if in_channels == out_channels
            else ConvLayer(in_channels, out_channels, kernel_size=1, norm_type=norm_type, act_cls=None)
        )
        self.act = activation(act_cls)

    def forward(self, x: Tensor) -> Tensor:
        changes, same = self.convpath(x), self.idpath(x)
        # Summed in place, like the ReLU. Under autocast one may be float32 beside bfloat16, and then so is the sum.
        return self.act(changes.add_(same) if changes.dtype == same.dtype else changes + same)


class ResBlock(_Residual):
    """Two 3×3 convolutions beside an identity path, added, then the activation (He et al. 2016).

    ``(N, in, H, W)`` becomes ``(N, out, H, W)``; where the channels differ the identity path is a 1×1 convolution.
    The second norm layer starts at zero, so that the block starts as its identity path.

    Args:
        hidden_channels: width between the two convolutions; ``out_channels`` if not given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int | None = None,
        norm_type: str | None = "batch",
        act_cls: ActivationFactory = nn.ReLU,
    ) -> None:
        hidden_channels = hidden_channels or out_channels
        convpath = nn.Sequential(
            ConvLayer(in_channels, hidden_channels, norm_type=norm_type, act_cls=act_cls),
            ConvLayer(hidden_channels, out_channels, norm_type=norm_type, act_cls=None, norm_scale=0.0),
        )
        super().__init__(convpath, in_channels, out_channels, norm_type, act_cls)


FEWEST_HIDDEN = 32
"""Channels inside a bottleneck block, where a quarter of its input's would be fewer."""


class BottleneckBlock(_Residual):
    """A residual block that looks around in a quarter of its channels: 1×1, 3×3, 1×1 (He et al. 2016).

    ``(N, in, H, W)`` becomes ``(N, out, H, W)``. Its 3×3 convolution works on a quarter of the channels, or on 32
    (or as many as there are) where that is less. With as many channels out as in, 128 or more, the block multiplies a
    seventeenth as often as a `ResBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_type: str | None = "batch",
        act_cls: ActivationFactory = nn.ReLU,
    ) -> None:
        check_whole(in_channels=in_channels, out_channels=out_channels)
        hidden = min(max(in_channels // 4, FEWEST_HIDDEN), in_channels)
        convpath = nn.Sequential(
            ConvLayer(in_channels, hidden, kernel_size=1, norm_type=norm_type, act_cls=act_cls),
            ConvLayer(hidden, hidden, norm_type=norm_type, act_cls=act_cls),
            ConvLayer(hidden, out_channels, kernel_size=1, norm_type=norm_type, act_cls=None, norm_scale=0.0),
        )
        super().__init__(convpath, in_channels, out_channels, norm_type, act_cls)


class SelfAttention(nn.Module):
    """Every pixel looks at every other (Zhang et al. 2018, "SAGAN"); starts as the identity.

    ``(N, C, H, W)`` in and out; memory grows with ``(H·W)²``, so it belongs on a small grid.
    ValueError for less than 8 channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 8:
            raise ValueError(f"self-attention needs at least 8 channels, and got {channels}.")
        self.query = self._projection(channels, channels // 8)
        self.key = self._projection(channels, channels // 8)
        self.value = self._projection(channels, channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    @staticmethod
    def _projection(in_channels: int, out_channels: int) -> nn.Conv2d:
        conv = SpectralNormConv2d(in_channels, out_channels, kernel_size=1, bias=False)
        init_kaiming_(conv)
        return conv

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (project(x).flatten(2) for project in (self.query, self.key, self.value))
        attention = torch.softmax(torch.bmm(query.transpose(1, 2), key), dim=1)
        mixed = torch.bmm(value, attention).reshape(x.shape)
        return self.gamma * mixed + x


class SigmoidRange(nn.Module):
    """Squash any number into the range from `low` to `high`; ValueError if it is none."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not (is_number(low) and is_number(high) and -LARGEST < low < high < LARGEST):
            raise ValueError(f"y_range needs low < high, numbers within ±{LARGEST:g}, and got ({low!r}, {high!r}).")
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x) * (self.high - self.low) + self.low
