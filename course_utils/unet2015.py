"""The U-Net of 2015 as published, and the tiles that let it segment pictures of any size (Ronneberger et al. 2015)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from course_utils.checks import check_whole
from course_utils.modes import evaluation_mode
from course_utils.tensor_checks import describe, is_batch_of_floats

LEVELS = 4
STRIDE = 2**LEVELS
"""Pixels by which a picture has to move so that every pooling window meets the same pixels again."""
MARGIN = 92
"""Pixels that the unpadded convolutions take from each side of a picture."""
SMALLEST_SIDE = 188
_BORDER = 124  # a side fits if this much less than it is a multiple of STRIDE: then every pooling halves an even side


def unet2015_output_size(n: int) -> int:
    """Side of the map that `UNet2015` makes from a side of `n` pixels: ``n - 184``, so 388 from 572.

    Raises:
        ValueError: if `n` does not fit, with the sides next to it that do.
    """
    if n < SMALLEST_SIDE or (n - _BORDER) % STRIDE:
        below = n - (n - _BORDER) % STRIDE
        fitting = f"{below} and {below + STRIDE} do" if below >= SMALLEST_SIDE else f"the smallest is {SMALLEST_SIDE}"
        raise ValueError(
            f"a side of {n} pixels does not fit UNet2015, which halves it {LEVELS} times: sides that do are "
            f"16 · k + 12, from {SMALLEST_SIDE} on ({fitting}); predict_tiled takes pictures of any size."
        )
    return n - 2 * MARGIN


class UNet2015(nn.Module):
    """The network of the paper: ``(N, in_channels, H, W)`` to ``(N, n_classes, H - 184, W - 184)`` logits.

    Twenty-three convolutions. On each of five levels two of 3×3 without padding, each followed by a ReLU; 2×2 max
    pooling on the way down; on the way up a 2×2 transposed convolution, then the features from the way down, cropped
    to its size, beside it. Dropout at the lowest level; weights start normal with deviation ``sqrt(2 / fan_in)``.

    Args:
        width: channels of the top level, doubled at every level below; 64 in the paper.

    Raises:
        ValueError: if a number of channels is not positive; in the forward pass, if a side does not fit
            (`unet2015_output_size`) or the channels differ.
    """

    def __init__(self, in_channels: int = 1, n_classes: int = 2, width: int = 64) -> None:
        super().__init__()
        check_whole(in_channels=in_channels, n_classes=n_classes, width=width)
        self.in_channels = in_channels
        widths = [width * 2**level for level in range(LEVELS + 1)]
        self.down = nn.ModuleList(_double_conv(i, o) for i, o in zip([in_channels, *widths], widths, strict=False))
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.5)
        rising = widths[::-1]
        pairs = list(pairwise(rising))
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, here, kernel_size=2, stride=2) for below, here in pairs)
        self.merge = nn.ModuleList(_double_conv(below, here) for below, here in pairs)
        self.head = nn.Conv2d(width, n_classes, kernel_size=1)
        self.apply(_start)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        skips = []
        for level, convs in enumerate(self.down):
            x = convs(x if level == 0 else self.pool(x))
            skips.append(x)
        x = self.dropout(skips.pop())
        for up, convs in zip(self.up, self.merge, strict=True):
            x = up(x)
            x = convs(torch.cat([centre_crop(skips.pop(), x.shape[-2:]), x], dim=1))
        return self.head(x)

    def _check(self, x: Tensor) -> None:
        if not is_batch_of_floats(x) or x.shape[1] != self.in_channels:
            raise ValueError(f"got {describe(x)}, not floats (N, {self.in_channels}, H, W).")
        for side in x.shape[-2:]:
            unet2015_output_size(side)


def _double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, kernel_size=3),
        nn.ReLU(),
    )


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
    elif isinstance(module, nn.ConvTranspose2d):  # kernel 2, stride 2: each output pixel sums one weight per channel
        nn.init.normal_(module.weight, std=(2 / module.in_channels) ** 0.5)
    else:
        return
    nn.init.zeros_(module.bias)


def centre_crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of ``(N, C, H, W)``, `size` ``(h, w)`` large; of an odd rest the larger part goes at the far end.

    Raises:
        ValueError: if `x` is smaller than that.
    """
    height, width = size
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    if top < 0 or left < 0:
        raise ValueError(f"a grid of {tuple(x.shape[-2:])} holds no middle of {(height, width)}; swap the two.")
    return x[..., top : top + height, left : left + width]


