"""Double the grid: transposed convolution, interpolation + convolution, pixel shuffle with ICNR."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_choice, check_flags, check_whole
from course_utils.layers import (
    ActivationFactory,
    ConvLayer,
    activation,
    check_activation,
    set_conv_weight,
)
from course_utils.tensor_checks import describe


@torch.no_grad()
def icnr_(weight: Tensor, scale: int = 2, init: Callable[[Tensor], Tensor | None] = nn.init.kaiming_normal_) -> Tensor:
    """Fill a convolution's `weight` in place so that the pixel shuffle after it starts without a checkerboard.

    The ``scale²`` kernels that feed one output channel start equal, so the shuffled picture is the nearest-neighbour
    upsampling of a convolution with ``out_channels / scale²`` channels (Aitken et al. 2017).

    Args:
        weight: shape ``(out_channels, in_channels, kH, kW)``, ``out_channels`` a multiple of ``scale²``.
        init: fills the smaller kernel in place, and may return it.

    Raises:
        ValueError: if `weight` holds no floats, or ``out_channels`` is not a multiple of ``scale²``.
    """
    check_whole(scale=scale)
    if not isinstance(weight, Tensor) or not weight.ndim or not weight.is_floating_point():
        raise ValueError(f"weight is {describe(weight)}, not floats (out_channels, in_channels, kH, kW).")
    out_channels = weight.shape[0]
    if out_channels % scale**2:
        raise ValueError(
            f"icnr_ needs out_channels divisible by scale² = {scale}² = {scale**2}, and got {out_channels}."
        )
    kernel = torch.empty(out_channels // scale**2, *weight.shape[1:], dtype=weight.dtype, device=weight.device)
    returned = init(kernel)
    kernel = kernel if returned is None else returned
    return weight.copy_(kernel.repeat_interleave(scale**2, dim=0))


class PixelShuffleICNR(nn.Sequential):
    """Convolution to ``out_channels · scale²`` channels, norm, activation, then pixel shuffle.

    ``(N, in_channels, H, W)`` becomes ``(N, out_channels, scale·H, scale·W)``. This is the sub-pixel convolution of
    Shi et al. (2016), who take kernels of 3; the lecture takes 1.

    Args:
        out_channels: as many as ``in_channels`` if not given.
        blur: average each pixel with its left, upper and upper left neighbours: 2 × 2 pixels at any scale. At scale 2
            this removes what checkerboard training leaves (Sugawara et al. 2018).
        icnr: start from equal kernels; ``False`` keeps the random start that shows the checkerboard.
        kernel_size: of the convolution, odd; its input is padded with zeros, so that the grid stays.

    Raises:
        ValueError: if an argument is out of range, or `kernel_size` is even.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        scale: int = 2,
        blur: bool = False,
        icnr: bool = True,
        norm_type: str | None = None,
        act_cls: ActivationFactory | None = nn.ReLU,
        kernel_size: int = 1,
    ) -> None:
        check_whole(scale=scale, kernel_size=kernel_size)
        check_flags(blur=blur, icnr=icnr)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} is even and cannot keep the grid; take an odd one.")
        out_channels = in_channels if out_channels is None else out_channels
        check_whole(in_channels=in_channels, out_channels=out_channels)
        shape = (out_channels * scale**2, in_channels, kernel_size, kernel_size)
        conv = ConvLayer(in_channels, shape[0], kernel_size, norm_type, act_cls)
        if icnr:
            set_conv_weight(conv[0], icnr_(torch.empty(shape), scale))
        layers = [conv, nn.PixelShuffle(scale)]
        if blur:
            layers += [nn.ReplicationPad2d((1, 0, 1, 0)), nn.AvgPool2d(2, stride=1)]
        super().__init__(*layers)


