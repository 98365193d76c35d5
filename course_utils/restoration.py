"""Damage pictures on purpose: a damaged picture and the one it came from are all that restoration needs to learn.

Every degradation takes a batch ``(N, 3, H, W)`` of floats, white 1 and black 0, and a seed; it gives a batch of that
shape and range, the same one for the same seed. Resolution, colour and holes are computed on the batch's device; JPEG
and text are made on the CPU, picture by picture, and JPEG passes no gradient. Each raises a `ValueError` for a setting
out of range, and for pictures that are no such batch.
"""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_utils.checks import check_flags, check_whole, is_number, is_pair, is_whole
from course_utils.pictures import check_pictures, luminance
from course_utils.random_state import seeded_generator, whole_seed
from course_utils.smooth_fill import fill_smoothly


class Degradation(Protocol):
    """Whatever is called with a batch and a seed, and gives a batch."""

    def __call__(self, pictures: Tensor, seed: int) -> Tensor: ...


@dataclass(frozen=True)
class Compose:
    """One degradation after the other, each with a seed of its own that follows from the one given.

    Composing what is already composed gives what one long list of the same steps would.
    """

    steps: Sequence[Degradation]

    def __post_init__(self) -> None:
        if not isinstance(self.steps, Sequence) or not self.steps:
            raise ValueError(f"steps={self.steps!r} is no list of degradations, one at least.")
        for i, step in enumerate(self.steps):
            check_step(f"steps[{i}]", step)

    def __call__(self, pictures: Tensor, seed: int) -> Tensor:
        seed = whole_seed(seed)
        for i, step in enumerate(self._flat()):
            pictures = step(pictures, seed + 7919 * i)
        return pictures

    def _flat(self) -> Iterator[Degradation]:
        for step in self.steps:
            yield from step._flat() if isinstance(step, Compose) else (step,)


@dataclass(frozen=True)
class LowerResolution:
    """Reduce with antialiasing, then enlarge bilinearly to the size it had: fine detail is lost.

    Args:
        factor: how many times smaller in between, at least 1; need not be whole.
    """

    factor: float = 2.0

    def __post_init__(self) -> None:
        if not is_number(self.factor) or not 1 <= self.factor < math.inf:
            raise ValueError(f"factor={self.factor!r} is not a number of at least 1.")

    def __call__(self, pictures: Tensor, seed: int = 0) -> Tensor:
        check_pictures(pictures)
        size = pictures.shape[-2:]
        small = [max(round(side / self.factor), 1) for side in size]
        whole = pictures.to(torch.promote_types(pictures.dtype, torch.float32))  # a CPU reduces nothing smaller
        reduced = F.interpolate(whole, small, mode="bilinear", antialias=True, align_corners=False)
        return F.interpolate(reduced, size, mode="bilinear", align_corners=False).clamp(0, 1).to(pictures.dtype)


@dataclass(frozen=True)
class Jpeg:
    """Save and load as JPEG, at a quality drawn for each picture.

    Args:
        quality: lowest and highest, from 1 (worst) to 100, both included.
    """

    quality: tuple[int, int] = (10, 70)

    def __post_init__(self) -> None:
        _check_quality(self.quality)

    def __call__(self, pictures: Tensor, seed: int) -> Tensor:
        check_pictures(pictures)
        return _through_jpeg(pictures, _draw_integers(self.quality, len(pictures), seed))


@dataclass(frozen=True)
class Overprint:
    """White figures printed over each picture: a number of two digits at a random place.

    Args:
        count: how many numbers on each picture.
        height: of a figure, as a share of the picture's height.
    """

    count: int = 1
    height: float = 0.15

    def __post_init__(self) -> None:
        check_whole(count=self.count)
        if not is_number(self.height) or not 0 < self.height <= 1:
            raise ValueError(f"height={self.height!r} is not a share of the picture, above 0 and up to 1.")

    def __call__(self, pictures: Tensor, seed: int) -> Tensor:
        check_pictures(pictures)
        seed = whole_seed(seed)
        numbers = _draw_integers((10, 99), self.count * len(pictures), seed)
        places = torch.rand(self.count * len(pictures), 2, generator=seeded_generator(seed + 1))
        texts = [str(number) for number in numbers]
        for i in range(self.count):
            pictures = _print_over(pictures, texts[i :: self.count], places[i :: self.count], self.height)
        return pictures


