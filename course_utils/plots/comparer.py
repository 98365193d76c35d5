"""Two enlargements of one picture beside the original: windows, a wipe, differences, spectra."""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from course_utils.checks import check_choice, check_whole
from course_utils.experiments.enlargement import SCHEMES, Enlargement, cut_to, enlarge_again
from course_utils.plots.arithmetic import log_spectrum
from course_utils.plots.rendering import NearestImage

VIEWS = ("side by side", "wipe", "difference", "spectrum")
ZOOMS = (1, 2, 4, 8, 16)
FULL_COLOUR = 0.2
"""A difference of so much of white is drawn in full red or blue."""

_PIXELS = 288
_ORANGE = "#E69F00"


@dataclass(frozen=True)
class Window:
    """Which part of a square picture is shown.

    Attributes:
        zoom: how many times smaller than the picture the window is.
        x: of its middle, from 0 at the left to 1 at the right.
        y: of its middle, from 0 at the top to 1 at the bottom.
    """

    zoom: int = 4
    x: float = 0.5
    y: float = 0.5

    def __post_init__(self) -> None:
        check_whole(zoom=self.zoom)
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise ValueError(f"x={self.x} and y={self.y} are not shares from 0 to 1.")

    def square(self, side: int) -> tuple[int, int, int]:
        """Left, top and side in pixels of a picture of `side` pixels; the window stays inside."""
        extent = max(side // self.zoom, 1)
        left, top = (min(max(round(at * side - extent / 2), 0), side - extent) for at in (self.x, self.y))
        return left, top, extent


class ComparerFigure:
    """Three panels; `update` redraws them for other pictures, another view, window or wipe."""

    WIDTH, HEIGHT = 9.6, 4.0

    def __init__(self) -> None:
        self.figure = Figure(figsize=(self.WIDTH, self.HEIGHT))
        side = _PIXELS / 96
        gap = (self.WIDTH - 3 * side) / 3
        self._images, self._titles, self._notes = [], [], []
        for i in range(3):
            left = gap / 2 + i * (side + gap)
            ax = self.figure.add_axes((left / self.WIDTH, 0.22 / self.HEIGHT, side / self.WIDTH, side / self.HEIGHT))
            ax.set(xticks=(), yticks=())
            self._images.append(NearestImage.on(ax))
            above = (0.22 + side) / self.HEIGHT
            self._titles.append(
                self.figure.text(left / self.WIDTH, above + 0.065, "", fontsize=11.5, weight="bold", parse_math=False)
            )
            self._notes.append(
                self.figure.text(left / self.WIDTH, above + 0.018, "", fontsize=10, color="0.25", parse_math=False)
            )
        first, middle, _ = (image.axes for image in self._images)
        self._frame = first.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=_ORANGE, linewidth=2))
        self._line = middle.add_artist(Line2D([0.5, 0.5], [0, 1], color=_ORANGE, linewidth=1.5))
        self._below = self.figure.text(0.5, 0.014, "", fontsize=10, color="0.25", ha="center")

    def update(
        self,
        original: Enlargement,
        first: tuple[str, Enlargement],
        second: tuple[str, Enlargement],
        view: str = VIEWS[0],
        window: Window | None = None,
        wipe: float = 0.5,
    ) -> Figure:
        """Draw `view` of two named enlargements of a square picture, ``(3, S, S)``, 0 to 1.

        Args:
            original: as `course_utils.experiments.enlargement.cut_to` gives it.
            window: what is shown; a spectrum is always that of the whole picture.
            wipe: share of the window's width that shows the first enlargement, 0 to 1.

        Raises:
            ValueError: for a picture that is not square and in colour.
        """
        shape = tuple(original.picture.shape)
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
            raise ValueError(f"a picture of shape {shape} is not square and in colour, (3, S, S).")
        window = window or Window()
        pictures = [_array(made.picture) for made in (original, first[1], second[1])]
        titles = ["original", first[0], second[0]]
        own = f"checkerboard {original.checkerboard:.3f}"
        notes = [
            own,
            *(f"PSNR {made.psnr:.1f} dB, checkerboard {made.checkerboard:.3f}" for _, made in (first, second)),
        ]
        panels = {
            "side by side": _side_by_side,
            "wipe": _wiped,
            "difference": _differences,
            "spectrum": _spectra,
        }[view](pictures, window, wipe)
        below = ""
        if view == "wipe":
            titles = ["original, the window in orange", f"left: {first[0]}", "original, the window"]
            notes = ["", f"right of the line: {second[0]}", ""]
        elif view == "difference":
            titles = [f"{first[0]} − original", f"{second[0]} − original", "first − second"]
            notes = [*notes[1:], ""]
            below = f"red: brighter, blue: darker, white: equal; full colour from {FULL_COLOUR} of white"
        elif view == "spectrum":
            below = "middle: 0 cycles per pixel, border: ½; black: less than 1/100,000 of the strongest"
        for image, panel in zip(self._images, panels, strict=True):
            image.set_data(panel)
        for text, words in zip((*self._titles, *self._notes, self._below), (*titles, *notes, below), strict=True):
            text.set_text(words)
        self._line.set_visible(view == "wipe")
        self._line.set_xdata([wipe, wipe])
        self._frame.set_visible(view == "wipe")
        left, top, extent = window.square(pictures[0].shape[0])
        share = 1 / pictures[0].shape[0]
        self._frame.set_bounds(left * share, top * share, extent * share, extent * share)
        return self.figure