class InterpolateConv(nn.Module):
    """Interpolate to ``scale`` times the grid, then a 3×3 convolution of stride 1 (Odena et al. 2016).

    ``(N, in_channels, H, W)`` becomes ``(N, out_channels, scale·H, scale·W)``.

    Raises:
        ValueError: for a `mode` other than ``"nearest"`` and ``"bilinear"``, or a picture that is not (N, C, H, W).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        mode: str = "nearest",
        norm_type: str | None = None,
        act_cls: ActivationFactory | None = nn.ReLU,
    ) -> None:
        super().__init__()
        check_whole(scale=scale)
        check_choice("mode", mode, ("nearest", "bilinear"))
        self.scale, self.mode = scale, mode
        self.conv = ConvLayer(in_channels, out_channels, norm_type=norm_type, act_cls=act_cls)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"x of shape {tuple(x.shape)} is not (N, C, H, W).")
        align_corners = False if self.mode == "bilinear" else None
        return self.conv(F.interpolate(x, scale_factor=self.scale, mode=self.mode, align_corners=align_corners))


class TransposedConv(nn.Sequential):
    """Transposed convolution whose output is exactly ``stride`` times the grid, then the activation.

    ``(N, in_channels, H, W)`` becomes ``(N, out_channels, stride·H, stride·W)``: padding and output padding follow from
    ``kernel_size - 2·padding + output_padding = stride`` (Dumoulin & Visin 2016).

    Raises:
        ValueError: if ``kernel_size < stride``: some output pixels would receive nothing; or if an even kernel should
            keep the grid at stride 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 2,
        act_cls: ActivationFactory | None = nn.ReLU,
    ) -> None:
        check_whole(in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, stride=stride)
        if act_cls is not None:
            check_activation(act_cls)
        if stride == 1 and kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size={kernel_size} is even and cannot keep the grid at stride=1; take an odd one."
            )
        if kernel_size < stride:
            raise ValueError(
                f"kernel_size={kernel_size} is smaller than stride={stride}: some pixels would stay empty."
            )
        padding = (kernel_size - stride + 1) // 2
        output_padding = stride - kernel_size + 2 * padding
        conv = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, stride, padding, output_padding)
        # He et al. 2015 with the products that an output pixel really sums: in · (kernel / stride)², not in · kernel².
        nn.init.normal_(conv.weight, std=(2 / in_channels) ** 0.5 * stride / kernel_size)
        nn.init.zeros_(conv.bias)
        super().__init__(conv, *([] if act_cls is None else [activation(act_cls)]))


UPSAMPLERS = ("pixel_shuffle", "nearest", "bilinear", "transposed")
_OPTIONS = {
    "pixel_shuffle": ("blur", "icnr", "norm_type", "act_cls", "kernel_size"),
    "nearest": ("norm_type", "act_cls"),
    "bilinear": ("norm_type", "act_cls"),
    "transposed": ("kernel_size", "act_cls"),
}


def make_upsampler(name: str, in_channels: int, out_channels: int, scale: int = 2, **options) -> nn.Module:
    """The upsampler called `name`: ``(N, in_channels, H, W)`` to ``(N, out_channels, scale·H, scale·W)``.

    Args:
        name: ``"pixel_shuffle"``, ``"nearest"``, ``"bilinear"`` or ``"transposed"``.
        options: ``blur``, ``icnr``, ``kernel_size`` (1 if not given), ``norm_type`` and ``act_cls`` of
            `PixelShuffleICNR`; ``norm_type`` and ``act_cls`` of `InterpolateConv`; ``kernel_size`` (the larger of 3 and
            `scale` if not given) and ``act_cls`` of `TransposedConv`.

    Raises:
        ValueError: for another name, an option that its scheme does not take, or one out of range.
    """
    check_choice("upsample", name, UPSAMPLERS)
    check_whole(scale=scale)
    for option in options:
        if option not in _OPTIONS[name]:
            raise ValueError(f"upsample={name!r} takes no {option}, only {', '.join(_OPTIONS[name])}.")
    if name == "pixel_shuffle":
        return PixelShuffleICNR(in_channels, out_channels, scale, **options)
    if name == "transposed":
        options.setdefault("kernel_size", max(3, scale))
        return TransposedConv(in_channels, out_channels, stride=scale, **options)
    return InterpolateConv(in_channels, out_channels, scale, mode=name, **options)


def checkerboard_energy(x: Tensor, scale: int = 2) -> float:
    """How unlike the pixels are that upsampling made of one pixel: their variance as a share of the whole variance.

    The picture is cut into blocks of ``scale × scale`` pixels, the first at the upper left corner (a rest at the right
    and lower border is left out). 0: each block is flat, as after nearest-neighbour upsampling. 1: the pixels of a
    block are as unlike as pixels drawn anywhere in the picture. More than 1: they are opposites. Detail finer than a
    block counts too: put the true picture's value beside it, or ask a picture that has no such detail.

    Args:
        x: ``(..., H, W)`` floats; each channel of each picture is compared with its own mean, and all are pooled.
        scale: factor of the upsampling.

    Returns:
        Ratio of the variance within blocks to the variance of all pixels, both unbiased; 0 for constant channels, where
        all variance is rounding.

    Raises:
        ValueError: if `x` holds no floats, less than one block, or values that are not finite.
    """
    check_whole(scale=scale)
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2 or min(x.shape[-2:]) < scale:
        raise ValueError(f"x is {describe(x)}, not floats (..., H, W) with sides of {scale} or more.")
    if not x.numel():
        raise ValueError(f"x of shape {tuple(x.shape)} holds no pixels.")
    if not x.isfinite().all():
        raise ValueError("x holds values that are not finite.")
    if scale == 1:
        return 0.0
    height, width = (side // scale * scale for side in x.shape[-2:])
    blocks = x.detach()[..., :height, :width].cpu().double().unflatten(-1, (-1, scale)).unflatten(-3, (-1, scale))
    within = blocks.var((-3, -1)).mean()
    total = blocks.flatten(-4).var(-1).mean()
    rounding = (16 * torch.finfo(x.dtype).eps * blocks.abs().amax()) ** 2
    return float(within / total) if total > rounding else 0.0
