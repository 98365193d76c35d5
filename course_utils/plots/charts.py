"""Numbers about classes and training: bars for each class, errors by distance to a boundary, curves of a training."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from course_utils.checks import check_choice
from course_utils.classes import CLASS_NAMES
from course_utils.history import History
from course_utils.plots.figures import (
    DASHES,
    MARKERS,
    SERIES,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    NotebookFigure,
    titled_axes,
)
from course_utils.plots.scenes import class_colours


def class_shares(
    shares: Sequence[float], codes: Sequence[str] = CLASS_NAMES, title: str = "Share of pixels of each class"
) -> Figure:
    """Bars with the share of pixels (0 to 1) of each class."""
    return _class_bars({"": shares}, codes, title, "share of pixels")


def per_class_iou(
    ious: Mapping[str, Sequence[float]],
    codes: Sequence[str] = CLASS_NAMES,
    title: str = "Intersection over union",
    hatched: Collection[str] = (),
) -> Figure:
    """Bars with the IoU (0 to 1) of each class, one bar for each named result.

    A bar too low to be seen, below half a percent, has a 0 in its place; nan is left out.

    Args:
        hatched: results whose bars are hatched, so that colour alone need not tell them apart.
    """
    return _class_bars(ious, codes, title, "IoU", hatched)


def error_by_distance(
    errors: Mapping[str, Sequence[float]],
    edges: Sequence[int] = (1, 2, 4, 8, 16),
    title: str = "Errors sit at class boundaries",
) -> Figure:
    """Curves of `course_utils.metrics.boundary_error`: share of wrong pixels by distance to another class."""
    lows = [1, *(edge + 1 for edge in edges)]
    names = [str(low) if low == high else f"{low}–{high}" for low, high in zip(lows, edges, strict=False)]
    figure, ax = titled_axes(7.5, 4.2, title)
    for i, (label, rates) in enumerate(errors.items()):
        ax.plot(range(len(lows)), _numbers(rates), marker=MARKERS[i % 6], color=SERIES[i % 6], label=label)
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
    breaks: Sequence[int] = (),
) -> Figure:
    """Loss of every step (smoothed) on the left; on the right `metric` after each epoch, with a baseline to beat.

    Args:
        histories: a run's name and its history.
        metric: key of the epoch rows, a share from 0 to 1.
        baseline: drawn as a dashed line.
        stages: epochs of each stage, every epoch of as many steps; a thin line stands where a stage ends.
        breaks: after so many epochs `metric` goes on with other pictures, and its line is interrupted.
    """
    figure = NotebookFigure(figsize=(10, 4.0), layout="constrained")
    figure.suptitle(title, fontsize=TITLE_SIZE)
    loss_ax, metric_ax = figure.subplots(1, 2)
    for i, (name, history) in enumerate(histories.items()):
        style = {"color": SERIES[i % 6], "linestyle": DASHES[i % 6], "label": name}
        loss_ax.plot(_smoothed(history.step_losses), **style)
        scores = [row[metric] for row in history.epochs]
        for start, end in pairwise((0, *breaks, len(scores))):
            metric_ax.plot(range(start + 1, end + 1), scores[start:end], marker=MARKERS[i % 6], **style)
            style["label"] = None  # one entry of the legend for all parts
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


def _numbers(values: Sequence[float]) -> np.ndarray:
    return torch.as_tensor(values).detach().cpu().double().numpy()


def _class_bars(
    series: Mapping[str, Sequence[float]], codes: Sequence[str], title: str, unit: str, hatched: Collection[str] = ()
) -> Figure:
    figure, ax = titled_axes(10, 4.2, title)
    width = 0.8 / len(series)
    colours = class_colours(codes) / 255
    for label in hatched:
        check_choice("hatched", label, tuple(series))
    for i, (label, values) in enumerate(series.items()):
        values = _numbers(values)
        places = np.arange(len(values)) + (i - (len(series) - 1) / 2) * width
        style = {"color": colours[: len(values)], "edgecolor": "0.3"} if len(series) == 1 else {"color": SERIES[i % 6]}
        if label in hatched:
            style |= {"hatch": "////", "edgecolor": "white", "linewidth": 0}
        bars = ax.bar(places, np.nan_to_num(values), width, label=label, **style)
        if len(series) == 1:
            texts = [f"{value:.1%}" for value in values]
        else:
            texts = ["0" if value < 0.005 else "" for value in values]
        ax.bar_label(bars, texts, fontsize=SMALL_SIZE, padding=2)
    ax.set_xticks(range(len(values)), codes[: len(values)], rotation=30, ha="right", rotation_mode="anchor")
    ax.set_ylabel(unit, fontsize=TEXT_SIZE)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
    ax.margins(y=0.1)
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=len(series), fontsize=TEXT_SIZE)
    return figure