def mirror_pad(picture: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Continue ``(..., H, W)`` beyond its sides by its mirror image, without repeating the pixel at the mirror.

    As ``F.pad(mode="reflect")``, which however stops at one picture's length: here the mirror image is mirrored again.
    """
    rows = _mirrored(picture.shape[-2], top, bottom, picture.device)
    columns = _mirrored(picture.shape[-1], left, right, picture.device)
    return picture[..., rows[:, None], columns]


def _mirrored(n: int, before: int, after: int, device: torch.device) -> Tensor:
    """Indices into a line of `n` pixels, from `before` pixels ahead of it to `after` pixels behind it."""
    places = torch.arange(-before, n + after, device=device)
    last = max(n - 1, 1)
    return (last - (places % (2 * last) - last).abs()).clamp(max=n - 1)


@torch.no_grad()
def predict_tiled(
    model: nn.Module, picture: Tensor, tile: int = 572, *, margin: int = MARGIN, stride: int = STRIDE
) -> Tensor:
    """Run `model` over overlapping tiles of a picture of any size: ``(N, C, H, W)`` to ``(N, n_classes, H, W)``.

    The picture is continued by its mirror image; each tile's outer `margin` pixels are context only (the paper's
    overlap-tile strategy). Tiles lie a multiple of `stride` apart. So all see their pixels through the same pooling
    windows, and the result is the one of a single tile as large as everything, to rounding. (Tiles as far apart as
    `UNet2015`'s output of 388 is wide would not do: 388 is no multiple of 16.)

    The model runs in evaluation mode, without gradients, and each of its modules is back in its own mode afterwards.

    Args:
        tile: side of the square input tiles in pixels; for `UNet2015` a side that fits, 16 · k + 12, from 204 on.
        margin: pixels to leave out at each side of a tile. `UNet2015` returns none of its 92; a network with padding
            returns all pixels, and needs a margin as wide as it can see to be right to the last bit.
        stride: by how much the picture may move without changing the pooling windows: ``2 ** n_halvings``.

    Raises:
        ValueError: for a number that is not whole or too small, or if the model's output fits neither kind.
    """
    if not is_batch_of_floats(picture) or not picture.numel():
        raise ValueError(f"got {describe(picture)}, not floats (N, C, H, W).")
    check_whole(tile=tile, stride=stride)
    check_whole(0, margin=margin)
    step = (tile - 2 * margin) // stride * stride
    if step < stride:
        least = 2 * margin + stride
        if (margin, stride) == (MARGIN, STRIDE):
            least += (_BORDER - least) % STRIDE  # up to a side that `UNet2015` takes
        raise ValueError(
            f"tile={tile} leaves fewer than {stride} pixels inside a margin of {margin}: take {least} or more."
        )
    height, width = picture.shape[-2:]
    rows, columns = range(0, height, step), range(0, width, step)
    beyond = tile - margin  # from a tile's first result to its end
    padded = mirror_pad(picture, margin, columns[-1] + beyond - width, margin, rows[-1] + beyond - height)
    bands = []
    with evaluation_mode(model):
        for top in rows:
            windows = (padded[..., top : top + tile, left : left + tile] for left in columns)
            bands.append(torch.cat([_inside(model(window), tile, margin, step) for window in windows], dim=-1))
    return torch.cat(bands, dim=-2)[..., :height, :width]


def _inside(output: Tensor, tile: int, margin: int, step: int) -> Tensor:
    """The part of one tile's output that goes into the result: `step` pixels a side, from behind the margin on."""
    sides = tuple(output.shape[-2:])
    if sides not in ((tile, tile), (tile - 2 * margin,) * 2):
        raise ValueError(
            f"the model makes {sides} of a tile of {tile}: neither the tile's size nor {2 * margin} pixels less; "
            "give its margin."
        )
    start = margin if sides[0] == tile else 0
    return output[..., start : start + step, start : start + step]
