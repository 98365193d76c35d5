"""Random geometry and light for a whole batch at once, on its device, the same motion for picture and mask."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import is_number, is_pair, is_whole
from course_utils.classes import VOID

MOST_ZOOM = 16


@dataclass(frozen=True)
class Augment:
    """Flip, rotate, zoom, shift and relight each picture of a batch; what comes in from outside is void.

    Call as ``augment(images, masks, generator)`` with images ``(N, 3, H, W)`` uint8 or float 0..255 and masks
    ``(N, H, W)`` codes; returns float32 images 0..255 and masks of the same dtype. The same generator state gives the
    same result.

    Args:
        flip: probability of a left-right flip.
        degrees: largest rotation either way, up to 180.
        zoom: ``(smallest, largest)`` magnification, 1/16 to 16, drawn log-uniformly; below 1 shows a border of void.
        brightness: largest change of brightness, as a share of the full range.
        contrast: largest change of contrast, as a share.
        saturation: largest change of saturation, as a share.
        void: code for pixels that the picture does not cover, CamVid's if left out; for another data set, its own. A
            negative one needs masks of a signed type, or settings that show no border.

    Raises:
        ValueError: for a setting out of range; in a call, for shapes or codes that do not fit.
    """

    flip: float = 0.5
    degrees: float = 10.0
    zoom: tuple[float, float] = (1.0, 1.1)
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.0
    void: int = VOID

    def __post_init__(self) -> None:
        if not is_number(self.degrees) or not 0 <= self.degrees <= 180:
            raise ValueError(f"degrees={self.degrees!r} is not an angle from 0 to 180.")
        for name in ("brightness", "contrast", "saturation"):
            share = getattr(self, name)
            if not is_number(share) or not 0 <= share <= 1:
                raise ValueError(f"{name}={share!r} is not a share from 0 to 1.")
        if not is_pair(self.zoom) or not 1 / MOST_ZOOM <= self.zoom[0] <= self.zoom[1] <= MOST_ZOOM:
            raise ValueError(
                f"zoom={self.zoom!r} is not (smallest, largest) with 1/{MOST_ZOOM} <= smallest <= largest <= "
                f"{MOST_ZOOM}."
            )
        if not is_number(self.flip) or not 0 <= self.flip <= 1:
            raise ValueError(f"flip={self.flip!r} is not a probability.")
        if not is_whole(self.void):
            raise ValueError(f"void={self.void!r} is not a code, which is a whole number.")

    @property
    def shows_border(self) -> bool:
        """Whether a picture may come to cover only a part of its frame, so that void is written into its mask."""
        return self.degrees > 0 or self.zoom[0] < 1

    def __call__(self, images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if images.ndim != 4 or masks.shape != (len(images), *images.shape[2:]):
            raise ValueError(
                f"images {tuple(images.shape)} and masks {tuple(masks.shape)} are not (N, C, H, W) and (N, H, W)."
            )
        if self.void < 0 and not masks.dtype.is_signed and self.shows_border:
            raise ValueError(
                f"degrees={self.degrees} and zoom={self.zoom} show a border, for which the data set has no code, as it "
                "has no class Void: take degrees=0 and a zoom of at least 1."
            )
        n, _, height, width = images.shape
        draw = torch.rand(n, 8, generator=generator, device=images.device)
        grid = F.affine_grid(self._matrices(draw, height / width), [n, 1, height, width], align_corners=False)
        # Pixels outside become 0, so the mask is shifted to make void the zero.
        moved = F.grid_sample((masks.float() - self.void).unsqueeze(1), grid, mode="nearest", align_corners=False)
        moved_masks = (moved.squeeze(1) + self.void).to(masks.dtype)
        moved_images = F.grid_sample(images.float(), grid, mode="bilinear", align_corners=False)
        return self._relight(moved_images, draw), moved_masks

    def _matrices(self, draw: Tensor, aspect: float) -> Tensor:
        """Affine maps ``(N, 2, 3)`` from output to input, in the -1..1 coordinates of `grid_sample`."""
        angle = torch.deg2rad((draw[:, 0] * 2 - 1) * self.degrees)
        low, high = (math.log(limit) for limit in self.zoom)
        scale = torch.exp(-(low + draw[:, 1] * (high - low)))
        mirror = torch.where(draw[:, 2] < self.flip, -1.0, 1.0)
        cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
        # A window smaller than the picture may sit anywhere in it; a larger one stays centred.
        room = (1 - scale).clamp(min=0)
        shift_x, shift_y = (draw[:, 3] * 2 - 1) * room, (draw[:, 4] * 2 - 1) * room
        rows = [
            torch.stack([cos * mirror, -sin * aspect, shift_x], dim=1),
            torch.stack([sin * mirror / aspect, cos, shift_y], dim=1),
        ]
        return torch.stack(rows, dim=1)

    def _relight(self, images: Tensor, draw: Tensor) -> Tensor:
        def factor(column: int, strength: float) -> Tensor:
            return 1 + (draw[:, column] * 2 - 1).view(-1, 1, 1, 1) * strength

        if self.saturation:
            grey = images.mean(1, keepdim=True)
            images = grey + (images - grey) * factor(7, self.saturation)
        if self.contrast:
            mean = images.mean((1, 2, 3), keepdim=True)
            images = mean + (images - mean) * factor(6, self.contrast)
        if self.brightness:
            images = images + 255 * (factor(5, self.brightness) - 1)
        return images.clamp(0, 255)