@dataclass(frozen=True)
class Crappify:
    """The lecture's damage: fewer pixels, the JPEG quality printed in white in the upper left quarter, then JPEG.

    What is printed *is* the quality at which the picture is saved (Howard et al. 2019), so a network can read there how
    much damage it has to undo; ``leak=False`` prints another number.

    Args:
        factor: of the loss of resolution; 1 keeps all pixels.
        quality: lowest and highest JPEG quality, 1 to 100; None leaves JPEG out.
        text: print the number.
        leak: print the true quality.
        height: of the figures, as a share of the picture's height.
    """

    factor: float = 2.0
    quality: tuple[int, int] | None = (10, 70)
    text: bool = True
    leak: bool = True
    height: float = 0.15

    def __post_init__(self) -> None:
        check_flags(text=self.text, leak=self.leak)
        LowerResolution(self.factor)
        Overprint(1, self.height)
        if self.quality is not None:
            _check_quality(self.quality)

    def __call__(self, pictures: Tensor, seed: int) -> Tensor:
        pictures, seed = LowerResolution(self.factor)(pictures), whole_seed(seed)
        drawn = _draw_integers(self.quality or (10, 99), len(pictures), seed)
        if self.text:
            printed = drawn if self.leak else _draw_integers(self.quality or (10, 99), len(pictures), seed + 1)
            places = torch.rand(len(pictures), 2, generator=seeded_generator(seed + 2)) / 2
            pictures = _print_over(pictures, [str(number) for number in printed], places, self.height)
        return pictures if self.quality is None else _through_jpeg(pictures, drawn)


@dataclass(frozen=True)
class Grayscale:
    """Take the colour away: three equal channels of luminance."""

    def __call__(self, pictures: Tensor, seed: int = 0) -> Tensor:
        check_pictures(pictures)
        return luminance(pictures).expand_as(pictures).contiguous()


@dataclass(frozen=True)
class CutOut:
    """Cut rectangles out of each picture and fill them, with mid-grey if nothing else is asked for.

    Args:
        holes: how many for each picture.
        share: smallest and largest side of a hole, as shares of the picture's sides, above 0 and up to 1.
        fill: brightness left in the hole, 0 to 1, or "smooth": the border continued inwards, by
            `course_utils.smooth_fill.fill_smoothly`.
    """

    holes: int = 1
    share: tuple[float, float] = (0.2, 0.4)
    fill: float | Literal["smooth"] = 0.5

    def __post_init__(self) -> None:
        check_whole(holes=self.holes)
        if not is_pair(self.share) or not 0 < self.share[0] <= self.share[1] <= 1:
            raise ValueError(f"share={self.share!r} is not (smallest, largest) with 0 < smallest <= largest <= 1.")
        if self.fill != "smooth" and (not is_number(self.fill) or not 0 <= self.fill <= 1):
            raise ValueError(f"fill={self.fill!r} is neither a brightness from 0 to 1 nor 'smooth'.")

    def masks(self, n: int, height: int, width: int, seed: int, device: torch.device | str = "cpu") -> Tensor:
        """Where the holes are: ``(n, 1, height, width)`` bool, the same as the call with this seed cuts."""
        check_whole(0, n=n)
        check_whole(height=height, width=width)
        draw = torch.rand(n, self.holes, 4, generator=seeded_generator(seed)).to(device)
        low, high = self.share
        found = torch.ones(n, self.holes, height, width, dtype=torch.bool, device=device)
        for axis, side in enumerate((height, width)):
            extent = ((low + (high - low) * draw[..., axis]) * side).round().clamp(1, side)
            start = ((side - extent) * draw[..., 2 + axis]).round()
            places = torch.arange(side, device=device)
            inside = (places >= start[..., None]) & (places < (start + extent)[..., None])
            found &= inside[..., :, None] if axis == 0 else inside[..., None, :]
        return found.any(1, keepdim=True)

    def __call__(self, pictures: Tensor, seed: int) -> Tensor:
        check_pictures(pictures)
        masks = self.masks(len(pictures), *pictures.shape[2:], seed, pictures.device)
        return fill_smoothly(pictures, masks) if self.fill == "smooth" else torch.where(masks, self.fill, pictures)


@dataclass(frozen=True)
class BrushNoise:
    """Add coloured noise, smeared across as if by a brush: one surface is then nowhere the same.

    A network without chance in its input paints equal surroundings equally; where the strokes of a painting lie is
    chance (Ulyanov et al. 2016 feed noise to networks that make textures).

    Args:
        strength: standard deviation of the noise; pictures run from 0 to 1.
        length, height: of a smear, in pixels across and down.
    """

    strength: float = 0.1
    length: int = 9
    height: int = 3

    def __post_init__(self) -> None:
        if not is_number(self.strength) or not 0 <= self.strength <= 1:
            raise ValueError(f"strength={self.strength!r} is not a number from 0 to 1.")
        check_whole(length=self.length, height=self.height)

    def __call__(self, pictures: Tensor, seed: int) -> Tensor:
        check_pictures(pictures)
        n, channels, rows, columns = pictures.shape
        shape = (n, channels, rows + 2 * (self.height - 1), columns + 2 * (self.length - 1))
        noise = torch.randn(shape, generator=seeded_generator(seed)).to(pictures.device)
        for _ in range(2 if n else 0):
            noise = F.avg_pool2d(noise, (self.height, self.length), 1)
        # Two averages of m make weights in the shape of a roof; the sum of their squares is what is left of variance 1.
        left = math.prod((2 * m * m + 1) / (3 * m**3) for m in (self.height, self.length))
        scale = self.strength / math.sqrt(left)
        return (pictures + scale * noise[..., :rows, :columns].to(pictures.dtype)).clamp(0, 1)


