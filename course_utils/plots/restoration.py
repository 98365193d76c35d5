"""A picture before and after restoration: a wipe between the two, the original, and what is still wrong."""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from course_utils.metrics import psnr, ssim
from course_utils.plots.rendering import NearestImage
from course_utils.plots.scenes import to_rgb

FULL_COLOUR = 0.2
"""An error of so much of white, or more, has the brightest colour."""

LONGEST_NAME = 22
"""A longer name is cut in the figure, so that it does not run into its neighbour."""

_COLOURS = "inferno"
_ORANGE = "#E69F00"
_LARGE, _SMALL = 432, 208
_LEFT, _TOP = 20, 48
_SMALL_LEFT = _LEFT + _LARGE + 28
_TEXT_LEFT = _SMALL_LEFT + _SMALL + 16


@dataclass(frozen=True)
class Judged:
    """A picture and how close it comes to the original.

    Attributes:
        picture: ``(3, S, S)`` floats, white 1 and black 0.
        psnr: in decibels; infinite if it equals the original.
        ssim: 1 if it equals the original.
    """

    picture: Tensor
    psnr: float
    ssim: float

    @property
    def verdict(self) -> str:
        """The two numbers in words."""
        if self.psnr == float("inf"):
            return "equal to the original"
        return f"PSNR {self.psnr:.2f} dB, SSIM {self.ssim:.3f}"


def judge(picture: Tensor, original: Tensor) -> Judged:
    """Measure a picture against its original, both ``(3, S, S)``; what lies beyond white and black is cut off first.

    Raises:
        ValueError: if the shapes differ, or values are not finite.
    """
    picture = picture.detach().cpu().float().clamp(0, 1)
    pair = picture[None], original.detach().cpu().float()[None]
    return Judged(picture, psnr(*pair), ssim(*pair))


def gain(before: Judged, after: Judged) -> str:
    """By how much the second is better than the first: the difference of the PSNRs as they are written."""
    if before.psnr == float("inf"):
        return "nothing to gain"
    if after.psnr == float("inf"):
        return "no error left"
    return f"gain {round(after.psnr, 2) - round(before.psnr, 2):+.2f} dB".replace("-", "−")


