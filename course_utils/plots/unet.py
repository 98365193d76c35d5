"""Pictures of U-shaped networks: the network at scale, what its levels hold, its kernels, and where two outputs differ.

Everything here takes plain values and returns a matplotlib figure, or keeps one and changes its artists.
"""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import FancyArrowPatch, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from torch import Tensor

from course_utils.camvid import void_code
from course_utils.experiments.unet_levels import Level, Trace
from course_utils.plots.arithmetic import TextLine
from course_utils.plots.figures import SMALL_SIZE, TEXT_SIZE, TITLE_SIZE, NotebookFigure
from course_utils.plots.scenes import (
    Picture,
    class_colours,
    legend_below,
    show_panel,
    to_codes,
    to_rgb,
    write_class_names,
)

DOWN, MIDDLE, UP, TAIL = (0.60, 0.81, 0.94), (0.98, 0.86, 0.55), (0.72, 0.88, 0.76), (0.85, 0.85, 0.85)
CHOSEN, SKIP, OFF = "#D55E00", "0.25", "0.65"
ROOM_FOR_A_LABEL = 0.74
ROOM_BELOW = 0.62
CLEAR = 0.06
MAPS_SHOWN, MAP_COLUMNS = 8, 4
_SMALLEST_MAP = 44
_MAP_COLOURS = colormaps["viridis"].with_extremes(bad="white")


class NetworkDrawing:
    """Boxes as high as the level's grid and as wide as its channels, and a line for each skip; `update` marks some.

    Args:
        ax: axes measured in inches.
        box: ``(left, bottom, width, height)`` to draw in.
        levels: as `course_utils.experiments.unet_levels.u_shape` orders them.
    """

    def __init__(self, ax: Axes, box: tuple[float, float, float, float], levels: Sequence[Level]) -> None:
        self.levels = list(levels)
        left, bottom, width, height = box
        tallest = max(level.height for level in levels)
        room = height - ROOM_BELOW
        heights = [0.98 * room * level.height / tallest for level in levels]
        axis = bottom + ROOM_BELOW + room / 2
        self.boxes, self.labels, ends = [], [], []
        for (start, slot, wide), tall, level in zip(_slots(levels, width), heights, levels, strict=True):
            centre = left + start + slot / 2
            ends.append((centre - wide / 2, centre + wide / 2))
            corner = centre - wide / 2, axis - tall / 2
            self.boxes.append(ax.add_patch(Rectangle(corner, wide, tall, facecolor=_colour(level))))
            lines = (level.name, f"{level.channels} ch.", level.grid)
            path = text_outline(lines, centre, bottom + ROOM_BELOW - 0.17, align=0.5)
            self.labels.append(ax.add_patch(PathPatch(path, linewidth=0)))
        self.skips: dict[int, tuple[FancyArrowPatch, Text]] = {}
        for source, level in enumerate(levels):
            target = level.partner
            if target is None or target < source:
                continue
            inner, outer = max(heights[source + 1 : target]) / 2, min(heights[source], heights[target]) / 2
            y = axis + min(0.95 * outer, max((inner + outer) / 2, inner + CLEAR))  # above the boxes between its ends
            x, tip = ends[source][1], ends[target][0]
            arrow = FancyArrowPatch((x, y), (tip, y), arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0)
            note = ax.text(tip - 0.16, y, "off", ha="right", va="center", fontsize=SMALL_SIZE)
            note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8})
            self.skips[source + 1] = ax.add_patch(arrow), note
        self.update()

    @property
    def artists(self) -> list[Artist]:
        """All that it consists of, in an order in which it may be drawn."""
        arrows, notes = ([skip[i] for skip in self.skips.values()] for i in (0, 1))
        return [*self.labels, *arrows, *self.boxes, *notes]

    def update(self, chosen: int | None = None, off: Collection[int] = ()) -> None:
        """Frame the level of index `chosen`; draw the skips numbered in `off` (1 the finest) as switched off."""
        for index, (box, label) in enumerate(zip(self.boxes, self.labels, strict=True)):
            framed = index == chosen
            box.set(edgecolor=CHOSEN if framed else "0.3", linewidth=3 if framed else 0.8, zorder=3 if framed else 2)
            label.set_facecolor(CHOSEN if framed else "black")
        for number, (arrow, note) in self.skips.items():
            silent = number in off
            ends = chosen is not None and chosen in (number - 1, self.levels[number - 1].partner)
            arrow.set(
                color=OFF if silent else CHOSEN if ends else SKIP,
                linestyle="--" if silent else "-",
                linewidth=2.6 if ends else 1.4,
            )
            note.set_visible(silent)


