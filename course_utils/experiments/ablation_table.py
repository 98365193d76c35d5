"""The record of an ablation as a table in plain text."""

from collections.abc import Mapping

from course_utils.experiments.ablation_record import compare, spread_over_seeds
from course_utils.experiments.ablations import RECIPE, VARIANTS

HEADER = (
    f"{'variant':36s} {'accuracy':>13s} {'difference':>23s}  {'verdict':7s} {'mean IoU':>10s} "
    f"{'boundary':>8s} {'params':>6s} {'MACs':>6s}"
)
UNITS = (
    f"{'':36s} {'% mean ± sd':>13s} {'points: mean (range)':>23s}  {'':7s} {'%':>10s} "
    f"{'error %':>8s} {'M':>6s} {'G':>6s}"
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
    lines = [f"{HEADER} {'step':>5s}", f"{UNITS} {'×':>5s}"] if seconds else [HEADER, UNITS]
    for found in sorted(accuracy.values(), key=lambda c: -c.mean):
        facts = record["variants"][found.name]
        difference = verdict = ""
        if found.name != RECIPE:
            low, high = (100 * limit for limit in (min(found.differences), max(found.differences)))
            difference = f"{100 * found.mean_difference:+.2f} ({low:+.2f}..{high:+.2f})"
            verdict = "signal" if found.is_signal(spread) else "noise" if len(found.seeds) >= 3 else "?"
        iou = others["mean_iou"][found.name]
        boundary = others["boundary_error"][found.name]
        ratio = f"{seconds[found.name] / seconds[RECIPE]:5.2f}" if found.name in seconds else f"{'':5s}"
        lines.append(
            f"{VARIANTS[found.name].label:36s} {100 * found.mean:6.2f} ± {100 * found.sd:4.2f} {difference:>23s}  "
            f"{verdict:7s} {100 * iou.mean:5.1f} ± {100 * iou.sd:3.1f} {100 * boundary.mean:7.1f} "
            f"{facts['parameters'] / 1e6:6.2f} {facts['multiply_adds'] / 1e9:6.2f} {ratio}"
        )
    return "\n".join(line.rstrip() for line in lines)
