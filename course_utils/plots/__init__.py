"""Pictures of data and results: functions that take plain values and return a figure, and draw nothing by themselves.

Images are ``(3, H, W)`` tensors or ``(H, W, 3)`` arrays, uint8 or floats from 0 to 1; masks are ``(H, W)`` class
indices. Classes are written out wherever they are coloured, so that no reading depends on colour alone.
"""

import base64
import colorsys
import html
import io
from collections.abc import Mapping, Sequence

import matplotlib.patheffects as patheffects
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from course_utils.camvid import void_code
from course_utils.classes import CLASS_COLOURS, CLASS_NAMES
from course_utils.history import History
from course_utils.metrics import boundary_distance

Picture = Tensor | np.ndarray

TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 12, 10, 9
WRONG_RED = (215, 0, 60)
_SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
_MARKERS = "osD^vP"
_DASHES = ("-", "-.", ":", (0, (5, 1)), (0, (1, 3)), (0, (8, 2, 1, 2)))
_MIN_LABELLED_DISTANCE = 6


class NotebookFigure(Figure):
    """A figure that a notebook shows as it is, before pyplot is ever used (until then IPython knows no figures)."""

    def png(self) -> str:
        """The figure as a PNG, base64."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})  # else the bytes name matplotlib's version
        return base64.b64encode(buffer.getvalue()).decode()

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        return {"image/png": self.png(), "text/plain": repr(self)}


class DescribedFigure:
    """A figure with a text alternative for readers who cannot see it: an HTML image, and nothing else.

    Front ends prefer HTML to a PNG beside it, which would only double the size of the notebook.

    Args:
        alt: what the figure shows and what is to be read off it, in a sentence or two.
    """

    def __init__(self, figure: Figure, alt: str) -> None:
        self.figure, self.alt = figure, alt
        plt.close(figure)  # else a pyplot figure would be shown a second time, below the cell

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        png = NotebookFigure.png(self.figure)
        picture = f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{png}" />'
        return {"text/html": picture, "text/plain": self.alt}


def class_colours(codes: Sequence[str] = CLASS_NAMES) -> np.ndarray:
    """RGB of each class, ``(C, 3)`` uint8; classes outside of CamVid's twelve get hues spread round the circle."""
    known = dict(zip(CLASS_NAMES, CLASS_COLOURS, strict=True))
    unknown = [name for name in codes if name not in known]
    for i, name in enumerate(unknown):
        rgb = colorsys.hsv_to_rgb(i / len(unknown), 0.9, (0.95, 0.7, 0.45)[i % 3])
        known[name] = tuple(round(255 * part) for part in rgb)
    return np.array([known[name] for name in codes], dtype=np.uint8)


def to_rgb(image: Picture) -> np.ndarray:
    """Any image as ``(H, W, 3)`` uint8.

    Raises:
        ValueError: if it is not a colour picture of uint8 or of floats from 0 to 1.
    """
    array = torch.as_tensor(image).detach().cpu()
    if array.ndim == 3 and array.shape[0] == 3:
        array = array.permute(1, 2, 0)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"an image of shape {tuple(array.shape)} is neither (3, H, W) nor (H, W, 3).")
    if array.is_floating_point():
        if array.min() < -1e-3 or array.max() > 1 + 1e-3:
            raise ValueError(
                f"a float image from {array.min():.2f} to {array.max():.2f} is not within 0 to 1: denormalise it."
            )
        array = (array.clamp(0, 1) * 255).round()
    return array.to(torch.uint8).numpy()


def to_codes(mask: Picture) -> np.ndarray:
    """Any mask as ``(H, W)`` array of class indices."""
    return torch.as_tensor(mask).detach().cpu().long().numpy()


def overlay(image: Picture, mask: Picture, alpha: float = 0.6, codes: Sequence[str] = CLASS_NAMES) -> np.ndarray:
    """Image with its classes laid over it, ``(H, W, 3)`` uint8; void stays as it is.

    Args:
        alpha: opacity of the colours, from 0 (the image alone) to 1 (the classes alone).
    """
    rgb, labels = to_rgb(image), to_codes(mask)
    colours = class_colours(codes)[labels]
    blended = (rgb + alpha * (colours.astype(np.float32) - rgb)).round().astype(np.uint8)
    void = void_code(tuple(codes))
    return np.where((labels == void)[..., None], rgb, blended)