@dataclass(frozen=True)
class Sketch:
    """A pencil drawing of each picture: its luminance divided by a blurred copy, dark where brightness falls quickly.

    As a target, not a damage. Flat regions become white paper; ``1 - (blurred - y) / blurred`` stays for lines.

    Args:
        radius: of the blur, as a share of the shorter side; larger ones give broader lines.
        strength: exponent; above 1 the lines are darker.
    """

    radius: float = 0.03
    strength: float = 1.5

    def __post_init__(self) -> None:
        if not is_number(self.radius) or not 0 < self.radius <= 0.5:
            raise ValueError(f"radius={self.radius!r} is not a share of the picture, above 0 and up to 0.5.")
        if not is_number(self.strength) or not 0 < self.strength < math.inf:
            raise ValueError(f"strength={self.strength!r} is not a positive number.")

    def __call__(self, pictures: Tensor, seed: int = 0) -> Tensor:
        check_pictures(pictures)
        y = luminance(pictures)
        radius = max(round(self.radius * min(y.shape[-2:])), 1)
        padded = F.pad(y, [min(radius, side - 1) for side in (y.shape[-1],) * 2 + (y.shape[-2],) * 2], mode="replicate")
        blurred = F.avg_pool2d(padded, [a - b + 1 for a, b in zip(padded.shape[-2:], y.shape[-2:], strict=True)], 1)
        lines = (y / blurred.clamp_min(1 / 255)).clamp(0, 1) ** self.strength
        return lines.expand_as(pictures).contiguous()


def _through_jpeg(pictures: Tensor, qualities: Sequence[int]) -> Tensor:
    if not len(pictures):
        return pictures.clone()
    as_bytes = (pictures.detach() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    made = np.stack([_saved_as_jpeg(one, quality) for one, quality in zip(as_bytes, qualities, strict=True)])
    return torch.from_numpy(made).permute(0, 3, 1, 2).to(pictures.device, pictures.dtype).contiguous() / 255


def _saved_as_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", quality=quality)
    return np.array(Image.open(buffer))


@lru_cache(maxsize=256)
def _figures(text: str, height: int) -> np.ndarray:
    """White figures on black, their height in pixels given, ``(h, w)`` from 0 to 1."""
    font = ImageFont.load_default(size=max(round(1.35 * height), 4))
    left, top, right, bottom = font.getbbox(text)
    canvas = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(canvas).text((-left, -top), text, fill=255, font=font)
    return np.asarray(canvas, dtype=np.float32) / 255


def _print_over(pictures: Tensor, texts: Sequence[str], places: Tensor, share: float) -> Tensor:
    """White texts at `places` ``(N, 2)``, shares of the room that is left; a text too large is cut off."""
    printed = pictures.clone()
    height, width = pictures.shape[-2:]
    for i, (text, (down, across)) in enumerate(zip(texts, places.tolist(), strict=True)):
        ink = torch.from_numpy(_figures(text, max(round(share * height), 1))[:height, :width]).to(printed)
        rows, columns = ink.shape
        top, left = round(down * (height - rows)), round(across * (width - columns))
        part = printed[i, :, top : top + rows, left : left + columns]
        part.copy_(part + ink * (1 - part))
    return printed


def _draw_integers(bounds: tuple[int, int], n: int, seed: int) -> list[int]:
    return torch.randint(bounds[0], bounds[1] + 1, (n,), generator=seeded_generator(seed)).tolist()


def _check_quality(quality: tuple[int, int]) -> None:
    whole = is_pair(quality) and all(map(is_whole, quality))
    if not whole or not 1 <= quality[0] <= quality[1] <= 100:
        raise ValueError(f"quality={quality!r} is not (lowest, highest), whole numbers from 1 to 100.")


def check_step(name: str, step: object) -> None:
    """Refuse what cannot be called with pictures.

    Raises:
        ValueError: with what was given instead.
    """
    if not callable(step) or isinstance(step, type):
        raise ValueError(f"{name}={step!r} is no degradation; give one such as Jpeg(), with its brackets.")