class WipeFigure:
    """A large panel with the wipe, two small ones beside it; `update` redraws them for other pictures or another wipe.

    In the large panel, each pixel of the picture is a square of whole pixels on the screen.
    """

    WIDTH, HEIGHT = 9.6, 4.9

    def __init__(self) -> None:
        self.figure = Figure(figsize=(self.WIDTH, self.HEIGHT))
        lower = _TOP + _LARGE - _SMALL
        self._wiped = NearestImage.on(self._axes(_LEFT, _TOP, _LARGE))
        self._original = self._panel(_SMALL_LEFT, _TOP, _SMALL)
        self._error = self._panel(_SMALL_LEFT, lower, _SMALL)
        edge = [patheffects.Stroke(linewidth=4.5, foreground="white"), patheffects.Normal()]
        line = Line2D([0.5, 0.5], [0, 1], color=_ORANGE, linewidth=2.5, path_effects=edge)
        self._line = self._wiped.axes.add_artist(line)
        bold = {"fontsize": 11.5, "weight": "bold"}
        self._text(_LEFT, 20, "damaged", **bold)
        self._before = self._text(_LEFT, 40)
        self._name = self._text(_LEFT + _LARGE, 20, ha="right", **bold)
        self._after = self._text(_LEFT + _LARGE, 40, ha="right")
        self._text(_TEXT_LEFT, _TOP + 14, "original", **bold)
        self._size = self._text(_TEXT_LEFT, _TOP + 36)
        self._text(_TEXT_LEFT, lower + 14, "absolute error of", **bold)
        self._error_name = self._text(_TEXT_LEFT, lower + 34, **bold)
        self._text(_TEXT_LEFT, lower + 56, "mean of the three colours")
        self._gain = self._text(_TEXT_LEFT, lower + 96)
        self._scale(_TEXT_LEFT, _TOP + _LARGE - 36)

    def _axes(self, left: int, top: int, side: int):
        ax = self.figure.add_axes(self._box(left, top, side, side))
        ax.set_axis_off()  # frames and ticks, even empty ones, take a tenth of the time of a drawing
        return ax

    def _panel(self, left: int, top: int, side: int):
        return self._axes(left, top, side).imshow(np.zeros((1, 1, 3), np.uint8), extent=(0, 1, 1, 0))

    def _box(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Hundredths of an inch from the upper left corner as matplotlib's shares from the lower left one."""
        across, down = self.WIDTH * 100, self.HEIGHT * 100
        return left / across, 1 - (top + height) / down, width / across, height / down

    def _text(self, left: float, base: float, words: str = "", **style: object):
        x, y, *_ = self._box(left, base, 0, 0)
        style = {"fontsize": 10, "color": "0.15", "parse_math": False, **style}
        return self.figure.text(x, y, words, **style)

    def _scale(self, left: int, top: int) -> None:
        ax = self.figure.add_axes(self._box(left, top, 200, 14))
        ax.set_axis_off()
        ax.imshow(np.linspace(0, 1, 200)[None], cmap=_COLOURS, aspect="auto")
        self._text(left, top + 32, "0")
        self._text(left + 200, top + 32, f"{FULL_COLOUR} of white, or more", ha="right")

    @property
    def moving(self) -> list[Artist]:
        """All that `update` ever changes: first what another picture changes, then another restorer, damage, wipe."""
        texts = [self._size, self._name, self._error_name, self._before, self._after, self._gain]
        return [self._original, *texts, self._error, self._wiped, self._line]

    def update(self, original: Tensor, damaged: Judged, right: Judged, name: str, wipe: float = 0.5) -> Figure:
        """Draw the damaged picture left of the line and another one right of it.

        Args:
            original: square picture ``(3, S, S)``, white 1 and black 0.
            damaged: left of the line.
            right: what a restorer made of it, or the original.
            name: of what is to the right.
            wipe: share of the width that shows the damaged picture, 0 to 1; rounded to whole pixels of the picture.

        Raises:
            ValueError: for a picture that is not square and in colour, or a wipe out of range.
        """
        shape = tuple(original.shape)
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
            raise ValueError(f"a picture of shape {shape} is not square and in colour, (3, S, S).")
        if not 0 <= wipe <= 1:
            raise ValueError(f"wipe={wipe} is not a share from 0 to 1.")
        side, border = shape[1], round(wipe * shape[1])
        before, after = (to_rgb(one.picture) for one in (damaged, right))
        self._wiped.set_data(np.concatenate([before[:, :border], after[:, border:]], axis=1))
        whole = side * (_LARGE // side) or _LARGE
        self._wiped.axes.set_position(self._box(_LEFT, _TOP, whole, whole))
        self._line.set_xdata([border / side] * 2)
        error = (right.picture - original.detach().cpu()).abs().mean(0).numpy()
        _show(self._original, to_rgb(original.clamp(0, 1)))
        _show(self._error, colormaps[_COLOURS]((error / FULL_COLOUR).clip(0, 1), bytes=True)[..., :3])
        name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        for text, words in {
            self._before: damaged.verdict,
            self._name: name,
            self._after: right.verdict,
            self._size: f"{side} × {side} pixels",
            self._error_name: name,
            self._gain: gain(damaged, right),
        }.items():
            text.set_text(words)
        return self.figure


def wipe_figure(original: Tensor, damaged: Tensor, restored: Tensor, name: str, wipe: float = 0.5) -> Figure:
    """A restoration on paper: square pictures ``(3, S, S)``, white 1 and black 0, and who restored.

    Raises:
        ValueError: as `WipeFigure.update` says.
    """
    return WipeFigure().update(original, judge(damaged, original), judge(restored, original), name, wipe)


def _show(image: AxesImage, pixels: np.ndarray) -> None:
    """Change only what differs: what has not changed need not be drawn again."""
    if not np.array_equal(image.get_array(), pixels):
        image.set_data(pixels)