def text_outline(lines: Sequence[str], x: float, y: float, *, align: float = 0.0) -> Path:
    """Lines of text as one shape in inches: many of them take a tenth of the time that matplotlib's texts take.

    Args:
        x, y: the baseline of the first line.
        align: share of each line to the left of `x`.
    """
    paths = []
    for row, line in enumerate(lines):
        path = TextPath((0, 0), line, size=SMALL_SIZE)
        shift = x - align * path.get_extents().width / 72, y - row * 1.25 * SMALL_SIZE / 72
        paths.append(path.transformed(Affine2D().scale(1 / 72).translate(*shift)))
    return Path.make_compound_path(*paths)


def _colour(level: Level) -> tuple[float, float, float]:
    kind = level.name.split()[0]
    if level.partner is not None:
        return DOWN if kind == "down" else UP
    return MIDDLE if kind in ("bottom", "middle") else TAIL


def _slots(levels: Sequence[Level], width: float) -> list[tuple[float, float, float]]:
    """Left end and width of each level's slot, and width of its box, in inches: boxes at scale, slots fit a label."""
    gap = 0.04
    low, high = 0.0, 1.0
    for _ in range(40):
        scale = (low + high) / 2
        slots = [max(ROOM_FOR_A_LABEL, level.channels * scale) + gap for level in levels]
        low, high = (scale, high) if sum(slots) < width else (low, scale)
    lefts = np.cumsum([(width - sum(slots)) / 2, *slots[:-1]])
    return [
        (left, slot, max(level.channels * low, 0.015)) for left, slot, level in zip(lefts, slots, levels, strict=True)
    ]


def network_figure(levels: Sequence[Level], title: str) -> Figure:
    """A U-shaped network at scale: height of a box = height of its grid, width = channels; lines are skips."""
    width, height, head = 9.6, 3.0, 0.32  # inches
    figure = NotebookFigure(figsize=(width, height))
    NetworkDrawing(axes_in_inches(figure), (0, 0, width, height - head), levels)
    figure.text(0.5, 1 - head / 2 / height, title, ha="center", va="center", fontsize=TITLE_SIZE)
    return figure


def axes_in_inches(figure: Figure) -> Axes:
    """Invisible axes over the whole figure, with the lower left corner at (0, 0)."""
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    width, height = figure.get_size_inches()
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_autoscale_on(False)
    return ax


