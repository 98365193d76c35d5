"""Grids with their numbers in the cells: the pictures of convolution arithmetic.

What changes with a slider is drawn as outlines, all numbers of a grid at once, and not as one matplotlib text each:
400 numbers take a tenth of the time, which is what lets the explorer follow.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from torch import Tensor

from course_utils.experiments.arithmetic_walk import INPUT, WALKS, Geometry, Step, take_step
from course_utils.plots.figures import SMALL_SIZE, TEXT_SIZE, TITLE_SIZE

WHITE, PAPER, GREY = (1.0, 1.0, 1.0), (0.965, 0.965, 0.965), (0.87, 0.87, 0.87)
BLUE, GREEN = (0.60, 0.81, 0.94), (0.80, 0.91, 0.84)
FRAME, STAMP, INK, PALE_INK = "#D55E00", "#0072B2", "black", "0.6"
COUNT_COLOURS = np.array([WHITE, (1.0, 0.95, 0.80), (0.99, 0.83, 0.50), (0.96, 0.68, 0.26), (0.88, 0.52, 0.10)])
LARGEST_NUMBER = 15.0
CHARACTERS_PER_LINE = 125
SMALLEST_NOTED_CELL = 30.0
MOST_OUTLINED_STAMPS = 4
FLAT = 1e-5
_SIDE = 224
"""Aimed-at side of a picture on the screen, in pixels at 100 dots per inch."""

Numbers = Tensor | np.ndarray
Place = tuple[int, int]
Square = tuple[int, int, int]
"""First row, first column, side."""


class NumberGrid:
    """Square cells with a colour, a number and perhaps a thick frame each; `show` changes them, however many there are.

    Args:
        ax: axes whose sides are equally long.
        room: width of the axes in points, from which the size of the numbers follows.
    """

    def __init__(self, ax: Axes, room: float) -> None:
        self.ax, self.room = ax, room
        ax.set_axis_off()
        ax.set_aspect("equal")
        self._cells = ax.add_collection(PolyCollection([], edgecolors="0.72", linewidths=0.6))
        self._outline = ax.add_collection(LineCollection([], colors=INK, linewidths=1.6, capstyle="projecting"))
        self._stamps = ax.add_collection(LineCollection([], colors=STAMP, linewidths=1.2, linestyles="--"))
        self._frames = ax.add_collection(LineCollection([], colors=FRAME, linewidths=2.2, capstyle="projecting"))
        self._numbers, self._notes = _texts(ax, INK), _texts(ax, FRAME)

    def show(
        self,
        colours: np.ndarray,
        texts: Mapping[Place, str],
        *,
        pale: np.ndarray | None = None,
        framed: np.ndarray | None = None,
        outline: Square | None = None,
        stamps: Sequence[Square] = (),
        notes: Mapping[Place, str] | None = None,
    ) -> None:
        """Draw ``(H, W, 3)`` cell `colours` with `texts` by (row, column).

        Args:
            pale: ``(H, W)`` bool, cells whose text is pale.
            framed: ``(H, W)`` bool, cells with a thick frame.
            outline: square with a black line round it.
            stamps: squares with a dashed line round them.
            notes: small texts in the corners of cells, left out where cells are too small for them.
        """
        height, width = colours.shape[:2]
        side = max(height, width)
        self.ax.set(xlim=(-0.1, side + 0.1), ylim=(side + 0.1, -0.1))
        self._cells.set_verts(_squares(np.argwhere(np.ones((height, width)))))
        self._cells.set_facecolors(colours.reshape(-1, 3))
        self._frames.set_segments([] if framed is None else _squares(np.argwhere(framed)))
        self._outline.set_segments([] if outline is None else _squares([outline[:2]], outline[2]))
        # Squares of neighbouring stamps share sides: drawn a little smaller each, all of them can be seen.
        insets = [0.07 + 0.05 * (i % 3) for i in range(len(stamps))]
        self._stamps.set_segments([_squares([s[:2]], s[2], inset)[0] for s, inset in zip(stamps, insets, strict=True)])
        cell = self.room / side
        longest = max((len(text) for text in texts.values()), default=1)
        room = 1.05 if stamps else 1.3  # the dashed lines run through cells
        _set_texts(self._numbers, texts, min(LARGEST_NUMBER, cell * min(0.6, room / longest)), (0.5, 0.5))
        self._numbers.set_facecolors([PALE_INK if pale is not None and pale[place] else INK for place in texts])
        _set_texts(self._notes, notes if notes and cell >= SMALLEST_NOTED_CELL else {}, SMALL_SIZE - 1, (0.2, 0.72))


def _texts(ax: Axes, colour: str) -> PathCollection:
    texts = PathCollection([], offsets=np.empty((0, 2)), offset_transform=ax.transData, linewidths=0, facecolors=colour)
    texts.set_transform(Affine2D().scale(1 / 72) + ax.get_figure().dpi_scale_trans)
    ax.add_collection(texts)
    return texts


def _set_texts(collection: PathCollection, texts: Mapping[Place, str], size: float, at: tuple[float, float]) -> None:
    """Put each text `at` this (row, column) of its cell, counted from the cell's upper left corner."""
    collection.set_paths([_outline_of(text, round(size, 1)) for text in texts.values()])
    places = np.array([*texts], dtype=float).reshape(-1, 2)
    collection.set_offsets((places + at)[:, ::-1])