def show_segmentation(
    image: Picture,
    mask: Picture,
    prediction: Picture | None = None,
    *,
    alpha: float = 0.75,
    codes: Sequence[str] = CLASS_NAMES,
    title: str = "",
) -> Figure:
    """One picture beside its truth and, if given, beside what was predicted and which pixels are wrong.

    Large regions carry their class's name; a legend below names all classes that occur.
    """
    labels = to_codes(mask)
    void = void_code(tuple(codes))
    panels = [
        ("photograph", to_rgb(image), None),
        ("truth (void uncoloured)", overlay(image, mask, alpha, codes), labels),
    ]
    present = set(np.unique(labels).tolist())
    if prediction is not None:
        predicted = to_codes(prediction)
        present |= set(np.unique(predicted).tolist())
        wrong = ((predicted != labels) & (labels != void)).sum() / max((labels != void).sum(), 1)
        panels.append(("prediction", overlay(image, predicted, alpha, codes), predicted))
        panels.append((f"wrong pixels: {wrong:.1%}", error_picture(image, labels, predicted, void), None))
    columns = 2
    rows = len(panels) // 2
    width = 10.0
    height = rows * (width / columns * labels.shape[0] / labels.shape[1] + 0.25) + 0.9
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    for ax, (name, picture, regions) in zip(figure.subplots(rows, columns).flat, panels, strict=True):
        _show(ax, picture, name)
        if regions is not None:
            _write_class_names(ax, regions, codes)
    if title:
        figure.suptitle(title, fontsize=TITLE_SIZE)
    _legend_below(figure, sorted(present - {void}), codes)
    return figure


def error_picture(image: Picture, mask: Picture, prediction: Picture, void: int) -> np.ndarray:
    """Grey image with the wrong pixels in red, ``(H, W, 3)`` uint8; void pixels cannot be wrong."""
    labels, predicted = to_codes(mask), to_codes(prediction)
    grey = to_rgb(image).mean(axis=2, keepdims=True) * 0.5 + 100
    wrong = ((labels != predicted) & (labels != void))[..., None]
    return np.where(wrong, np.array(WRONG_RED), grey).astype(np.uint8)


def show_scenes(
    images: Sequence[Picture],
    masks: Sequence[Picture],
    n: int = 6,
    codes: Sequence[str] = CLASS_NAMES,
    label: str = "picture",
) -> Figure:
    """Contact sheet: `n` pictures spread evenly over the set, each above its mask, titled `label` and its place."""
    n = min(n, len(images))
    picks = np.linspace(0, len(images) - 1, n).round().astype(int).tolist()
    height, width = to_codes(masks[0]).shape
    columns = min(n, 3)
    rows = 2 * -(-n // columns)
    panel = 10.0 / columns
    figure = NotebookFigure(figsize=(10.0, rows * panel * height / width + 0.13 * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for place, pick in enumerate(picks):
        row, column = 2 * (place // columns), place % columns
        _show(axes[row, column], to_rgb(images[pick]), f"{label} {pick}")
        _show(axes[row + 1, column], class_colours(codes)[to_codes(masks[pick])], "")
    present = sorted({code for pick in picks for code in np.unique(to_codes(masks[pick])).tolist()})
    _legend_below(figure, present, codes)
    return figure


def class_legend(codes: Sequence[str] = CLASS_NAMES) -> Figure:
    """Colour, index and name of every class."""
    columns = 4
    rows = -(-len(codes) // columns)
    figure = NotebookFigure(figsize=(8, 0.34 * rows))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.axis("off")
    for code, (name, colour) in enumerate(zip(codes, class_colours(codes) / 255, strict=True)):
        x, y = (code // rows) / columns, 1 - (code % rows + 0.5) / rows
        ax.scatter(x + 0.02, y, s=170, marker="s", color=[colour], edgecolor="0.3")
        ax.text(x + 0.045, y, f"{code}  {name}", va="center", fontsize=TEXT_SIZE + 1)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    return figure


def class_shares(
    shares: Mapping[str, Sequence[float]] | Sequence[float], codes: Sequence[str] = CLASS_NAMES, title: str = ""
) -> Figure:
    """Bars with the share of pixels (0 to 1) of each class; several named data sets stand side by side."""
    series = shares if isinstance(shares, Mapping) else {"": shares}
    return _class_bars(series, codes, title or "Share of pixels of each class", "share of pixels")


def per_class_iou(
    ious: Mapping[str, Sequence[float]], codes: Sequence[str] = CLASS_NAMES, title: str = "Intersection over union"
) -> Figure:
    """Bars with the IoU (0 to 1) of each class, one bar for each named result; nan is left out."""
    return _class_bars(ious, codes, title, "IoU")


def error_by_distance(
    errors: Mapping[str, Sequence[float]],
    edges: Sequence[int] = (1, 2, 4, 8, 16),
    title: str = "Errors sit at class boundaries",
) -> Figure:
    """Curves of `course_utils.metrics.boundary_error`: share of wrong pixels by distance to another class."""
    lows = [1, *(edge + 1 for edge in edges)]
    names = [str(low) if low == high else f"{low}–{high}" for low, high in zip(lows, edges, strict=False)]
    figure, ax = _figure(7.5, 4.2, title)
    for i, (label, rates) in enumerate(errors.items()):
        ax.plot(range(len(lows)), _numbers(rates), marker=_MARKERS[i % 6], color=_SERIES[i % 6], label=label)
    ax.set_xticks(range(len(lows)), [*names, f"> {edges[-1]}"])
    ax.set_xlabel("distance to the nearest pixel of another class (pixels)", fontsize=TEXT_SIZE)
    ax.set_ylabel("wrong pixels", fontsize=TEXT_SIZE)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=TEXT_SIZE)
    return figure


def training_curves(
    histories: Mapping[str, History],
    metric: str,
    title: str,
    baseline: float | None = None,
    stages: Sequence[int] = (),
) -> Figure:
    """Loss of every step (smoothed) on the left; on the right `metric` after each epoch, with a baseline to beat.

    Args:
        histories: a run's name and its history.
        metric: key of the epoch rows, a share from 0 to 1.
        baseline: drawn as a dashed line.
        stages: epochs of each stage, every epoch of as many steps; a thin line stands where a stage ends.
    """
    figure = NotebookFigure(figsize=(10, 4.0), layout="constrained")
    figure.suptitle(title, fontsize=TITLE_SIZE)
    loss_ax, metric_ax = figure.subplots(1, 2)
    for i, (name, history) in enumerate(histories.items()):
        style = {"color": _SERIES[i % 6], "linestyle": _DASHES[i % 6], "label": name}
        loss_ax.plot(_smoothed(history.step_losses), **style)
        scores = [row[metric] for row in history.epochs]
        metric_ax.plot(range(1, len(scores) + 1), scores, marker=_MARKERS[i % 6], **style)
    if baseline is not None:
        metric_ax.axhline(baseline, color="0.4", linestyle="--", label=f"baseline {baseline:.1%}")
    for end in np.cumsum(stages, dtype=int)[:-1]:
        steps = len(history.step_losses) / len(history.epochs)
        for ax, place in ((loss_ax, end * steps - 0.5), (metric_ax, end + 0.5)):
            ax.axvline(place, color="0.6", linewidth=0.8, zorder=0)
    loss_ax.set(xlabel="step", ylabel="cross-entropy, mean of 10 steps", ylim=(0, None))
    metric_ax.set(xlabel="epoch", ylabel=metric.replace("_", " "))
    metric_ax.xaxis.get_major_locator().set_params(integer=True)
    metric_ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for ax in (loss_ax, metric_ax):
        ax.grid(alpha=0.3)
    handles, labels = metric_ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=TEXT_SIZE)  # covers no curve
    return figure


def _smoothed(values: Sequence[float], width: int = 10) -> np.ndarray:
    """Mean of each value and up to ``width - 1`` before it."""
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=float))])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    ax = figure.add_subplot()
    ax.set_title(title, fontsize=TITLE_SIZE)
    ax.tick_params(labelsize=TEXT_SIZE)
    return figure, ax