def compare_figure(
    original: Tensor, names: tuple[str, str], factor: int = 2, *, window: Window | None = None
) -> Figure:
    """A comparison on paper, side by side: two of `SCHEMES` by name on the square picture `original`, ``(3, S, S)``."""
    for name in names:
        check_choice("scheme", name, tuple(SCHEMES))
    made = [(name, enlarge_again(original, SCHEMES[name], factor)) for name in names]
    return ComparerFigure().update(cut_to(original, factor), *made, window=window)


def _array(picture: Tensor) -> np.ndarray:
    return picture.detach().cpu().float().permute(1, 2, 0).numpy()


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """Every panel has the same number of pixels, so that the artists stay as they are."""
    rows, columns = ((np.arange(_PIXELS) * side) // _PIXELS for side in picture.shape[:2])
    return picture[rows][:, columns]


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def _cut(picture: np.ndarray, window: Window) -> np.ndarray:
    left, top, extent = window.square(picture.shape[0])
    return picture[top : top + extent, left : left + extent]


def _side_by_side(pictures: list[np.ndarray], window: Window, wipe: float) -> list[np.ndarray]:
    return [_enlarged(_bytes(_cut(picture, window))) for picture in pictures]


def _wiped(pictures: list[np.ndarray], window: Window, wipe: float) -> list[np.ndarray]:
    original, first, second = _side_by_side(pictures, window, wipe)
    border = round(wipe * _PIXELS)
    return [_enlarged(_bytes(pictures[0])), np.concatenate([first[:, :border], second[:, border:]], axis=1), original]


def _differences(pictures: list[np.ndarray], window: Window, wipe: float) -> list[np.ndarray]:
    original, first, second = (_cut(picture, window).mean(2) for picture in pictures)
    pairs = ((first, original), (second, original), (first, second))
    return [_enlarged(_coloured("RdBu_r", 0.5 + (a - b) / (2 * FULL_COLOUR))) for a, b in pairs]


def _spectra(pictures: list[np.ndarray], window: Window, wipe: float) -> list[np.ndarray]:
    return [_enlarged(_spectrum(picture)) for picture in pictures]


def _spectrum(picture: np.ndarray) -> np.ndarray:
    return _coloured("magma", log_spectrum(torch.from_numpy(picture.mean(2))).numpy() / 5 + 1)


def _coloured(colours: str, values: np.ndarray) -> np.ndarray:
    return colormaps[colours](values.clip(0, 1), bytes=True)[..., :3]
