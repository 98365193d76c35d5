"""Recorded trainings on CamVid as one picture: val accuracy by epoch, and what is left of it on test."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator, PercentFormatter

from course_utils.plots.figures import MARKERS, SERIES, SMALL_SIZE, TEXT_SIZE, TITLE_SIZE, NotebookFigure

_ENDS = ("val", "test")
_LOWEST, _HIGHEST = 0.8, 0.97
"""Of the accuracy that is drawn, unless a run ends outside: below, networks only begin to learn."""
_SPREAD = 0.45
"""Width over which the ends of all runs are spread."""


def val_and_test_figure(
    groups: Mapping[str, Sequence[Mapping]], known: Mapping[str, tuple[str, float]] | None = None
) -> Figure:
    """Left: val accuracy, epoch by epoch. Right, on a scale of its own: the end of each run, on val and test.

    Where the size of the pictures changes, a line is interrupted; scores of smaller ones are dotted.

    Args:
        groups: what the legend says, and the records of `course_utils.train_camvid`, one for each seed; those without
            ``--test`` end on val.
        known: other results by name: ``"val"`` or ``"test"``, and the accuracy, drawn as a dashed line.

    Raises:
        ValueError: for more groups than there are colours, or a result on another split.
    """
    known = known or {}
    if len(groups) > len(SERIES):
        raise ValueError(f"{len(groups)} groups are more than the {len(SERIES)} colours that can be told apart.")
    for name, (split, _) in known.items():
        if split not in _ENDS:
            raise ValueError(f"known[{name!r}] is on {split!r}, which is neither of {', '.join(_ENDS)}.")
    figure = NotebookFigure(figsize=(10, 5), layout="constrained")
    by_epoch, at_end = figure.subplots(1, 2, width_ratios=(2, 1.4))
    handles, drawn = [], [accuracy for _, accuracy in known.values()]
    n_lines = sum(map(len, groups.values()))
    # Side by side, or marks of runs that end alike would hide each other.
    line, shifts = 0, [_SPREAD * ((place + 0.5) / n_lines - 0.5) for place in range(n_lines)]
    for (name, runs), colour, marker in zip(groups.items(), SERIES, MARKERS, strict=False):
        for run in runs:
            _epochs(by_epoch, run, colour, marker)
            ends = [run[split]["accuracy"] for split in _ENDS if split in run]
            at_end.plot([place + shifts[line] for place in range(len(ends))], ends, color=colour, marker=marker)
            line += 1
            drawn += ends
        handles.append(Line2D([], [], color=colour, marker=marker, label=name))
    handles.append(Line2D([], [], color="0.4", linestyle=":", label="pictures of half size"))
    for name, (split, accuracy) in known.items():
        place = _ENDS.index(split)
        at_end.plot((place - 0.3, place + 0.3), (accuracy, accuracy), "--", color="black", linewidth=1.6, zorder=3)
        text, (where, align) = f"{name}\n{accuracy:.1%}", (-0.34, "right") if place == 0 else (1.34, "left")
        at_end.text(where, accuracy, text, ha=align, va="center", fontsize=SMALL_SIZE)
    by_epoch.set_title("val, epoch by epoch", fontsize=TITLE_SIZE)
    by_epoch.set_xlabel("epoch", fontsize=TEXT_SIZE)
    by_epoch.set_ylabel("pixel accuracy", fontsize=TEXT_SIZE)
    by_epoch.set_ylim(min([_LOWEST, *(end - 0.02 for end in drawn)]), max([_HIGHEST, *(end + 0.01 for end in drawn)]))
    by_epoch.yaxis.set_major_locator(MultipleLocator(0.02))
    by_epoch.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    at_end.set_title("the end of each run, one line a seed", fontsize=TITLE_SIZE)
    at_end.yaxis.set_major_locator(MaxNLocator(9, steps=(1, 2, 5, 10)))
    at_end.yaxis.set_major_formatter(PercentFormatter(1))
    at_end.set_xlim(-1.1, 2.35)
    at_end.set_xticks((0, 1), _ENDS)
    for ax in (by_epoch, at_end):
        ax.tick_params(labelsize=TEXT_SIZE)
        ax.grid(axis="y", alpha=0.3)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=TEXT_SIZE)
    return figure


def _epochs(ax: Axes, run: Mapping, colour: str, marker: str) -> None:
    """A line for each stage; the last one ends in the group's mark."""
    rows = list(enumerate(run["epochs"], 1))
    for size, stage in groupby(rows, lambda row: row[1]["size"]):
        stage = list(stage)
        style = "-" if size == run["size"] else ":"
        last = stage[-1][0] == len(rows)
        point = marker if last else "." if len(stage) == 1 else ""  # a line through one point would not be seen
        epochs, accuracy = [epoch for epoch, _ in stage], [row["val_accuracy"] for _, row in stage]
        ax.plot(epochs, accuracy, style, marker=point, markevery=[-1], color=colour, linewidth=1.3, alpha=0.85)
