"""The U-Net on any encoder: find where the grid changes, and build one decoder block for each of these places."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_choice, check_flags, check_sides, check_whole, describe, is_batch_of_floats
from course_utils.hooks import activation_sizes, in_channels_of, size_change_indices
from course_utils.layers import (
    NORM_TYPES,
    ActivationFactory,
    BottleneckBlock,
    ConvLayer,
    ResBlock,
    SelfAttention,
    SigmoidRange,
    batch_norm,
    check_activation,
    set_conv_weight,
)
from course_utils.memory_format import match_gradient_format
from course_utils.unet2015 import UNet2015, predict_tiled  # noqa: F401  (part of this module's public names)
from course_utils.upsampling import UPSAMPLERS, icnr_, make_upsampler

BLOCKS = ("double_conv", "res", "bottleneck")
SKIPS = ("concat", "add", "none")
TAILS = ("full", "unshuffle", "merged")
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
        check_choice("block", block, BLOCKS)
        check_choice("skip", skip, SKIPS)
        _check_upsampler(upsample, upsample_options, blur)
        check_whole(in_channels=in_channels, skip_channels=skip_channels)
        if in_channels < 2:
            raise ValueError(f"in_channels={in_channels}: the block halves them, so it needs 2 or more.")
        self.skip = skip
        up_channels = in_channels // 2
        self.up = _upsampler(upsample, upsample_options, in_channels, up_channels, blur, act_cls, norm_type)
        self.skip_norm = batch_norm(skip_channels) if skip != "none" else None
        self.skip_proj = nn.Identity()
        if skip == "add" and skip_channels != up_channels:
            self.skip_proj = ConvLayer(skip_channels, up_channels, kernel_size=1, norm_type=None, act_cls=None)
        joined = up_channels + (skip_channels if skip == "concat" else 0)
        full = up_channels + skip_channels
        self.out_channels = full // 2 if halve else full
        self.convs = _convolutions(block, joined, self.out_channels, self_attention, act_cls, norm_type)
        self.relu = act_cls()

    def forward(self, x: Tensor, encoder_features: Tensor) -> Tensor:
        x = _resize_to(self.up(x), encoder_features.shape[-2:])
        if self.skip == "concat":
            x = torch.cat([x, match_gradient_format(self.skip_norm(encoder_features))], dim=1)
        elif self.skip == "add":
            x = x + self.skip_proj(self.skip_norm(encoder_features))
        elif getattr(self.relu, "inplace", False):
            x = x.clone()  # the upsampler's own activation still needs what an in-place one would overwrite
        return self.convs(self.relu(x))


def _upsampler(
    name: str,
    options: Mapping[str, Any] | None,
    in_channels: int,
    out_channels: int,
    blur: bool,
    act_cls: ActivationFactory,
    norm_type: str | None,
) -> nn.Module:
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


def _middle(name: str, channels: int, act_cls: ActivationFactory, norm_type: str | None) -> nn.Sequential:
    if name == "bottleneck":
        return nn.Sequential(BottleneckBlock(channels, channels, norm_type, act_cls))
    common = {"act_cls": act_cls, "norm_type": norm_type}
    return nn.Sequential(ConvLayer(channels, channels * 2, **common), ConvLayer(channels * 2, channels, **common))


def _resize_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest-neighbour resize to the grid ``(H, W)``: an odd grid halved and doubled comes back a pixel off."""
    return x if tuple(x.shape[-2:]) == tuple(size) else F.interpolate(x, size, mode="nearest")


