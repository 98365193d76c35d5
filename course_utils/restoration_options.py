"""The options of ``python -m course_utils.restore_photographs``: the command line, and what it refuses."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch

from course_utils.camvid import read_split
from course_utils.command_line import check_files, check_seed, command_again, usable_device
from course_utils.data_layout import PAINTING
from course_utils.experiments.painting_file import check_painting_file
from course_utils.experiments.restoration_tasks import BATCH_SIZE, SIZE, STEPS, TASKS

LOSSES = ("pixel", "absolute", "feature", "pixel+feature")
STYLES = ("patches", "gram")
PACKAGED = "photographs"
MOST_PATCHES = 1_000_000
"""All patches of a run are made first: a million of them take 28 GB."""

PLACES = ("data", "out", "device", "pictures", "painting")


def parser() -> argparse.ArgumentParser:
    """The command line; steps, batch size and loss are by default those of notebook 07."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.restore_photographs",
        description="Train one network for each task, loss and seed on patches of photographs, and score it on others "
        "that it has never seen. Runs that the file already holds are kept, so the same command continues.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    keeps = "JSON file that keeps every run, from the first on"
    parse.add_argument("--out", type=Path, required=True, default=argparse.SUPPRESS, help=keeps)
    parse.add_argument(
        "--data", type=Path, help="prepared CamVid folder; without it, the photographs that installed packages ship"
    )
    without_painting = [name for name in TASKS if name != "monet"]
    parse.add_argument(
        "--tasks", nargs="+", default=without_painting, choices=TASKS, metavar="TASK", help=", ".join(TASKS)
    )
    parse.add_argument(
        "--losses",
        nargs="+",
        default=["pixel"],
        choices=(*LOSSES, *STYLES),
        help="which losses, one run for each; absolute is the mean absolute difference of pixels, with no feature in "
        "it; pixel+feature takes half of the steps with each, in this order; the task "
        "monet has losses of its own, patches (taken if neither is named) and gram, which compare with the painting",
    )
    parse.add_argument(
        "--painting",
        type=Path,
        default=PAINTING,
        help="picture file for the task monet; python -m data_scripts.painting makes one",
    )
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of patches, weights, order and damage")
    parse.add_argument("--steps", type=int, default=STEPS, help="training steps")
    parse.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="patches in a step")
    parse.add_argument("--split", default="test", choices=("val", "test"), help="what is scored; choose on val")
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parse.add_argument(
        "--pictures",
        type=Path,
        help="folder for a row of pictures of each task's first seed; CamVid's are to look at, not to publish",
    )
    return parse


def fitting_losses(name: str, losses: Sequence[str]) -> list[str]:
    """Those of `losses` that fit the task: a feature loss compares pictures, so the target must be one."""
    if name == "monet":
        return [loss for loss in losses if loss in STYLES] or ["patches"]
    return [loss for loss in losses if loss == "pixel" or (loss in LOSSES and TASKS[name].target is None)]


def settings(args: argparse.Namespace) -> dict:
    """What all runs of one record share: the data, how much of it, and what is scored."""
    shared = {"data": PACKAGED, "steps": args.steps, "batch_size": args.batch_size, "size": SIZE, "split": args.split}
    if args.data is not None:
        counts = {f"{split}_pictures": len(read_split(args.data, split)) for split in ("train", args.split)}
        shared |= {"data": args.data.resolve().name, **counts}
    return shared


def command_for(args: argparse.Namespace, runs: list[dict]) -> str:
    """The one command for all runs in the file, also if several have filled it."""
    found = {key: list(dict.fromkeys(one[key] for one in runs)) for key in ("task", "loss", "seed")}
    words = vars(args) | {"tasks": found["task"], "losses": found["loss"], "seeds": found["seed"]}
    command = command_again(parser(), argparse.Namespace(**words), PLACES)
    return command if args.data is None else f"{command} --data {shlex.quote(f'data/{args.data.resolve().name}')}"


def picture_file(folder: Path, task: str, loss: str) -> Path:
    """Where ``--pictures`` puts what was made of the patches of one task with one loss."""
    return folder / f"restored_{task}_{loss}.jpg"


def check(args: argparse.Namespace) -> torch.device:
    """Refuse what would fail later on, before anything is read or written; the device that `args` ask for.

    Raises:
        FileNotFoundError: for a folder or picture that is not there.
        ValueError: for an option out of range, or options that do not fit together.
    """
    for name in ("steps", "batch_size"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)} is not a positive whole number.")
    n_patches = args.steps * args.batch_size
    if n_patches > MOST_PATCHES:
        raise ValueError(
            f"--steps {args.steps} --batch-size {args.batch_size} need {n_patches} patches in memory at once; "
            f"take at most {MOST_PATCHES}."
        )
    fitting = {name: fitting_losses(name, args.losses) for name in args.tasks}
    odd = [name for name, losses in fitting.items() if not losses]
    if odd:
        raise ValueError(f"none of --losses {' '.join(args.losses)} fits --tasks {' '.join(odd)}: add --losses pixel.")
    taken = {"pixel"}.union(*fitting.values())
    idle = [loss for loss in args.losses if loss not in taken]
    if idle:
        raise ValueError(
            f"--losses {' '.join(idle)} fits none of --tasks {' '.join(args.tasks)}: leave it out, or name its task."
        )
    for seed in args.seeds:
        check_seed(seed)
    check_files([args.out])
    if args.data is not None and not args.data.is_dir():
        raise FileNotFoundError(
            f"{args.data} is no folder; prepare CamVid with python -m data_scripts.download_camvid."
        )
    if args.data is not None and args.data.resolve().name == PACKAGED:
        raise ValueError(f"{args.data}: a record calls the packaged pictures so; give the folder another name.")
    if args.pictures is not None and not args.pictures.is_dir():
        raise FileNotFoundError(f"{args.pictures} is no folder; make it first.")
    if args.pictures is not None:
        made = [picture_file(args.pictures, name, loss) for name, losses in fitting.items() for loss in losses]
        if args.out.resolve() in [path.resolve() for path in made]:
            raise ValueError(f"--out {args.out} would be overwritten by a picture; name another file.")
    if "monet" in args.tasks:
        check_painting_file(args.painting)
    return usable_device(args.device)
