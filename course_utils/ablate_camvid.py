"""Ablations of the hooked U-Net, without Jupyter: ``python -m course_utils.ablate_camvid --help``."""

import argparse
import functools
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from course_utils.camvid import Batches, load_split, read_codes, read_split
from course_utils.command_line import (
    add_data_option,
    add_encoder_options,
    add_speed_options,
    check_files,
    check_seeds,
    command_again,
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
    update_record,
)
from course_utils.experiments.ablation_table import table
from course_utils.experiments.ablations import (
    RECIPE,
    VARIANTS,
    Budget,
    build_variant,
    time_steps,
    train_and_score,
    variant_facts,
)
from course_utils.fast_convolution import use_fast_convolutions
from course_utils.memory import keep_freed_memory
from course_utils.progress import progress_bar
from course_utils.unet import DynamicUnet

PLACES = ("data", "out", "device")


def parser() -> argparse.ArgumentParser:
    """The command line; every default but the variants is what notebook 06 shows."""
    budget = Budget()
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.ablate_camvid",
        description="Train variants of the hooked U-Net at one budget, with several seeds, and score them on val. "
        "The test split is never read. Runs that the file already holds are kept, so the same command continues.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    keeps = "JSON file that keeps every run, from the first on"
    parse.add_argument("--out", type=Path, required=True, default=argparse.SUPPRESS, help=keeps)
    add_data_option(parse)
    names = f"which to run beside {RECIPE}, which always is: {', '.join(VARIANTS)}"
    parse.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, metavar="NAME", help=names)
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of weights, order and augmentation")
    parse.add_argument("--cost", action="store_true", help="train nothing: time training steps, all variants in turn")
    parse.add_argument("--cost-steps", type=int, default=15, help="steps of each variant that are timed")
    spend = parse.add_argument_group("the budget, the same for every variant")
    spend.add_argument("--size", type=int, nargs=2, default=budget.size, metavar=("H", "W"), help="pixels")
    spend.add_argument("--frozen-epochs", type=int, default=budget.frozen_epochs, help="first: encoder frozen")
    spend.add_argument("--epochs", type=int, default=budget.epochs, help="then: everything trained")
    spend.add_argument("--batch-size", type=int, default=budget.batch_size, help="pictures in a step")
    spend.add_argument(
        "--lr", type=float, nargs=2, default=budget.lr, metavar=("ENC", "DEC"), help="highest learning rates"
    )
    spend.add_argument("--weight-decay", type=float, default=budget.weight_decay, help="of AdamW")
    net = parse.add_argument_group("network and device")
    add_encoder_options(net)
    net.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add_speed_options(net)
    return parse


def settings(args: argparse.Namespace, root: Path, budget: Budget) -> dict:
    """Everything that decides what a run gives, but for its variant, its seed and the machine."""
    return {
        "data": {"name": root.name, **{split: len(read_split(root, split)) for split in ("train", "val")}},
        "encoder": args.encoder,
        "pretrained": not args.random,
        **asdict(budget),
    }


def prepare(
    args: argparse.Namespace, root: Path, budget: Budget, device: torch.device
) -> tuple[list[tuple[str, int]], Callable[[dict], None]]:
    """Check everything; return the runs that are missing, and what puts the facts about them into the record."""
    if args.batch_size > len(read_split(root, "train")):
        raise ValueError(f"--batch-size {args.batch_size} is more than the pictures in train.")
    names = list(dict.fromkeys([RECIPE, *args.variants]))
    n_classes = len(read_codes(root))
    wanted = {
        "settings": settings(args, root, budget),
        "variants": {name: variant_facts(name, n_classes, budget.size, args.encoder) for name in names},
    }
    measured_on = provenance(device)
    found = load_record(args.out) if args.out.exists() else {}
    if found.get("runs") or found.get("cost"):
        machine = {name: measured_on[name] for name in ("hardware", "threads", "versions")}
        refuse_other_kind(args.out, found, wanted if args.cost else wanted | machine)

    def change(record: dict) -> None:
        if not args.cost:
            record |= measured_on
        record["settings"] = wanted["settings"]
        known = record.get("variants", {}) | wanted["variants"]
        record["variants"] = {name: known[name] for name in VARIANTS if name in known}
        record.setdefault("runs", [])

    return missing_runs(found, names, args.seeds), change