def kernel_figure(kernels: Mapping[str, Tensor], split: tuple[int, int], inputs: tuple[str, str]) -> Figure:
    """Convolution kernels as pictures: a row for each output channel, a column for each input channel, 3×3 in a cell.

    Weights of exactly 0 are white; the others grey, the larger the darker; a line below says so.

    Args:
        kernels: by title, each ``(out, in, kH, kW)``, all of one shape.
        split: output and input channel at which the second half begins.
        inputs: what the two halves of the input channels are.
    """
    figure = NotebookFigure(figsize=(4.4 * len(kernels) + 0.4, 4.2), layout="constrained")
    for ax, (title, kernel) in zip(figure.subplots(1, len(kernels), squeeze=False)[0], kernels.items(), strict=True):
        out, into, high, wide = kernel.shape
        picture = kernel.detach().cpu().abs().permute(0, 2, 1, 3).reshape(out * high, into * wide).double().numpy()
        largest = picture.max() or 1.0
        ax.imshow(np.where(picture == 0, 0, 0.25 + 0.75 * picture / largest), cmap="Greys", vmin=0, vmax=1)
        for place in range(1, out):
            ax.axhline(place * high - 0.5, color="#56B4E9", lw=0.6)
        for place in range(1, into):
            ax.axvline(place * wide - 0.5, color="#56B4E9", lw=0.6)
        ax.axhline(split[0] * high - 0.5, color=CHOSEN, lw=2.5)
        ax.axvline(split[1] * wide - 0.5, color=CHOSEN, lw=2.5)
        middles = [split[1] * wide / 2 - 0.5, (split[1] + into) * wide / 2 - 0.5]
        ax.set_xticks(middles, [f"in: {name}" for name in inputs], fontsize=TEXT_SIZE)
        middles = [split[0] * high / 2 - 0.5, (split[0] + out) * high / 2 - 0.5]
        names = [f"out: 1 to {split[0]}", f"out: {split[0] + 1} to {out}"]
        ax.set_yticks(middles, names, fontsize=TEXT_SIZE, rotation=90, va="center")
        ax.tick_params(length=0)
        ax.set_title(title, fontsize=TITLE_SIZE)
    note = f"Each small square: a {high} × {wide} kernel. Darker: a larger weight, of either sign. White: exactly 0."
    figure.supxlabel(note, fontsize=SMALL_SIZE)
    return figure


def show_maps(maps: Mapping[str, Tensor], *, shared: bool = False, label: str = "", cmap: str = "gray") -> Figure:
    """Maps ``(H, W)`` side by side, each below its title, from darkest (smallest) to brightest.

    Args:
        shared: one scale for all of them, with a bar that explains it: from 0 to what no more than 1 % of the pixels
            exceed.
        label: of that bar.
    """
    if not maps:
        raise ValueError("no maps to show: give at least one, by its title.")
    maps = {title: values.detach().cpu().float() for title, values in maps.items()}  # quantile and NumPy ask for this
    height, width = next(iter(maps.values())).shape
    panel, extra = 3.1, 0.9 if shared else 0.1  # inches
    figure = NotebookFigure(figsize=(panel * len(maps) + extra, panel * height / width + 0.4), layout="constrained")
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    highest = max(float(values.quantile(0.99)) for values in maps.values()) or 1.0
    limits = {"vmin": 0.0, "vmax": highest} if shared else {}
    for ax, (title, values) in zip(axes, maps.items(), strict=True):
        drawn = ax.imshow(values.numpy(), cmap=cmap, interpolation="nearest", **limits)
        ax.set_title(title, fontsize=TEXT_SIZE)
        ax.axis("off")
    if shared:
        bar = figure.colorbar(drawn, ax=list(axes), fraction=0.03, extend="max")
        bar.set_label(label, fontsize=TEXT_SIZE)
        bar.ax.tick_params(labelsize=SMALL_SIZE)
    return figure