@lru_cache(maxsize=4096)
def _outline_of(text: str, size: float) -> Path:
    """The text as a shape centred on (0, 0), in points."""
    path = TextPath((0, 0), text, size=size)
    box = path.get_extents()
    return Path(path.vertices - [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2], path.codes)


class TextLine:
    """A line of text in a figure, drawn as an outline; `set` changes it.

    Args:
        left, bottom: where its baseline begins, in inches.
        size: in points.
    """

    def __init__(self, figure: Figure, left: float, bottom: float, size: float) -> None:
        inches = Affine2D().scale(1 / 72).translate(left, bottom)
        self.text, self.size = "", size
        self.patch = PathPatch(Path(np.empty((0, 2))), facecolor=INK, linewidth=0, visible=False)
        self.patch.set_transform(inches + figure.dpi_scale_trans)
        figure.add_artist(self.patch)

    def set(self, text: str) -> None:
        if text == self.text:  # its outline takes milliseconds
            return
        if text:
            self.patch.set_path(TextPath((0, 0), text, size=self.size))
        self.patch.set_visible(bool(text))
        self.text = text
        self.patch.stale = True  # another path alone does not count as a change


def _squares(places: np.ndarray | Sequence[Place], side: int = 1, inset: float = 0.0) -> np.ndarray:
    """Corners (x, y) of squares that begin at (row, column) `places`, ``(K, 5, 2)``."""
    near, far = inset, side - inset
    corners = np.array([(near, near), (far, near), (far, far), (near, far), (near, near)])
    return np.asarray(places, dtype=float).reshape(-1, 1, 2)[..., ::-1] + corners


def show_grids(grids: Mapping[str, Numbers], *, cell: float = 0.42) -> Figure:
    """Grids of numbers side by side, each below its title; zeros are pale, so that the rest stands out.

    Args:
        grids: by title, each ``(H, W)``.
        cell: side of a cell in inches.
    """
    arrays = {name: _to_array(values) for name, values in grids.items()}
    colours = [np.where((array == 0)[..., None], PAPER, BLUE) for array in arrays.values()]
    return _grids_in_a_row(arrays, colours, [array == 0 for array in arrays.values()], cell)


def show_counts(counts: Mapping[str, Numbers], *, cell: float = 0.3) -> Figure:
    """Overlap maps side by side, each below its title: the count in every cell, and the more the darker.

    Args:
        counts: by title, each ``(H, W)`` whole numbers.
        cell: side of a cell in inches.
    """
    arrays = {name: _to_array(values) for name, values in counts.items()}
    return _grids_in_a_row(arrays, [count_colours(array) for array in arrays.values()], [None] * len(arrays), cell)


def _to_array(values: Numbers) -> np.ndarray:
    return torch.as_tensor(values).detach().cpu().numpy()


def _grids_in_a_row(
    arrays: Mapping[str, np.ndarray], colours: Sequence[np.ndarray], pale: Sequence[np.ndarray | None], cell: float
) -> Figure:
    gap, head = 0.3, 0.3
    panels = [max(cell * array.shape[1], 0.072 * len(name)) for name, array in arrays.items()]
    width = sum(panels) + gap * len(panels)
    height = cell * max(array.shape[0] for array in arrays.values()) + head + 0.1
    figure = Figure(figsize=(width, height))
    left = gap / 2
    for (name, array), panel, colour, paleness in zip(arrays.items(), panels, colours, pale, strict=True):
        side = cell * max(array.shape)
        ax = figure.add_axes((left / width, (height - head - side) / height, side / width, side / height))
        texts = {place: f"{value:.3g}" for place, value in np.ndenumerate(array)}
        NumberGrid(ax, side * 72).show(colour, texts, pale=paleness)
        figure.text(left / width, (height - head + 0.07) / height, name, fontsize=TEXT_SIZE)
        left += panel + gap
    return figure


def count_colours(counts: np.ndarray) -> np.ndarray:
    """Colour of each overlap count, ``(..., 3)``: white for 0, then darker with each doubling."""
    last = len(COUNT_COLOURS) - 1
    position = np.where(counts > 0, 1 + np.log2(np.maximum(counts, 1)), 0).clip(0, last)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, last)
    return COUNT_COLOURS[low] + (position - low)[..., None] * (COUNT_COLOURS[high] - COUNT_COLOURS[low])


