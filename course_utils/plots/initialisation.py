"""A network's enlargement beside the truth, in whole, close up and as a spectrum; and the contest's results as dots."""

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import mean

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from course_utils.experiments.enlarger_scores import Result
from course_utils.plots.arithmetic import FRAME, log_spectrum
from course_utils.plots.figures import SMALL_SIZE, TEXT_SIZE
from course_utils.plots.scenes import to_rgb

SHADES = {"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
SPECTRUM = {"cmap": "magma", "vmin": -5, "vmax": 0, "extent": (-0.5, 0.5, 0.5, -0.5), "interpolation": "nearest"}
BLUE = "#0072B2"
COLUMNS, PICTURE_SIZE = 4, 2.3
"""`show_pictures` has so many in a row, each of so many inches."""


class InitialisationFigure:
    """Above what a network makes of a picture, below the truth; `update` shows another network.

    Args:
        truth: ``(H, W)`` from 0 to 1.
        crop: first row, first column and side of the part that is shown close up.
    """

    WIDTH, HEIGHT, PANEL = 8.4, 6.0, 2.4

    def __init__(self, truth: Tensor, crop: tuple[int, int, int]) -> None:
        self.figure = Figure(figsize=(self.WIDTH, self.HEIGHT))
        self._crop = crop
        self._above = self._row(3.05, truth)
        self._below = self._row(0.3, truth)
        self._title = self.figure.text(0.35 / self.WIDTH, 5.72 / self.HEIGHT, "", fontsize=TEXT_SIZE)
        self.figure.text(0.35 / self.WIDTH, 2.77 / self.HEIGHT, "The true picture", fontsize=TEXT_SIZE)
        self.figure.text(3.0 / self.WIDTH, 2.77 / self.HEIGHT, "The orange squares, enlarged", fontsize=TEXT_SIZE)
        self.figure.text(5.85 / self.WIDTH, 5.72 / self.HEIGHT, "Spectra (cycles per pixel)", fontsize=TEXT_SIZE)
        self._above[2].axes.tick_params(labelbottom=False, pad=8)  # clear of the rings
        (self._marks,) = self._above[2].axes.plot([], [], "o", mfc="none", ms=13, mew=1.3, clip_on=False)
        self._marks.set_markeredgecolor(FRAME)
        self._show(self._below, truth)

    @property
    def moving(self) -> list[Artist]:
        """All that `update` ever changes, and what lies upon it."""
        whole, close, spectrum = self._above
        return [whole, *whole.axes.patches, close, spectrum, self._marks, *spectrum.axes.spines.values(), self._title]

    def update(self, picture: Tensor, title: str, scale: int) -> Figure:
        """Show `picture` ``(H, W)``, made by enlarging `scale` times.

        Rings mark the frequencies at which a pattern that repeats every `scale` pixels would show.
        """
        self._show(self._above, picture)
        self._title.set_text(title)
        places = [place for place in product(pattern_frequencies(scale), repeat=2) if any(place)]
        self._marks.set_data(*zip(*places, strict=True))
        return self.figure

    def _show(self, images: Sequence, picture: Tensor) -> None:
        row, column, side = self._crop
        shades = (picture - picture.min()) / (picture.max() - picture.min()).clamp_min(1e-12)
        whole, close, spectrum = images
        whole.set_data(shades.numpy())
        close.set_data(shades[row : row + side, column : column + side].numpy())
        spectrum.set_data(log_spectrum(picture.double()).numpy())

    def _row(self, bottom: float, truth: Tensor) -> tuple:
        row, column, side = self._crop
        whole, close, spectrum = (self._panel(left, bottom) for left in (0.35, 3.0, 5.85))
        for ax in (whole, close):
            ax.set_axis_off()
        box = Rectangle((column - 0.5, row - 0.5), side, side, fill=False, edgecolor=FRAME, linewidth=1.5)
        whole.add_patch(box)
        for set_ticks in (spectrum.set_xticks, spectrum.set_yticks):
            set_ticks((-0.5, 0, 0.5), ("-½", "0", "½"), fontsize=SMALL_SIZE)
        blank = np.zeros((side, side))
        return (
            whole.imshow(truth.numpy(), **SHADES),
            close.imshow(blank, **SHADES),
            spectrum.imshow(np.zeros(truth.shape), **SPECTRUM),
        )

    def _panel(self, left: float, bottom: float) -> Axes:
        side = self.PANEL
        return self.figure.add_axes((left / self.WIDTH, bottom / self.HEIGHT, side / self.WIDTH, side / self.HEIGHT))


def pattern_frequencies(scale: int) -> list[float]:
    """The frequencies of a pattern of period `scale` along one side, from -½ to ½ cycle per pixel."""
    return sorted({k / scale for k in range(-scale, scale + 1) if abs(k) * 2 <= scale})


def show_contest(tables: Mapping[str, Sequence[Result]], baseline: Result) -> Figure:
    """PSNR and the checkerboard on plain colours, a dot for each seed, a bar for their mean: a row for each scheme.

    Args:
        tables: results by what was held equal; the same schemes in each.
        baseline: whose PSNR is drawn as a line.
    """
    names = [result.scheme for result in next(iter(tables.values()))]
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.axvline(baseline.psnr[0], color="0.4", linestyle="--", label=baseline.scheme)
    for (title, results), colour, marker, shift in zip(tables.items(), (BLUE, FRAME), "os", (-0.15, 0.15), strict=True):
        for ax, key in ((left, "psnr"), (right, "plain")):
            for row, result in enumerate(results):
                values = getattr(result, key)
                label = title if row == 0 and ax is left else None
                ax.plot(values, [row + shift] * len(values), marker, color=colour, ms=5, alpha=0.75, label=label)
                ax.plot([mean(values)] * 2, [row + shift - 0.13, row + shift + 0.13], color=colour, lw=2)
    left.plot([], [], "|", color="0.3", ms=11, mew=2, label="mean of the seeds")
    left.set_yticks(range(len(names)), names, fontsize=TEXT_SIZE)
    left.invert_yaxis()
    left.set_xlabel("PSNR (dB); further right is better", fontsize=TEXT_SIZE)
    right.set_xlabel("checkerboard on plain colours (grey levels); 0 is right", fontsize=TEXT_SIZE)
    right.set_xlim(left=-0.2)
    for ax in (left, right):
        ax.tick_params(labelsize=SMALL_SIZE)
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
    left.tick_params(axis="y", labelsize=TEXT_SIZE)
    figure.legend(loc="outside upper center", ncols=4, fontsize=TEXT_SIZE, frameon=False)
    return figure


def show_pictures(pictures: Mapping[str, Tensor]) -> Figure:
    """Colour pictures ``(3, H, W)`` from 0 to 1 in rows, each below its title, pixel by pixel."""
    rows = -(-len(pictures) // COLUMNS)
    figure = Figure(figsize=(PICTURE_SIZE * COLUMNS, (PICTURE_SIZE + 0.3) * rows), layout="constrained")
    for ax in (axes := figure.subplots(rows, COLUMNS, squeeze=False)).flat:
        ax.set_axis_off()
    for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        ax.imshow(to_rgb(picture.clamp(0, 1)), interpolation="nearest")
        ax.set_title(name, fontsize=TEXT_SIZE)
    return figure
