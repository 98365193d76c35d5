"""What each ingredient of a training recipe is worth on val: ``python -m course_utils.ingredients --help``."""

import argparse
import functools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from course_utils import camvid_options, train_camvid
from course_utils.averaged_views import AveragedViews
from course_utils.command_line import (
    add_data_option,
    check_files,
    check_seeds,
    exit_status,
    find_data,
    provenance,
    usable_device,
)
from course_utils.experiments.ablation_record import (
    compare,
    load_record,
    missing_runs,
    refuse_other_kind,
    spread_over_seeds,
    update_record,
)
from course_utils.experiments.ablations import check_boundaries, score
from course_utils.experiments.plain_table import plain_table
from course_utils.memory import keep_freed_memory

BASE = "base"
BASE_OPTIONS = "--size 72 96 --batch-size 8 --frozen-epochs 0 --half-epochs 0 --epochs 4 --full-lr 5e-4 5e-3"
INGREDIENTS = {
    BASE: ("the recipe itself", ""),
    "ema": ("moving average of the weights", "--ema 0.98"),
    "lovasz": ("Lovász term", "--lovasz 1"),
    "jitter": ("scale jitter and crop, 0.75 to 1.5", "--zoom 0.75 1.5"),
    "colour": ("stronger light, and saturation", "--light 0.25 --saturation 0.4"),
    "balance": ("class weights, share to the power -½", "--balance 0.5"),
    "rotation": ("rotation by up to 10°", "--degrees 10"),
    "count-void": ("void counted in the loss", "--count-void"),
    "longer": ("twice the epochs", "--epochs {twice_the_epochs}"),
    "together": (
        "jitter, colour, Lovász and average",
        "--zoom 0.75 1.5 --light 0.25 --saturation 0.4 --lovasz 1 --ema 0.98",
    ),
}
"""Name: what a reader sees, and the options of `course_utils.train_camvid` that it adds to the base."""
VIEWS = {
    "flips": ("scored with mirror images", {"flip": True}),
    "scales": ("scored at 0.75, 1 and 1.25 of the size", {"flip": False, "scales": (0.75, 1.0, 1.25)}),
    "flips and scales": ("scored with both", {"flip": True, "scales": (0.75, 1.0, 1.25)}),
}
"""Ways to look at val with the networks of the base, which need no training."""
NOT_IN_BASE = ("seed", *(name for name in camvid_options.PLACES if name != "device"), *camvid_options.AFTERWARDS)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.ingredients",
        description="Train one recipe with one ingredient added at a time, with several seeds, and score the last "
        "epoch on val; the test split is never read. Runs that the file holds are kept: the same command goes on.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    keeps = "JSON file that keeps every run, from the first on"
    parse.add_argument("--out", type=Path, required=True, default=argparse.SUPPRESS, help=keeps)
    add_data_option(parse)
    parse.add_argument("--only", nargs="+", choices=INGREDIENTS, default=list(INGREDIENTS), metavar="NAME",
                       help=f"which to run beside {BASE}: {', '.join(INGREDIENTS)}")  # fmt: skip
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of weights, order and augmentation")
    parse.add_argument("--keep-memory", action="store_true", help="glibc: keep freed memory (faster on a CPU)")
    parse.add_argument(
        "base",
        nargs="*",
        default=BASE_OPTIONS.split(),
        help="after --: options of course_utils.train_camvid that make the base",
    )
    return parse


def options_of(name: str, base: list[str]) -> list[str]:
    """The base's options and those of an ingredient, which win."""
    epochs = camvid_options.parse_command(base).epochs or 0  # none in a recipe whose stages no option changes
    return [*base, *INGREDIENTS[name][1].format(twice_the_epochs=2 * epochs).split()]


def check_base(base: list[str], names: Sequence[str]) -> None:
    """Refuse options of the base that have no effect here, and ingredients that do not fit it.

    Raises:
        ValueError: naming the option, or the ingredient.
    """
    given = vars(camvid_options.parser().parse_args(base, argparse.Namespace(**dict.fromkeys(NOT_IN_BASE))))
    odd = ["--" + name.replace("_", "-") for name in NOT_IN_BASE if given[name] is not None]
    if odd:
        raise ValueError(f"no effect here: {', '.join(odd)}; leave it out after --.")
    parsed = {name: camvid_options.parse_command(options_of(name, base)) for name in dict.fromkeys([BASE, *names])}
    for name, args in parsed.items():
        if name != BASE and json.dumps(vars(args), default=str) == json.dumps(vars(parsed[BASE]), default=str):
            raise ValueError(f"{name} changes nothing of this base; leave it out of --only.")
        try:
            camvid_options.check(args)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def run(name: str, seed: int, base: list[str], root: Path) -> list[dict]:
    """Train and score one ingredient; with the base come the views of its network."""
    args = camvid_options.parse_command([*options_of(name, base), "--seed", str(seed)])
    load = train_camvid.read_all(args, root, usable_device(args.device))
    val = load("val", tuple(args.size))
    check_boundaries(val)
    model, _ = train_camvid.train(args, root, load, score=False)
    seen: dict[str, nn.Module] = {name: model}
    if name == BASE:
        seen |= {view: AveragedViews(model, **options) for view, (_, options) in VIEWS.items()}
    return [{"variant": key, "seed": seed, **score(network, val, 2 * args.batch_size)} for key, network in seen.items()]


