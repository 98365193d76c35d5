"""The U-Net on any encoder: find where the grid changes, and build one decoder block for each of these places."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_choice, check_flags, check_sides, check_whole
from course_utils.hooks import activation_sizes, in_channels_of, size_change_indices
from course_utils.layers import (
    ActivationFactory,
    BottleneckBlock,
    ConvLayer,
    ResBlock,
    SigmoidRange,
    activation,
    batch_norm,
    set_conv_weight,
)
from course_utils.memory_format import match_gradient_format
from course_utils.rectified_join import relu_then_concat
from course_utils.tensor_checks import describe, is_batch_of_floats
from course_utils.unet2015 import UNet2015, predict_tiled
from course_utils.unet_block import MIDDLES, UnetBlock, middle_layers, resize_to, unshuffle, upsampler
from course_utils.upsampling import icnr_

__all__ = ["TAILS", "DynamicUnet", "UNet2015", "UnetBlock", "predict_tiled"]

TAILS = ("full", "unshuffle", "merged")


class DynamicUnet(nn.Module):
    """U-Net around any encoder: ``(N, C, H, W)`` to ``(N, n_out, H, W)`` for every ``H, W >= 32``.

    The last layer on each grid of the encoder gives a skip. They are found with hooks, once, at construction; the
    forward pass then walks the encoder's children and hands each skip to its block. So nothing outlives the pass, two
    models or a model and its copy cannot meet, and the network compiles and exports as one graph; exported with sides
    left open (``torch.export.Dim.AUTO``), it takes all whose coarsest grid has at least two rows and columns: above 32
    pixels around most encoders, from 61 around DenseNet, from 64 around VGG and ConvNeXt. Sides with a name,
    ``Dim("height", min=33)``, export with ``tail="full"`` only. (torch 2.11 ties a network with max pooling, as ResNets
    have, to sides that are odd and even on the same grids as those it was exported with; 2.15 does not.)

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
        act_cls: makes the activations of the decoder. ReLUs work in place. Where one would directly follow another only
            the second stands, so a block's `up` ends without one (with `blur` or ``skip="add"`` both stand); the ReLU
            of `final_up` comes where the picture joins.
        norm_type: norm of the decoder's convolutions: ``None``, ``"batch"``, ``"weight"``, ``"spectral"``,
            ``"instance"``. A transposed convolution has none.

    The command `course_utils.train_camvid` asks for ``norm_type="batch"`` and ``last_cross=False``.

    Raises:
        ValueError: for an option out of range, or an encoder that has one layer in two places, or never changes its
            grid (or, for `self_attention`, fewer than three times).
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
        _check_encoder(encoder, n_out, img_size)
        check_choice("tail", tail, TAILS)
        check_choice("middle", middle, MIDDLES)
        check_flags(blur=blur, blur_final=blur_final, self_attention=self_attention)
        check_flags(last_cross=last_cross, bottle=bottle)
        _check_last_block(block, skip, last_cross, bottle, tail)
        _check_range(y_range)
        sizes = activation_sizes(encoder, img_size)
        self.skip_indices = _skip_indices(sizes, img_size, self_attention)
        finest = tuple(sizes[self.skip_indices[0]][-2:])
        self.fold = round(img_size[0] / finest[0]) if tail != "full" else 1
        self.merged = tail == "merged"
        self.encoder, self.in_channels = encoder, in_channels_of(encoder)
        unshuffled = self.in_channels * self.fold**2
        common = {"act_cls": act_cls, "norm_type": norm_type}
        channels = sizes[-1][1]
        self.encoder_norm = batch_norm(channels)
        self.relu = nn.ReLU(inplace=True)
        self.middle = middle_layers(middle, channels, **common)
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
        self.final_up, self.rectified_join = nn.Identity(), False
        if finest != tuple(img_size) and tail == "full":
            self.rectified_join = last_cross and type(activation(act_cls)) is nn.ReLU
            up_act = None if self.rectified_join else act_cls
            self.final_up = upsampler(
                upsample, upsample_options, channels, channels, blur=False, act_cls=up_act, norm_type=norm_type
            )
        self.last_block = None
        if last_cross and not self.merged:
            channels += unshuffled
            self.last_block = _residual_block(block, channels, bottle, **common)
        self.head = _head(channels, n_out, self.fold, norm_type)
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
            picture = unshuffle(picture, self.fold)
        if self.merged:
            finest = resize_to(skips[0], picture.shape[-2:])
            skips[0] = torch.cat([finest, picture.to(finest.dtype)], dim=1)
        x = self.middle(self.relu(self.encoder_norm(x)))
        for unet_block in self.blocks:
            x = unet_block(x, skips.pop())
        x = resize_to(self.final_up(x), picture.shape[-2:])
        if self.last_block is not None:
            picture = picture.to(x.dtype)  # else, in mixed precision, join and sum at full size would be float32
            x = relu_then_concat(x, picture) if self.rectified_join else torch.cat([x, picture], dim=1)
            x = self.last_block(x)
        x = match_gradient_format(self.head(x))
        if self.fold > 1:
            x = F.pixel_shuffle(x, self.fold)
            # Not a slice, after which a network exported with open sides would refuse odd ones.
            x = F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]))
        return self.y_range(x)

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters of the encoder, then of everything else: two groups for two learning rates."""
        encoder = list(self.encoder.parameters())
        known = {id(parameter) for parameter in encoder}
        return [encoder, [parameter for parameter in self.parameters() if id(parameter) not in known]]


def _check_encoder(encoder: nn.Module, n_out: int, img_size: tuple[int, int]) -> None:
    if not isinstance(encoder, nn.Sequential):
        raise ValueError(
            f"the encoder is a {type(encoder).__name__}, not an nn.Sequential; create_encoder(name) makes one."
        )
    if not len(encoder):
        raise ValueError("the encoder has no layers; create_encoder(name) makes one.")
    check_whole(n_out=n_out)
    check_sides(32, img_size=img_size)


def _check_last_block(block: str, skip: str, last_cross: bool, bottle: bool, tail: str) -> None:
    if bottle and block == "bottleneck":
        raise ValueError('bottle=True narrows the last residual block, which block="bottleneck" does already.')
    if tail == "merged" and (not last_cross or bottle or skip == "none"):
        raise ValueError(
            'tail="merged" joins the picture with the finest skip, without a residual block: '
            'it takes last_cross=True, bottle=False and no skip="none".'
        )


def _check_range(y_range: object) -> None:
    if y_range is not None and not (isinstance(y_range, (tuple, list)) and len(y_range) == 2):
        raise ValueError(f"y_range={y_range!r} is not (low, high).")


def _skip_indices(sizes: Sequence[tuple[int, ...]], img_size: tuple[int, int], self_attention: bool) -> tuple[int, ...]:
    """Where the encoder's grid changes, from the finest on."""
    indices = tuple(size_change_indices(sizes))
    if not indices:
        raise ValueError(f"the encoder keeps one grid for a picture of {img_size}: there is nothing to decode.")
    if self_attention and len(indices) < 3:
        raise ValueError(f"self_attention=True wants a third block from the top; this encoder gives {len(indices)}.")
    return indices


def _residual_block(block: str, channels: int, bottle: bool, **common: Any) -> nn.Module:
    """What works on the last features and the picture together."""
    if block == "bottleneck":
        return BottleneckBlock(channels, channels, **common)
    return ResBlock(channels, channels, channels // 2 if bottle else None, **common)


def _head(channels: int, n_out: int, fold: int, norm_type: str | None) -> ConvLayer:
    """Features to outputs, `fold` × `fold` pixels of them at each place: at the start all the same (ICNR)."""
    head = ConvLayer(channels, n_out * fold**2, kernel_size=1, norm_type=norm_type, act_cls=None)
    if fold > 1:
        set_conv_weight(head[0], icnr_(torch.empty(n_out * fold**2, channels, 1, 1), fold))
    return head
