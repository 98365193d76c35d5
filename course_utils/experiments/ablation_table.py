"""The record of an ablation as a table in plain text."""

from collections.abc import Mapping

from course_utils.experiments.ablation_record import compare, spread_over_seeds
from course_utils.experiments.ablations import RECIPE, VARIANTS
from course_utils.experiments.plain_table import plain_table

HEADINGS = (
    ("variant", "accuracy", "difference", "verdict", "mean IoU", "boundary", "params", "MACs"),
    ("", "% mean ± sd", "points: mean (range)", "", "%", "error %", "M", "G"),
)


def table(record: Mapping) -> str:
    """A row for each variant, best accuracy first, below two lines of heading.

    The difference is variant minus recipe, paired by seed: its mean, and the smallest and largest. ``step`` is the time
    of a training step as a multiple of the recipe's, where it was measured; fewer than three seeds have no verdict.
    """
    accuracy = {found.name: found for found in compare(record, "accuracy")}
    others = {metric: {c.name: c for c in compare(record, metric)} for metric in ("mean_iou", "boundary_error")}
    spread = spread_over_seeds(list(accuracy.values()))
    seconds = record.get("cost", {}).get("seconds_per_step", {})
    rows = [[*heading, unit if seconds else ""] for heading, unit in zip(HEADINGS, ("step", "×"), strict=True)]
    for found in sorted(accuracy.values(), key=lambda c: -c.mean):
        facts = record["variants"][found.name]
        difference = verdict = ""
        if found.name != RECIPE:
            low, high = (100 * limit for limit in (min(found.differences), max(found.differences)))
            difference = f"{100 * found.mean_difference:+.2f} ({low:+.2f}..{high:+.2f})"
            verdict = "signal" if found.is_signal(spread) else "noise" if len(found.seeds) >= 3 else "?"
        iou = others["mean_iou"][found.name]
        boundary = others["boundary_error"][found.name]
        rows.append(
            [
                VARIANTS[found.name].label,
                f"{100 * found.mean:.2f} ± {100 * found.sd:.2f}",
                difference,
                verdict,
                f"{100 * iou.mean:.1f} ± {100 * iou.sd:.1f}",
                f"{100 * boundary.mean:.1f}",
                f"{facts['parameters'] / 1e6:.2f}",
                f"{facts['multiply_adds'] / 1e9:.2f}",
                f"{seconds[found.name] / seconds[RECIPE]:.2f}" if found.name in seconds else "",
            ]
        )
    return plain_table(rows, left=(0, 3))