def prepare(args: argparse.Namespace, root: Path) -> tuple[dict, list[tuple[str, int]]]:
    """What the runs depend on, with the date, for the record, and the runs that are missing in the file."""
    parsed = camvid_options.parse_command(args.base)
    measured_on = provenance(usable_device(parsed.device))
    wanted = {
        "settings": {"data": root.name, "base": " ".join(args.base)},
        "variants": {
            **{name: {"label": label, "options": options} for name, (label, options) in INGREDIENTS.items()},
            **{name: {"label": label, "views": options} for name, (label, options) in VIEWS.items()},
        },
        **{name: measured_on[name] for name in ("hardware", "threads", "versions")},
    }
    record = load_record(args.out) if args.out.exists() else {}
    refuse_other_kind(args.out, record, wanted)
    names = list(dict.fromkeys([BASE, *args.only]))
    return {"date": measured_on["date"], **wanted}, missing_runs(record, names, args.seeds)


def _command(base: list[str], runs: list[dict]) -> str:
    """The one command for all runs in the file, also if several have filled it."""
    there = {run["variant"] for run in runs}
    only = [name for name in INGREDIENTS if name in there and (name != BASE or there == {BASE, *VIEWS})]
    command = f"{parser().prog} --out FILE --seeds {' '.join(map(str, dict.fromkeys(run['seed'] for run in runs)))}"
    if len(only) < len(INGREDIENTS) - 1:
        command += f" --only {' '.join(only)}"
    return command if " ".join(base) == BASE_OPTIONS else f"{command} -- {' '.join(base)}"


def table(record: Mapping) -> str:
    """A row for each ingredient: accuracy and mean IoU on val, and the gain over the base, paired by seed."""
    found = {metric: compare(record, metric, BASE) for metric in ("accuracy", "mean_iou")}
    spreads = {metric: spread_over_seeds(comparisons) for metric, comparisons in found.items()}
    rows = [["ingredient", "accuracy %", "gain: mean (range) ", "mean IoU %", "gain "]]
    for pair in zip(*found.values(), strict=True):
        row = [record["variants"][pair[0].name]["label"]]
        for metric, one in zip(found, pair, strict=True):
            gains = [100 * gain for gain in one.differences]
            gain = f"{sum(gains) / len(gains):+.2f} ({min(gains):+.2f}..{max(gains):+.2f})"
            star = "*" if one.is_signal(spreads[metric]) else " "
            row += [f"{100 * one.mean:.2f} ± {100 * one.sd:.2f}", "" if one.name == BASE else gain + star]
        rows.append(row)
    n = len(found["accuracy"][0].seeds)
    note = f"{n} seeds; ± standard deviation; * every seed moved the same way, by more than the usual spread"
    return f"{plain_table(rows)}\n{note}"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    kept = f"{args.out} keeps every finished run, the same command continues"
    return exit_status("ingredients", functools.partial(_run_all, args), kept)


def _run_all(args: argparse.Namespace) -> None:
    check_files([args.out])
    check_seeds(args.seeds)
    check_base(args.base, args.only)
    root = find_data(getattr(args, "data", None))
    if args.keep_memory:
        keep_freed_memory()
    facts, missing = prepare(args, root)
    for name, seed in missing:
        rows = run(name, seed, args.base, root)

        def change(record: dict, rows: list[dict] = rows) -> None:
            # The same command, beside this one, may have been quicker.
            new = [row for row in rows if missing_runs(record, [row["variant"]], [row["seed"]])]
            runs = record.get("runs", []) + new
            record.update(facts, runs=runs, command=_command(args.base, runs))

        update_record(args.out, change)
        first = rows[0]
        print(f"{name}, seed {seed}: accuracy {first['accuracy']:.2%}, mean IoU {first['mean_iou']:.2%}", flush=True)
    print(table(load_record(args.out)))


if __name__ == "__main__":
    sys.exit(main())