class DynamicUnet(nn.Module):
    """U-Net around any encoder: ``(N, C, H, W)`` to ``(N, n_out, H, W)`` for every ``H, W >= 32``.

    The last layer on each grid of the encoder gives a skip. They are found with hooks, once, at construction; the
    forward pass then walks the encoder's children and hands each skip to its block. So nothing outlives the pass, two
    models or a model and its copy cannot meet, and the network compiles and exports as one graph.

    With the defaults it computes what fastai's network of the same name computes for the same weights, entry by entry
    of the state dict in order; ``bottle=True``, which fails there, narrows the last residual block to half its width.

    Args:
        encoder: `nn.Sequential` body, as `course_utils.encoders.create_encoder` makes it.
        n_out: output channels: classes for segmentation, 3 for a picture.
        img_size: ``(H, W)`` used once to find the grids; other sizes work afterwards.
        upsample: ``"pixel_shuffle"`` (with ICNR), ``"nearest"``, ``"bilinear"`` or ``"transposed"``.
        upsample_options: ``{"kernel_size": 2}`` (or more; 3 if not given) of ``"transposed"``, ``{"icnr": False}`` of
            ``"pixel_shuffle"``, for every upsampler of the decoder.
        block: ``"double_conv"``, ``"res"`` or ``"bottleneck"``; the last makes the block of `last_cross` one as well.
            With ``tail="unshuffle"`` it is the cheap decoder: around ResNet-34 a training step takes less than half as
            long on a CPU. Cheapest: ``tail="merged"`` and ``middle="bottleneck"`` with it.
        skip: ``"concat"``, ``"add"`` or ``"none"``.
        blur: average after the pixel shuffle (and no other upsampler) of each block, never after the last one onto
            the picture's grid; ``blur_final=False`` leaves it out in the block on the finest encoder grid.
        self_attention: one self-attention layer, after the third block from the top.
        y_range: ``(low, high)`` squashes the output into that range.
        last_cross: join the input picture to the last features, followed by a residual block.
        bottle: make that residual block half as wide inside; nothing changes where `last_cross` is off and there is
            none. Not with ``block="bottleneck"``, where it is narrower.
        tail: ``"full"`` upsamples the last features to the picture's grid and works on them there (99 channels around
            ResNet-34), where most of the time goes. ``"unshuffle"`` works on the encoder's finest grid instead: the
            picture joins by pixel unshuffle, its pixels side by side as channels (96 + 12), and a pixel shuffle of the
            scores brings the picture's grid back. Nothing is thrown away, and each channel has a quarter of the values.
            ``"merged"`` lets the unshuffled picture join together with the finest skip instead: one block for both.
        middle: between encoder and decoder, ``"double_conv"``, twice as wide inside, or ``"bottleneck"``
            for one `BottleneckBlock`.
        act_cls: makes the activations of the decoder.
        norm_type: norm of the decoder's convolutions: ``None``, ``"batch"``, ``"weight"``, ``"spectral"``,
            ``"instance"``. A transposed convolution has none.

    The command `course_utils.train_camvid` asks for ``norm_type="batch"`` and ``last_cross=False``.

    Raises:
        ValueError: for an option out of range, or an encoder that never changes its grid (or, for `self_attention`,
            fewer than three times).
    """

    def __init__(
        self,
        encoder: nn.Sequential,
        n_out: int,
        img_size: tuple[int, int],
        *,
        upsample: str = "pixel_shuffle",
        upsample_options: Mapping[str, Any] | None = None,
        block: str = "double_conv",
        skip: str = "concat",
        blur: bool = False,
        blur_final: bool = True,
        self_attention: bool = False,
        y_range: tuple[float, float] | None = None,
        last_cross: bool = True,
        bottle: bool = False,
        tail: str = "full",
        middle: str = "double_conv",
        act_cls: ActivationFactory = nn.ReLU,
        norm_type: str | None = None,
    ) -> None:
        super().__init__()
        _check_options(encoder, n_out, img_size)
        choices = {
            "block": (block, BLOCKS),
            "skip": (skip, SKIPS),
            "tail": (tail, TAILS),
            "middle": (middle, MIDDLES),
            "norm_type": (norm_type, NORM_TYPES),
        }
        for name, (chosen, known) in choices.items():
            check_choice(name, chosen, known)
        if bottle and block == "bottleneck":
            raise ValueError('bottle=True narrows the last residual block, which block="bottleneck" does already.')
        check_flags(
            blur=blur, blur_final=blur_final, self_attention=self_attention, last_cross=last_cross, bottle=bottle
        )
        _check_upsampler(upsample, upsample_options, blur)
        check_activation(act_cls)
        if y_range is not None and not (isinstance(y_range, (tuple, list)) and len(y_range) == 2):
            raise ValueError(f"y_range={y_range!r} is not (low, high).")
        sizes = activation_sizes(encoder, img_size)
        self.skip_indices = tuple(size_change_indices(sizes))
        if not self.skip_indices:
            raise ValueError(f"the encoder keeps one grid for a picture of {img_size}: there is nothing to decode.")
        self.merged = tail == "merged"
        if self.merged and (not last_cross or bottle or skip == "none"):
            raise ValueError(
                'tail="merged" joins the picture with the finest skip, without a residual block: '
                'it takes last_cross=True, bottle=False and no skip="none".'
            )
        if self_attention and len(self.skip_indices) < 3:
            raise ValueError(
                f"self_attention=True wants a third block from the top; this encoder gives {len(self.skip_indices)}."
            )
        finest = tuple(sizes[self.skip_indices[0]][-2:])
        self.fold = round(img_size[0] / finest[0]) if tail != "full" else 1
        self.encoder, self.in_channels = encoder, in_channels_of(encoder)
        unshuffled = self.in_channels * self.fold**2
        common = {"act_cls": act_cls, "norm_type": norm_type}
        channels = sizes[-1][1]
        self.encoder_norm = batch_norm(channels)
        self.relu = nn.ReLU()
        self.middle = _middle(middle, channels, **common)
        self.blocks = nn.ModuleList()
        for i, index in enumerate(reversed(self.skip_indices)):
            is_last = i == len(self.skip_indices) - 1
            unet_block = UnetBlock(
                channels,
                sizes[index][1] + (unshuffled if is_last and self.merged else 0),
                halve=is_last,
                upsample=upsample,
                upsample_options=upsample_options,
                block=block,
                skip=skip,
                blur=blur and (blur_final or not is_last),
                self_attention=self_attention and i == len(self.skip_indices) - 3,
                **common,
            )
            self.blocks.append(unet_block)
            channels = unet_block.out_channels
        # As in the reference: this one never blurs; and it upsamples once, however coarse the encoder's first grid is.
        self.final_up = nn.Identity()
        if finest != tuple(img_size) and tail == "full":
            self.final_up = _upsampler(upsample, upsample_options, channels, channels, blur=False, **common)
        self.last_block = None
        if last_cross and not self.merged:
            channels += unshuffled
            if block == "bottleneck":
                self.last_block = BottleneckBlock(channels, channels, **common)
            else:
                self.last_block = ResBlock(channels, channels, channels // 2 if bottle else None, **common)
        self.head = ConvLayer(channels, n_out * self.fold**2, kernel_size=1, norm_type=norm_type, act_cls=None)
        if self.fold > 1:
            set_conv_weight(self.head[0], icnr_(torch.empty(n_out * self.fold**2, channels, 1, 1), self.fold))
        self.y_range = SigmoidRange(*y_range) if y_range is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if not is_batch_of_floats(x) or x.shape[1] != self.in_channels:
            raise ValueError(f"got {describe(x)}, not floats (N, {self.in_channels}, H, W); normalise bytes.")
        picture = x
        skips = []
        for index, layer in enumerate(self.encoder):
            x = layer(x)
            if index in self.skip_indices:
                skips.append(x)
        height, width = picture.shape[-2:]
        if self.fold > 1:
            picture = F.pad(picture, (0, -width % self.fold, 0, -height % self.fold), mode="replicate")
            picture = F.pixel_unshuffle(picture, self.fold)
        if self.merged:
            skips[0] = torch.cat([_resize_to(skips[0], picture.shape[-2:]), picture], dim=1)
        x = self.middle(self.relu(self.encoder_norm(x)))
        for unet_block in self.blocks:
            x = unet_block(x, skips.pop())
        x = _resize_to(self.final_up(x), picture.shape[-2:])
        if self.last_block is not None:
            x = self.last_block(torch.cat([x, picture], dim=1))
        x = match_gradient_format(self.head(x))
        if self.fold > 1:
            x = F.pixel_shuffle(x, self.fold)[..., :height, :width]
        return self.y_range(x)

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters of the encoder, then of everything else: two groups for two learning rates."""
        encoder = list(self.encoder.parameters())
        known = {id(parameter) for parameter in encoder}
        return [encoder, [parameter for parameter in self.parameters() if id(parameter) not in known]]


def _check_options(encoder: nn.Module, n_out: int, img_size: tuple[int, int]) -> None:
    if not isinstance(encoder, nn.Sequential):
        raise ValueError(
            f"the encoder is a {type(encoder).__name__}, not an nn.Sequential; create_encoder(name) makes one."
        )
    if not len(encoder):
        raise ValueError("the encoder has no layers; create_encoder(name) makes one.")
    check_whole(n_out=n_out)
    check_sides(32, img_size=img_size)


def _check_upsampler(upsample: str, options: Mapping[str, Any] | None, blur: bool) -> None:
    check_choice("upsample", upsample, UPSAMPLERS)
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise ValueError(f'upsample_options={options!r} is no mapping such as {{"kernel_size": 2}}.')
    allowed = UPSAMPLE_OPTIONS[upsample]
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise ValueError(
            f"upsample_options has {unknown[0]!r}, and upsample={upsample!r} takes {' and '.join(allowed) or 'none'}."
        )
    kernel_size, icnr = options.get("kernel_size", 2), options.get("icnr", True)
    check_whole(2, kernel_size=kernel_size)
    check_flags(icnr=icnr)
    if blur and upsample != "pixel_shuffle":
        raise ValueError(f'blur=True belongs to upsample="pixel_shuffle", and got upsample={upsample!r}.')
