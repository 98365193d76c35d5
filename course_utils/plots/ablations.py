"""The record of an ablation as one picture: every seed's difference from the recipe, beside what the variant costs."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from course_utils.experiments.ablation_record import Comparison, compare, spread_over_seeds
from course_utils.experiments.ablations import RECIPE, VARIANTS
from course_utils.plots.figures import TEXT_SIZE, TITLE_SIZE, NotebookFigure

# Colour-blind-safe, and each verdict has a marker of its own.
_BETTER, _WORSE, _NOISE = ("#0072B2", "^"), ("#D55E00", "v"), ("0.45", "o")
# Means further than this from the recipe, in points, become a number at the edge: to scale they would squeeze the rest.
_FAR = 6
_COSTS = (("MACs", "#009E73", "s"), ("time of a step", "#CC79A7", "D"))


def ablation_figure(record: Mapping) -> Figure:
    """Three panels over the same rows, best on top: accuracy, mean IoU, and cost as a multiple of the recipe's.

    A small mark is one seed, the bar through it their mean. Grey marks lie within the spread over seeds, the band, or
    on both sides of zero. What is far off the scale is a number at the edge.
    """
    accuracy = [found for found in compare(record, "accuracy") if found.name != RECIPE]
    order = [found.name for found in sorted(accuracy, key=lambda found: found.mean_difference)]
    figure = NotebookFigure(figsize=(10.5, 0.34 * len(order) + 1.9), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True, width_ratios=(1, 1, 0.75))
    for ax, metric, title in zip(axes, ("accuracy", "mean_iou"), ("pixel accuracy", "mean IoU"), strict=False):
        _differences(ax, compare(record, metric), order)
        ax.set_title(title, fontsize=TITLE_SIZE)
        ax.set_xlabel("difference from the recipe (points)", fontsize=TEXT_SIZE)
    _costs(axes[2], record, order)
    axes[0].set_yticks(range(len(order)), [VARIANTS[name].label for name in order], fontsize=TEXT_SIZE)
    axes[0].set_ylim(-0.6, len(order) - 0.4)
    for ax in axes:
        ax.tick_params(labelsize=TEXT_SIZE)
        ax.grid(axis="y", alpha=0.3)
        ax.set_axisbelow(True)
    verdicts = (("signal, better", _BETTER), ("signal, worse", _WORSE), ("noise", _NOISE))
    handles = [Line2D([], [], color=c, marker=m, linestyle="", label=label) for label, (c, m) in verdicts]
    handles.append(Patch(color="0.88", label="spread over seeds"))
    handles += [Line2D([], [], color=c, marker=m, linestyle="", label=label) for label, c, m in _COSTS]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=TEXT_SIZE)
    return figure


def _differences(ax: Axes, comparisons: Sequence[Comparison], order: Sequence[str]) -> None:
    spread = spread_over_seeds(comparisons)
    ax.axvspan(-100 * spread, 100 * spread, color="0.88", zorder=0)
    ax.axvline(0, color="0.3", linewidth=1)
    found = {comparison.name: comparison for comparison in comparisons}
    kept = [c.differences for c in comparisons if abs(100 * c.mean_difference) <= _FAR]
    near = [100 * difference for differences in (*kept, (-spread, spread)) for difference in differences]
    margin = 0.06 * (max(near) - min(near))
    ax.set_xlim(min(near) - margin, max(near) + margin)
    for row, name in enumerate(order):
        comparison = found[name]
        signal = comparison.is_signal(spread)
        colour, marker = _NOISE if not signal else _BETTER if comparison.mean_difference > 0 else _WORSE
        mean = 100 * comparison.mean_difference
        if abs(mean) > _FAR:
            side, text = (0.02, f"◂ {mean:+.1f}") if mean < 0 else (0.98, f"{mean:+.1f} ▸")
            place = {"ha": "left" if mean < 0 else "right", "va": "center", "color": colour, "fontsize": TEXT_SIZE}
            ax.text(side, row, text.replace("-", "−"), transform=ax.get_yaxis_transform(), weight="bold", **place)
            continue
        points = [100 * difference for difference in comparison.differences]
        ax.plot(points, [row] * len(points), marker, color=colour, markersize=6, alpha=0.75)
        ax.plot([mean, mean], [row - 0.32, row + 0.32], color=colour, linewidth=2.5)


def _costs(ax: Axes, record: Mapping, order: Sequence[str]) -> None:
    macs = {name: facts["multiply_adds"] for name, facts in record["variants"].items()}
    seconds = record.get("cost", {}).get("seconds_per_step", {})
    for values, (_, colour, marker), shift in zip((macs, seconds), _COSTS, (0.15, -0.15), strict=True):
        rows = [row for row, name in enumerate(order) if name in values]
        ratios = [values[order[row]] / values[RECIPE] for row in rows]
        ax.plot(ratios, [row + shift for row in rows], marker, color=colour, markersize=6)
    ax.axvline(1, color="0.3", linewidth=1)
    ax.set_title("cost", fontsize=TITLE_SIZE)
    ax.set_xlabel("multiple of the recipe's", fontsize=TEXT_SIZE)