def show_spectra(pictures: Mapping[str, Numbers], title: str = "") -> Figure:
    """Grey pictures above their spectra: how strong each wave is, the slow ones in the middle.

    A checkerboard of period 2 is a bright spot amid a side (every second row or column) or in a corner (both
    at once), where photographs have next to nothing. Every pixel is drawn as a square of whole screen pixels: anything
    else would show patterns that are not there.

    Args:
        pictures: by title, each ``(H, W)``, drawn from its darkest to its brightest value.
        title: of the whole figure.
    """
    arrays = {name: torch.as_tensor(picture).detach().cpu().double() for name, picture in pictures.items()}
    zooms = [max(round(_SIDE / max(array.shape)), 1) for array in arrays.values()]
    widths = [zoom * array.shape[1] for zoom, array in zip(zooms, arrays.values(), strict=True)]
    tallest = max(zoom * array.shape[0] for zoom, array in zip(zooms, arrays.values(), strict=True))
    before, gap, head, foot, scale = 62, 40, 26, 46, 84
    above = 30 if title else 0
    width, height = before + sum(widths) + gap * len(widths) + scale, above + head + 2 * tallest + 18 + foot
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    figure.text(before / width, 1 - above / 2 / height, title, fontsize=TITLE_SIZE, va="center")
    left = before
    for (name, picture), zoom, side in zip(arrays.items(), zooms, widths, strict=True):
        rows = zoom * picture.shape[0]
        places = [
            (left / width, bottom / height, side / width, rows / height)
            for bottom in (height - above - head - rows, foot)
        ]
        top, bottom = map(figure.add_axes, places)
        darkest, brightest = picture.min().item(), picture.max().item()
        if brightest - darkest < FLAT * abs(brightest):  # rounding is no pattern: such a picture is drawn in mid-grey
            darkest, brightest = darkest - 1, brightest + 1
        style = {"interpolation": "nearest", "aspect": "auto"}
        top.imshow(picture.numpy(), cmap="gray", vmin=darkest, vmax=brightest, **style)
        top.set_title(name, fontsize=TEXT_SIZE)
        top.set_axis_off()
        extent = (-0.5, 0.5, 0.5, -0.5)
        spectrum = bottom.imshow(log_spectrum(picture).numpy(), cmap="magma", vmin=-5, vmax=0, extent=extent, **style)
        bottom.set_xticks((-0.5, 0, 0.5), ("-½", "0", "½"), fontsize=SMALL_SIZE)
        bottom.set_yticks((-0.5, 0, 0.5), ("-½", "0", "½"), fontsize=SMALL_SIZE)
        bottom.set_xlabel("cycles per pixel", fontsize=SMALL_SIZE)
        left += side + gap
    figure.axes[1].set_ylabel("cycles per pixel", fontsize=SMALL_SIZE)
    bar = figure.add_axes((left / width, foot / height, 12 / width, rows / height))
    figure.colorbar(spectrum, cax=bar).set_ticks((-5, 0), labels=("10⁻⁵", "1"), fontsize=SMALL_SIZE)
    bar.set_ylabel("strength of each wave", fontsize=SMALL_SIZE)
    return figure


def log_spectrum(picture: Tensor) -> Tensor:
    """``log10`` of each frequency's amplitude as a share of the largest, ``(H, W)``, frequency 0 in the middle."""
    amplitude = torch.fft.fftshift(torch.fft.fft2(picture)).abs()
    return (amplitude / amplitude.max().clamp_min(1e-12)).clamp_min(1e-8).log10()


