"""The record of an ablation: a JSON file that grows run by run, and what can be read off it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev

from course_utils import files

FORMAT = "ablations of the hooked U-Net, version 1"
METRICS = ("accuracy", "mean_iou", "boundary_error")


def load_record(path: Path) -> dict:
    """Read a record that `update_record` wrote."""
    return files.read_record(path, FORMAT, ("variant", "seed", *METRICS))


def update_record(path: Path, change: Callable[[dict], None]) -> dict:
    """Read the record, change it, and put it back whole: a kill leaves either the old file or the new one."""
    return files.update_record(path, FORMAT, change)


def differing(record: Mapping, wanted: Mapping) -> list[str]:
    """Names of the entries of `wanted` that `record` has with another value; nested ones with dots between."""
    found = []
    for name, value in wanted.items():
        if name not in record:
            continue
        if isinstance(value, Mapping) and isinstance(record[name], Mapping):
            found += [f"{name}.{inner}" for inner in differing(record[name], value)]
        elif record[name] != json.loads(json.dumps(value)):
            found.append(name)
    return found


def refuse_other_kind(path: Path, record: Mapping, wanted: Mapping) -> None:
    """Raise a `ValueError` where the record at `path` holds runs that `wanted` cannot stand beside."""
    odd = differing(record, wanted)
    if odd:
        raise ValueError(
            f"{path} holds runs of another kind ({', '.join(odd[:3])} differ); name another file with --out."
        )


def missing_runs(record: Mapping, names: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Variant and seed of each run that the record lacks.

    Seed by seed, so that a grid that was stopped still compares every variant on the seeds that it has.
    """
    done = {(run["variant"], run["seed"]) for run in record.get("runs", [])}
    return [(name, seed) for seed in seeds for name in names if (name, seed) not in done]


@dataclass(frozen=True)
class Comparison:
    """One variant against the recipe, on one metric; seeds in the order of `seeds`.

    Attributes:
        values: metric of each seed.
        differences: variant minus recipe, seed by seed; both saw the same pictures in the same order.
    """

    name: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.values)

    @property
    def sd(self) -> float:
        return stdev(self.values) if len(self.values) > 1 else float("nan")

    @property
    def mean_difference(self) -> float:
        return mean(self.differences)

    def is_signal(self, spread: float) -> bool:
        """Every seed moved the same way, and each by more than `spread`, and there are at least three of them."""
        differences = self.differences
        return len(differences) >= 3 and (min(differences) > spread or max(differences) < -spread)


def compare(record: Mapping, metric: str, recipe: str = "recipe") -> list[Comparison]:
    """Every variant against the recipe, by the seeds that both have, in the order of the record's variants."""
    values = {(run["variant"], run["seed"]): run[metric] for run in record["runs"]}
    comparisons = []
    for name in record["variants"]:
        seeds = tuple(sorted(seed for variant, seed in values if variant == name and (recipe, seed) in values))
        if seeds:
            own = tuple(values[name, seed] for seed in seeds)
            base = tuple(values[recipe, seed] for seed in seeds)
            comparisons.append(Comparison(name, seeds, own, tuple(a - b for a, b in zip(own, base, strict=True))))
    return comparisons


def spread_over_seeds(comparisons: Sequence[Comparison]) -> float:
    """How far the result of one network moves from seed to seed: standard deviation, median over the variants.

    nan where no variant has two seeds.
    """
    deviations = [comparison.sd for comparison in comparisons if len(comparison.seeds) > 1]
    return median(deviations) if deviations else float("nan")


def signals(record: Mapping, metric: str) -> list[Comparison]:
    """The variants whose difference from the recipe is a signal in `metric`, the largest gain first."""
    comparisons = compare(record, metric)
    spread = spread_over_seeds(comparisons)
    found = [comparison for comparison in comparisons if comparison.is_signal(spread)]
    return sorted(found, key=lambda comparison: -comparison.mean_difference)