def show_predictions(
    image: Picture, truth: Picture, predictions: Mapping[str, Picture], codes: Sequence[str]
) -> Figure:
    """A picture, its truth and several predictions ``(H, W)``, each with its share of right pixels; legend below.

    Large regions carry their class's name.
    """
    labels, colours, void = to_codes(truth), class_colours(codes), void_code(tuple(codes))
    classes = {"truth (void is black)": labels}
    present = set(np.unique(labels).tolist())
    for name, prediction in predictions.items():
        found = to_codes(prediction)
        present |= set(np.unique(found).tolist())
        classes[f"{name}: {accuracy(found, labels, void):.0%} right"] = found
    columns, panel = 3, 3.2  # inches
    rows = math.ceil((1 + len(classes)) / columns)
    tall = panel * labels.shape[0] / labels.shape[1] + 0.28
    figure = NotebookFigure(figsize=(columns * panel, rows * tall + 0.65), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for ax in axes:
        ax.axis("off")
    show_panel(figure.axes[0], to_rgb(image), "picture")
    for ax, (name, found) in zip(figure.axes[1:], classes.items(), strict=False):
        show_panel(ax, colours[found], name)
        write_class_names(ax, found, codes)
    legend_below(figure, present - {void}, codes)
    return figure


def strongest(maps: Tensor) -> list[int]:
    """The channels of ``(C, h, w)`` that vary most over the grid, up to `MAPS_SHOWN`, strongest first."""
    spread = maps.flatten(1).std(1, correction=0)
    return spread.argsort(descending=True, stable=True)[:MAPS_SHOWN].tolist()


def montage(maps: Tensor, reference: Tensor) -> np.ndarray:
    """The channels of ``(C, h, w)`` that are strongest in `reference`, in rows, each from 0 to 1 on its scale there.

    Between them is nan.
    """
    _, height, width = maps.shape
    zoom = max(1, _SMALLEST_MAP // height)
    gap = 2
    rows = math.ceil(MAPS_SHOWN / MAP_COLUMNS)
    tall, wide = height * zoom + gap, width * zoom + gap
    sheet = np.full((rows * tall - gap, MAP_COLUMNS * wide - gap), np.nan, dtype=np.float32)
    for place, channel in enumerate(strongest(reference)):
        low, high = reference[channel].min(), reference[channel].max()
        scaled = ((maps[channel] - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        row, column = divmod(place, MAP_COLUMNS)
        tile = scaled.repeat_interleave(zoom, 0).repeat_interleave(zoom, 1).numpy()
        sheet[row * tall : row * tall + tall - gap, column * wide : column * wide + wide - gap] = tile
    return sheet


class ExplorerFigure:
    """The network at scale above one picture, its segmentation with and without skips, and a level's feature maps.

    Args:
        levels: of the network, as `course_utils.experiments.unet_levels.trace` gives them.
        shape: ``(H, W)`` of the pictures.
        codes: class names.
    """

    WIDTH, HEIGHT = 9.6, 6.9

    def __init__(self, levels: Sequence[Level], shape: tuple[int, int], codes: Sequence[str]) -> None:
        self.levels, self.codes = list(levels), tuple(codes)
        self.colours = class_colours(codes)
        self.void = void_code(self.codes)
        self.figure = NotebookFigure(figsize=(self.WIDTH, self.HEIGHT))
        # One pair of axes for everything: each further one would take several milliseconds a picture.
        self._ax = axes_in_inches(self.figure)
        self.drawing = NetworkDrawing(self._ax, (0.05, 4.55, 9.5, 2.3), levels)
        tall = min(1.68, 2.2 * shape[0] / shape[1])
        blank, sheet = np.zeros((*shape, 3), np.uint8), np.zeros((2, 2), np.float32)
        upper, lower = 2.5, 0.55
        self._images = {
            "picture": self._image(0.1, upper, 2.2, tall, blank),
            "truth": self._image(2.4, upper, 2.2, tall, blank),
            "on": self._image(0.1, lower, 2.2, tall, blank),
            "now": self._image(2.4, lower, 2.2, tall, blank),
            "leaving": self._image(4.8, upper, 4.7, tall, sheet),
            "arriving": self._image(4.8, lower, 4.7, tall, sheet),
        }
        self._titles = {
            name: TextLine(self.figure, image.get_extent()[0], image.get_extent()[3] + 0.07, TEXT_SIZE)
            for name, image in self._images.items()
        }
        self._draw_legend()
        note = text_outline(["Height of a box: its grid. Width: its channels. Lines: skips."], 0.1, self.HEIGHT - 0.2)
        self._ax.add_patch(PathPatch(note, linewidth=0, facecolor="black"))

    def _draw_legend(self) -> None:
        shown = [code for code in range(len(self.codes)) if code != self.void]
        columns = math.ceil(len(shown) / 2)
        room = self.WIDTH / columns
        for place, code in enumerate(shown):
            row, column = divmod(place, columns)
            left, bottom = 0.1 + column * room, 0.27 - 0.2 * row
            self._ax.add_patch(
                Rectangle((left, bottom), 0.2, 0.13, facecolor=self.colours[code] / 255, edgecolor="0.3")
            )
            name = text_outline([self.codes[code]], left + 0.27, bottom + 0.01)
            self._ax.add_patch(PathPatch(name, linewidth=0, facecolor="black"))

    @property
    def moving(self) -> list[Artist]:
        """What changes, in the order in which it is drawn: what another level leaves as it was comes first."""
        *same, leaving, arriving = self._images.values()
        titles = [line.patch for line in self._titles.values()]
        return [*same, *titles, *self.drawing.artists, leaving, arriving]

    @property
    def texts(self) -> dict[str, str]:
        """The titles as they are shown now."""
        return {name: line.text for name, line in self._titles.items()}

    def update(
        self, picture: np.ndarray, truth: np.ndarray, all_on: Trace, now: Trace, chosen: int, off: Collection[int]
    ) -> Figure:
        """Show one picture.

        Args:
            picture: ``(H, W, 3)`` uint8.
            truth: ``(H, W)`` class indices.
            all_on, now: the picture's way through the network with all skips, and without those in `off`.
            chosen: index of the level whose feature maps are shown.
        """
        self.drawing.update(chosen, off)
        self._show("picture", picture, "picture")
        self._show("truth", self.colours[truth], "truth (void is black)")
        for name, seen, title in (("on", all_on, "all skips on"), ("now", now, "now")):
            found = classes_of(seen)
            self._show(name, self.colours[found], f"{title}: {accuracy(found, truth, self.void):.0%} right")
        self._show_maps(all_on, now, chosen, off)
        return self.figure

    def _show_maps(self, all_on: Trace, now: Trace, chosen: int, off: Collection[int]) -> None:
        level, whole = self.levels[chosen], all_on.activations[chosen]
        title = f"{level.name} gives: {min(MAPS_SHOWN, level.channels)} of {level.channels} feature maps"
        self._show("leaving", montage(now.activations[chosen], whole), title)
        empty = np.full((2, 2), np.nan, np.float32)
        end = chosen if chosen in now.skips else level.partner
        if end is None:
            self._show("arriving", empty, f"no skip starts or ends at {level.name}")
            return
        number = self.levels[end].partner + 1
        if number not in off:
            skip = now.skips[end]
            title = f"skip {number} brings: {min(MAPS_SHOWN, len(skip))} of {len(skip)} feature maps"
            self._show("arriving", montage(skip, all_on.skips[end]), title)
        elif end == chosen:  # what zeros look like is no news; what they change is
            title = f"skip {number} brings zeros; with all skips on, {level.name} gives:"
            self._show("arriving", montage(whole, whole), title)
        else:
            self._show("arriving", empty, f"skip {number} is off: zeros go on")

    def _show(self, name: str, picture: np.ndarray, title: str) -> None:
        image = self._images[name]
        if not np.array_equal(np.asarray(image.get_array()), picture):  # to set it counts as a change
            image.set_data(np.ma.masked_invalid(picture))
        self._titles[name].set(title)

    def _image(self, left: float, bottom: float, width: float, height: float, start: np.ndarray) -> AxesImage:
        extent = (left, left + width, bottom, bottom + height)
        return self._ax.imshow(
            start, cmap=_MAP_COLOURS, vmin=0, vmax=1, extent=extent, aspect="auto", interpolation="nearest"
        )


def classes_of(seen: Trace) -> np.ndarray:
    """The most likely class of every pixel, ``(H, W)``."""
    return seen.output.max(0).indices.numpy()


def accuracy(found: np.ndarray, truth: np.ndarray, void: int) -> float:
    """Share of the labelled pixels that are right."""
    labelled = truth != void
    return float((found == truth)[labelled].mean()) if labelled.any() else math.nan


def explorer_figure(
    picture: np.ndarray,
    truth: np.ndarray,
    all_on: Trace,
    now: Trace,
    chosen: int,
    off: Collection[int],
    codes: Sequence[str],
) -> Figure:
    """One setting of the explorer on paper; arguments as those of `ExplorerFigure.update`."""
    figure = ExplorerFigure(all_on.levels, truth.shape, codes)
    return figure.update(picture, truth, all_on, now, chosen, off)
