"""One step up of the U-Net's decoder, and the layers in the middle, below the first step."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_choice, check_flags, check_whole
from course_utils.layers import (
    ActivationFactory,
    BottleneckBlock,
    ConvLayer,
    ResBlock,
    SelfAttention,
    activation,
    batch_norm,
    check_activation,
)
from course_utils.memory_format import match_gradient_format
from course_utils.upsampling import UPSAMPLERS, make_upsampler

BLOCKS = ("double_conv", "res", "bottleneck")
SKIPS = ("concat", "add", "none")
MIDDLES = ("double_conv", "bottleneck")
UPSAMPLE_OPTIONS = {"pixel_shuffle": ("icnr",), "nearest": (), "bilinear": (), "transposed": ("kernel_size",)}


class UnetBlock(nn.Module):
    """One step up: upsample, join the skip, ReLU, two 3×3 convolutions (Ronneberger et al. 2015; Howard et al. 2019).

    ``(N, in_channels, h, w)`` and the encoder's ``(N, skip_channels, H, W)`` become ``(N, out_channels, H, W)`` with
    ``out_channels = in_channels // 2 + skip_channels``, halved where `halve` is set. The width is the same for every
    kind of `skip`, so that kinds can be compared.

    Args:
        skip: ``"concat"`` puts the batch-normalised encoder features beside the upsampled ones; ``"add"`` adds them
            (after a 1×1 convolution where the channels differ); ``"none"`` ignores them but for their grid size.
        upsample_options: ``{"kernel_size": 2}`` (or more) of ``"transposed"``, ``{"icnr": False}`` of
            ``"pixel_shuffle"``.
        block: ``"double_conv"``, ``"res"`` for one `ResBlock`, or ``"bottleneck"`` for one `BottleneckBlock`.
        blur, self_attention, act_cls, norm_type: as in `DynamicUnet`, for this block.

    Raises:
        ValueError: for an option out of range.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        *,
        halve: bool = False,
        upsample: str = "pixel_shuffle",
        upsample_options: Mapping[str, Any] | None = None,
        block: str = "double_conv",
        skip: str = "concat",
        blur: bool = False,
        self_attention: bool = False,
        act_cls: ActivationFactory = nn.ReLU,
        norm_type: str | None = None,
    ) -> None:
        super().__init__()
        _check_options(upsample, upsample_options, block, skip, blur, act_cls)
        check_whole(in_channels=in_channels, skip_channels=skip_channels)
        if in_channels < 2:
            raise ValueError(f"in_channels={in_channels}: the block halves them, so it needs 2 or more.")
        self.skip = skip
        up_channels = in_channels // 2
        self.relu = activation(act_cls)
        # Two ReLUs in a row do what one does, so the first is left out. With a blur or a sum between them, or with
        # another activation, both are needed.
        once = type(self.relu) is nn.ReLU and not blur and skip != "add"
        up_act = None if once else act_cls
        self.up = upsampler(upsample, upsample_options, in_channels, up_channels, blur, up_act, norm_type)
        self.skip_norm = batch_norm(skip_channels) if skip != "none" else None
        self.skip_proj = nn.Identity()
        if skip == "add" and skip_channels != up_channels:
            self.skip_proj = ConvLayer(skip_channels, up_channels, kernel_size=1, norm_type=None, act_cls=None)
        joined = up_channels + (skip_channels if skip == "concat" else 0)
        full = up_channels + skip_channels
        self.out_channels = full // 2 if halve else full
        self.convs = _convolutions(block, joined, self.out_channels, self_attention, act_cls, norm_type)

    def forward(self, x: Tensor, encoder_features: Tensor) -> Tensor:
        x = resize_to(self.up(x), encoder_features.shape[-2:])
        if self.skip == "concat":
            x = torch.cat([x, match_gradient_format(self.skip_norm(encoder_features))], dim=1)
        elif self.skip == "add":
            x = x + self.skip_proj(self.skip_norm(encoder_features))
        elif type(self.relu) is not nn.ReLU and getattr(self.relu, "inplace", False):
            x = x.clone()  # the upsampler's own activation still needs what an in-place one would overwrite
        x = self.relu(x)
        return self.convs(x)