def _numbers(values: Sequence[float]) -> np.ndarray:
    return torch.as_tensor(values).detach().cpu().double().numpy()


def _class_bars(series: Mapping[str, Sequence[float]], codes: Sequence[str], title: str, unit: str) -> Figure:
    figure, ax = _figure(10, 4.2, title)
    width = 0.8 / len(series)
    colours = class_colours(codes) / 255
    for i, (label, values) in enumerate(series.items()):
        values = _numbers(values)
        places = np.arange(len(values)) + (i - (len(series) - 1) / 2) * width
        style = {"color": colours[: len(values)], "edgecolor": "0.3"} if len(series) == 1 else {"color": _SERIES[i % 6]}
        bars = ax.bar(places, np.nan_to_num(values), width, label=label, **style)
        if len(series) == 1:
            ax.bar_label(bars, [f"{value:.1%}" for value in values], fontsize=SMALL_SIZE, padding=2)
    ax.set_xticks(range(len(values)), codes[: len(values)], rotation=30, ha="right", rotation_mode="anchor")
    ax.set_ylabel(unit, fontsize=TEXT_SIZE)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
    ax.margins(y=0.1)
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=len(series), fontsize=TEXT_SIZE)
    return figure


def _show(ax: Axes, picture: np.ndarray, title: str) -> None:
    ax.imshow(picture, interpolation="nearest")
    ax.set_title(title, fontsize=TEXT_SIZE)
    ax.axis("off")


def _write_class_names(ax: Axes, labels: np.ndarray, codes: Sequence[str]) -> None:
    """Write each class's name at the pixel that lies deepest inside its regions, if a name fits there."""
    far = max(labels.shape)
    padded = torch.nn.functional.pad(torch.from_numpy(labels).byte()[None], (1, 1, 1, 1), value=253)
    depth = boundary_distance(padded[0], far, ignore_index=255)[1:-1, 1:-1].numpy()
    for code in np.unique(labels).tolist():
        inside = np.where(labels == code, depth, 0)
        y, x = np.unravel_index(inside.argmax(), inside.shape)
        if inside[y, x] >= max(_MIN_LABELLED_DISTANCE, far / 40):
            # A name centred near the picture's edge would be cut off there.
            share = (x + 0.5) / labels.shape[1]
            anchor = "left" if share < 0.12 else "right" if share > 0.88 else "center"
            x = {"left": 0, "center": x, "right": labels.shape[1] - 1}[anchor]
            text = ax.text(x, y, codes[code], ha=anchor, va="center", fontsize=SMALL_SIZE, color="white", clip_on=True)
            text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="black")])


def _legend_below(figure: Figure, present: Sequence[int], codes: Sequence[str]) -> None:
    colours = class_colours(codes) / 255
    handles = [Patch(facecolor=colours[code], edgecolor="0.3", label=codes[code]) for code in present]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 7), fontsize=TEXT_SIZE)