class ArithmeticFigure:
    """Both views of one transposed convolution, its overlap map and its formula; `update` moves to another step."""

    WIDTH, HEIGHT = 9.6, 4.8

    def __init__(self) -> None:
        self.figure = Figure(figsize=(self.WIDTH, self.HEIGHT))
        self._scatter = self._panel(0.15, 0.95, 3.5)
        self._gather = self._panel(3.8, 0.95, 3.5)
        self._overlap = self._panel(7.45, 2.45, 2.0)
        self._input = self._panel(7.45, 0.95, 0.95)
        self._kernel = self._panel(8.5, 0.95, 0.95)
        self._formula = TextLine(self.figure, 0.15, 0.6, TEXT_SIZE)
        self._sum = [TextLine(self.figure, 0.15, bottom, TEXT_SIZE) for bottom in (0.36, 0.15)]
        self._problem = TextLine(self.figure, 0.15, 3.4, TITLE_SIZE)

    @property
    def texts(self) -> list[str]:
        """All titles and lines of text as they are shown now."""
        lines = [panel.title for panel in self._panels] + [self._formula, *self._sum, self._problem]
        return [line.text for line in lines if line.text]

    def update(self, geometry: Geometry, walk: str, step: int) -> Figure:
        """Show the state after pixel number `step`, counted from 0, of the given walk."""
        state = take_step(geometry, walk, step)
        self._show_scatter(geometry, state)
        self._show_gather(geometry, state)
        self._show_overlap(geometry, state)
        self._input.show("Input", _flat(geometry.input, BLUE), _whole(geometry.input), framed=state.inputs)
        self._kernel.show("Kernel", _flat(geometry.kernel, WHITE), _whole(geometry.kernel), framed=state.weights)
        self._formula.set(geometry.formula())
        self._set_sum(state.sum)
        self._problem.set("")
        return self.figure

    def refuse(self, problem: str) -> Figure:
        """Show why there is no such layer, and nothing else."""
        for panel in self._panels:
            panel.hide()
        self._formula.set("")
        self._set_sum("")
        self._problem.set(f"There is no such layer: {problem}")
        return self.figure

    @property
    def _panels(self) -> tuple["_Panel", ...]:
        return self._scatter, self._gather, self._overlap, self._input, self._kernel

    def _set_sum(self, text: str) -> None:
        parts = textwrap.wrap(text, CHARACTERS_PER_LINE)
        for line, part in zip_longest(self._sum, parts, fillvalue=""):
            line.set(part)

    def _show_scatter(self, geometry: Geometry, state: Step) -> None:
        border, side = geometry.padding, geometry.side
        inside = np.zeros(state.shown.shape, dtype=bool)
        inside[border : border + side, border : border + side] = True
        colours = np.where(state.shown[..., None], GREEN, WHITE)
        colours[~inside] = GREY
        starts = np.argwhere(state.inputs) * geometry.stride
        stamps = [(row, column, geometry.reach + 1) for row, column in starts]
        self._scatter.show(
            f"Scatter: {state.title}" + (", grey is cut off" if border else ""),
            colours,
            {place: str(state.written[place]) for place in _places(state.shown)},
            pale=~inside,
            framed=state.taps,
            outline=(border, border, side) if border else None,
            stamps=stamps if len(stamps) <= MOST_OUTLINED_STAMPS else (),
        )

    def _show_gather(self, geometry: Geometry, state: Step) -> None:
        grid, kinds = geometry.gather_grid()
        ring, extra = geometry.ring, geometry.output_padding
        rings = "1 ring of zeros" if ring == 1 else f"{ring} rings of zeros"
        self._gather.show(
            f"Gather: {rings}" + (f" + {extra} extra" if extra else "") + ", then convolve",
            np.array([WHITE, GREY, BLUE])[kinds],
            _whole(grid),
            pale=kinds != INPUT,
            framed=state.window,
            outline=(ring, ring, len(grid) - 2 * ring - extra) if ring >= 0 and ring + extra else None,
            notes={place: f"·{weight}" for place, weight in state.read_weights.items()},
        )

    def _show_overlap(self, geometry: Geometry, state: Step) -> None:
        inside = slice(geometry.padding, geometry.padding + geometry.side)
        counts, shown = state.counts[inside, inside], state.shown[inside, inside]
        colours = np.where(shown[..., None], count_colours(counts), WHITE)
        texts = {place: str(counts[place]) for place in _places(shown)}
        self._overlap.show("Inputs per output pixel", colours, texts, framed=state.taps[inside, inside])

    def _panel(self, left: float, bottom: float, side: float) -> "_Panel":
        box = (left / self.WIDTH, bottom / self.HEIGHT, side / self.WIDTH, side / self.HEIGHT)
        title = TextLine(self.figure, left, bottom + side + 0.08, TEXT_SIZE)
        return _Panel(NumberGrid(self.figure.add_axes(box), side * 72), title)


class _Panel:
    """A grid below a title."""

    def __init__(self, grid: NumberGrid, title: TextLine) -> None:
        self.grid, self.title = grid, title

    def show(self, title: str, colours: np.ndarray, texts: Mapping[Place, str], **options) -> None:
        self.title.set(title)
        self.grid.ax.set_visible(True)
        self.grid.show(colours, texts, **options)

    def hide(self) -> None:
        self.title.set("")
        self.grid.ax.set_visible(False)


def arithmetic_figure(geometry: Geometry, step: int) -> Figure:
    """The explorer's picture of one setting, after output pixel number `step`, counted from 0."""
    return ArithmeticFigure().update(geometry, WALKS[0], step)


def _whole(values: np.ndarray) -> dict[Place, str]:
    return {place: str(value) for place, value in np.ndenumerate(values)}


def _flat(values: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    return np.broadcast_to(colour, (*values.shape, 3))


def _places(mask: np.ndarray) -> Iterable[Place]:
    return map(tuple, np.argwhere(mask).tolist())