def upsampler(
    name: str,
    options: Mapping[str, Any] | None,
    in_channels: int,
    out_channels: int,
    blur: bool,
    act_cls: ActivationFactory | None,
    norm_type: str | None,
) -> nn.Module:
    """The upsampler `name`, from one of `UPSAMPLERS`, given the options that it knows."""
    options = {"act_cls": act_cls, **(options or {})}
    if name == "pixel_shuffle":
        options["blur"] = blur
    if name != "transposed":
        options["norm_type"] = norm_type
    return make_upsampler(name, in_channels, out_channels, **options)


def _convolutions(
    block: str,
    in_channels: int,
    out_channels: int,
    self_attention: bool,
    act_cls: ActivationFactory,
    norm_type: str | None,
) -> nn.Sequential:
    if block == "res":
        layers = [ResBlock(in_channels, out_channels, norm_type=norm_type, act_cls=act_cls)]
    elif block == "bottleneck":
        layers = [BottleneckBlock(in_channels, out_channels, norm_type, act_cls)]
    else:
        layers = [
            ConvLayer(in_channels, out_channels, norm_type=norm_type, act_cls=act_cls),
            ConvLayer(out_channels, out_channels, norm_type=norm_type, act_cls=act_cls),
        ]
    return nn.Sequential(*layers, *([SelfAttention(out_channels)] if self_attention else []))


def middle_layers(name: str, channels: int, act_cls: ActivationFactory, norm_type: str | None) -> nn.Sequential:
    """What lies between encoder and decoder: ``(N, channels, h, w)`` to the same shape."""
    if name == "bottleneck":
        return nn.Sequential(BottleneckBlock(channels, channels, norm_type, act_cls))
    common = {"act_cls": act_cls, "norm_type": norm_type}
    return nn.Sequential(ConvLayer(channels, channels * 2, **common), ConvLayer(channels * 2, channels, **common))


def resize_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest-neighbour resize to the grid ``(H, W)``: an odd grid halved and doubled comes back a pixel off."""
    if not _sides_may_be_symbols() and tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size, mode="nearest")


def unshuffle(x: Tensor, n: int) -> Tensor:
    """Pixel shuffle backwards, ``(N, C, n·H, n·W)`` to ``(N, n·n·C, H, W)``, also of no picture, unlike PyTorch's."""
    if not _sides_may_be_symbols() and not len(x):
        return x.reshape(0, x.shape[1] * n**2, x.shape[2] // n, x.shape[3] // n)
    return F.pixel_unshuffle(x, n)


def _sides_may_be_symbols() -> bool:
    """Whether a question about a size would tie an exported network to its answer."""
    return torch.jit.is_tracing() or torch.compiler.is_exporting()


def _check_options(
    upsample: str,
    upsample_options: Mapping[str, Any] | None,
    block: str,
    skip: str,
    blur: bool,
    act_cls: ActivationFactory,
) -> None:
    check_choice("block", block, BLOCKS)
    check_choice("skip", skip, SKIPS)
    check_flags(blur=blur)
    check_activation(act_cls)
    check_choice("upsample", upsample, UPSAMPLERS)
    options = {} if upsample_options is None else upsample_options
    if not isinstance(options, Mapping):
        raise ValueError(f'upsample_options={options!r} is no mapping such as {{"kernel_size": 2}}.')
    allowed = UPSAMPLE_OPTIONS[upsample]
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise ValueError(
            f"upsample_options has {unknown[0]!r}, and upsample={upsample!r} takes {' and '.join(allowed) or 'none'}."
        )
    check_whole(2, kernel_size=options.get("kernel_size", 2))
    if blur and upsample != "pixel_shuffle":
        raise ValueError(f'blur=True belongs to upsample="pixel_shuffle", and got upsample={upsample!r}.')