def run_grid(
    args: argparse.Namespace,
    root: Path,
    budget: Budget,
    device: torch.device,
    missing: list[tuple[str, int]],
    describe: Callable[[dict], None],
) -> None:
    """Train and score every missing run; each is in the file, described, before the next begins."""
    load = functools.cache(functools.partial(load_split, root, device=device))
    for split in ("train", "val"):
        load(split, budget.size)  # now, not after the first run
    n_classes = len(read_codes(root))
    with progress_bar(missing, desc="runs", unit="run") as bar:
        for name, seed in bar:
            bar.set_postfix_str(f"{name}, seed {seed}")
            variant = VARIANTS[name]
            model = _model(args, name, n_classes, device, pretrained=not args.random, seed=seed)
            row = {"variant": name, "seed": seed, **train_and_score(model, variant, budget, load, seed)}

            def change(record: dict, row: dict = row) -> None:
                describe(record)
                if missing_runs(record, [row["variant"]], [row["seed"]]):  # else the same command was quicker
                    record["runs"].append(row)
                record |= {"command": _command(args, record["runs"]), "date": provenance(device)["date"]}

            update_record(args.out, change)
            bar.write(f"{name}, seed {seed}: accuracy {row['accuracy']:.2%}, mean IoU {row['mean_iou']:.2%}")


def _command(args: argparse.Namespace, runs: list[dict]) -> str:
    """The one command for all runs in the file, also if several have filled it."""
    there = {run["variant"] for run in runs}
    names = [name for name in VARIANTS if name in there and (name != RECIPE or there in ({RECIPE}, set(VARIANTS)))]
    words = {"variants": names, "seeds": list(dict.fromkeys(run["seed"] for run in runs))}
    return command_again(parser(), argparse.Namespace(**vars(args) | words), PLACES)


def measure_cost(
    args: argparse.Namespace, root: Path, budget: Budget, device: torch.device, describe: Callable[[dict], None]
) -> None:
    """Time training steps of all chosen variants, and put them beside the runs."""
    train = load_split(root, "train", budget.size, device)
    n_classes = len(read_codes(root))
    names = list(dict.fromkeys([RECIPE, *args.variants]))
    models = {name: _model(args, name, n_classes, device, pretrained=False, seed=0) for name in names}
    batch = next(iter(Batches(train, budget.batch_size)))
    seconds = time_steps(models, batch, train.void, args.cost_steps)

    def change(record: dict) -> None:
        describe(record)
        record["cost"] = {
            "command": command_again(parser(), args, PLACES),
            **provenance(device),
            "steps": args.cost_steps,
            "clock": "processor time" if device.type == "cpu" else "wall time",
            "seconds_per_step": seconds,
        }

    update_record(args.out, change)


def _model(
    args: argparse.Namespace, name: str, n_classes: int, device: torch.device, *, pretrained: bool, seed: int
) -> DynamicUnet:
    model = build_variant(
        VARIANTS[name], n_classes, tuple(args.size), encoder=args.encoder, pretrained=pretrained, seed=seed
    ).to(device)
    if args.winograd:
        use_fast_convolutions(model)
    return model


def _check(args: argparse.Namespace) -> None:
    check_files([args.out])
    if len(set(args.variants)) < len(args.variants):
        raise ValueError(f"--variants {' '.join(args.variants)} names one twice.")
    check_seeds(args.seeds)
    if args.cost_steps < 1:
        raise ValueError(f"--cost-steps {args.cost_steps} is not a positive number of steps.")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    kept = f"{args.out} keeps every finished run, the same command continues"
    return exit_status("ablate_camvid", functools.partial(_run, args), kept)


def _run(args: argparse.Namespace) -> None:
    _check(args)
    size, lr = tuple(args.size), tuple(args.lr)
    budget = Budget(size, args.frozen_epochs, args.epochs, args.batch_size, lr, args.weight_decay)
    root = find_data(getattr(args, "data", None))
    device = usable_device(args.device)
    if args.keep_memory:
        keep_freed_memory()
    missing, describe = prepare(args, root, budget, device)
    if args.cost:
        measure_cost(args, root, budget, device, describe)
    else:
        run_grid(args, root, budget, device, missing, describe)
    record = load_record(args.out)
    if compare(record, "accuracy"):
        print(table(record))


if __name__ == "__main__":
    sys.exit(main())
