"""Train and score restorers without Jupyter: ``python -m course_utils.restore_photographs --help``."""

import argparse
import functools
import hashlib
import math
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn
from torchvision.transforms.v2.functional import pil_to_tensor

from course_utils.camvid import load_split, read_split
from course_utils.command_line import (
    check_files,
    check_seed,
    command_again,
    exit_status,
    provenance,
    usable_device,
)
from course_utils.data_layout import DATA_DIR
from course_utils.experiments.ablation_record import differing
from course_utils.experiments.feature_network import FeatureNetwork, feature_network
from course_utils.experiments.painting_loss import PaintingLoss
from course_utils.experiments.photographs import PHOTOGRAPHS, patches
from course_utils.experiments.restoration_tasks import (
    BATCH_SIZE,
    SIZE,
    STEPS,
    TASKS,
    baselines,
    detail,
    finish,
    hole_masks,
    mean_colour,
    one_colour,
    photograph_patches,
    train_restorer,
    wanted,
)
from course_utils.experiments.style_distance import GramDistance, PatchDistance
from course_utils.files import read_record, replacing, write_json
from course_utils.losses import FeatureLoss
from course_utils.metrics import psnr, ssim
from course_utils.picture_files import to_colour
from course_utils.plots.pictures import show_rows
from course_utils.progress import progress_bar

FORMAT = "restorations, version 1"
LOSSES = ("pixel", "feature", "pixel+feature")
STYLES = ("patches", "gram")
SCORED, SCORED_SIDE, DAMAGE_SEED = 24, 160, 1000
CAMVID_SIZE = (192, 256)
PAINTING_SIDE, LEAST_SIDE = 512, 28
ASKED = 400
"""So many training patches say what the mean colour is."""

STYLE_WEIGHTS = {"patches": {}, "gram": {"style": 0.2}}
PACKAGED = "photographs"
MOST_PATCHES = 1_000_000
"""All patches of a run are made first: a million of them take 28 GB."""

PLACES = ("data", "out", "device", "pictures", "painting")
PAINTING = DATA_DIR / "painting.png"


def parser() -> argparse.ArgumentParser:
    """The command line; steps, batch size and loss are by default those of notebook 07."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.restore_photographs",
        description="Train one network for each task, loss and seed on patches of photographs, and score it on others "
        "that it has never seen. Runs that the file already holds are kept, so the same command continues.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--out", type=Path, required=True, help="JSON file that keeps every run, from the first on")
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
        help="which losses, one run for each; pixel+feature takes half of the steps with each, in this order; the task "
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


def load_patches(root: Path | None, split: str, n: int, seed: int, progress: bool = True) -> Tensor:
    """`n` patches ``(n, 3, 96, 96)`` uint8 of one split, for training if that is ``"train"``, else for scoring."""
    if root is None and split == "train":
        return photograph_patches(split, n, seed)
    if root is None:
        return patches(PHOTOGRAPHS[split], SIZE, n, short_side=SCORED_SIDE, seed=seed)
    pictures = load_split(root, split, CAMVID_SIZE, progress=progress).images
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (torch.randint(side - SIZE + 1, (n,), generator=generator).tolist() for side in CAMVID_SIZE)
    return torch.stack(
        [
            pictures[i % len(pictures), :, row : row + SIZE, column : column + SIZE]
            for i, (row, column) in enumerate(zip(rows, columns, strict=True))
        ]
    )


def score(made: dict[str, Tensor], truth: Tensor, judge: FeatureNetwork) -> dict[str, dict[str, float]]:
    """PSNR, SSIM, detail and feature distance of each picture in `made`."""
    loss = FeatureLoss(judge.features, judge.weights, gram=0).to(truth.device)
    with torch.no_grad():
        return {
            kind: {
                "psnr": round(psnr(picture, truth), 3),
                "ssim": round(ssim(picture, truth), 4),
                "detail": round(detail(picture, truth), 4),
                "features": round(float(loss.parts(picture, truth)["features"]), 5),
            }
            for kind, picture in made.items()
        }


def run(name: str, loss: str, seed: int, args: argparse.Namespace, device: torch.device, judge: FeatureNetwork) -> dict:
    """Train and score once; the record of it, with the pictures made under ``"made"``."""
    task = TASKS[name]
    originals = load_patches(args.data, args.split, SCORED, 1, progress=False).to(device).float() / 255
    inputs, truth = task.damage(originals, DAMAGE_SEED), wanted(task, originals)
    untrained = baselines(name, inputs, originals, DAMAGE_SEED)
    perfect = [kind for kind, picture in untrained.items() if loss not in STYLES and math.isinf(psnr(picture, truth))]
    if perfect:
        raise ValueError(
            f"{name}: in one of the {SCORED} patches of {args.split}, {perfect[0]!r} equals the target without any "
            "training, so its PSNR is infinite; take other pictures (a plain surface shows no damage)."
        )
    pictures = load_patches(args.data, "train", args.steps * args.batch_size, seed, progress=False).to(device)
    known = {
        "pixel": task.loss_fn,
        "feature": FeatureLoss(judge.features, judge.weights, gram=judge.gram).to(device),
    }
    if name == "colour":
        untrained["one colour"] = one_colour(inputs, pictures[:ASKED].float() / 255)
    if loss in STYLES:
        painting = read_painting(args.painting).to(device)
        untrained["mean colour"] = mean_colour(originals, painting)
        distances = {"patches": PatchDistance(painting), "gram": GramDistance(judge, painting)}
        known[loss] = PaintingLoss(distances[loss], **STYLE_WEIGHTS[loss]).to(device)
    phases = loss.split("+")
    parts = pictures.split(math.ceil(args.steps / len(phases)) * args.batch_size)
    model, label = None, f"{name}, {loss}, seed {seed}"
    start = time.perf_counter()
    for phase, part in zip(phases, parts, strict=False):  # a single step is the first phase's
        model = train_restorer(
            task, part, batch_size=args.batch_size, loss_fn=known[phase], seed=seed, model=model, label=label
        )
    seconds = time.perf_counter() - start
    restored = finish(task, model, inputs)
    if name == "holes":
        restored = torch.where(hole_masks(originals, DAMAGE_SEED), restored, inputs)
    made = {**untrained, "network": restored}
    facts = {"task": name, "loss": loss, "seed": seed, "seconds": round(seconds, 1)}
    if loss in STYLES:
        facts["painting"] = painting_digest(args.painting)
        return {**facts, "scores": {kind: _style(distances, shown) for kind, shown in made.items()}, "made": made}
    return {**facts, "scores": score(made, truth, judge), "made": {**made, "wanted": truth}}


@torch.no_grad()
def _style(distances: dict[str, nn.Module], pictures: Tensor) -> dict[str, float]:
    """Both distances, whichever has been trained with, along more directions than a training step takes."""
    patches = torch.stack([distances["patches"](pictures, seed=seed) for seed in range(10)]).mean()
    return {"style": round(float(patches), 4), "gram": round(float(distances["gram"](pictures)), 4)}


def read_painting(path: Path) -> Tensor:
    """A picture file, upright, as floats ``(3, H, W)``, reduced until its longer side has `PAINTING_SIDE` pixels."""
    with Image.open(path) as opened:
        picture = to_colour(ImageOps.exif_transpose(opened), path)
    picture.thumbnail((PAINTING_SIDE, PAINTING_SIDE), Image.Resampling.LANCZOS)
    return pil_to_tensor(picture) / 255


def painting_digest(path: Path) -> str:
    """The same for the same pixels, however their file is called or packed."""
    return hashlib.sha256(read_painting(path).numpy().tobytes()).hexdigest()[:16]


def main(words: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(words)
    kept = "every finished run is kept, the same command continues"
    return exit_status("restore_photographs", functools.partial(_work, args), kept)


def _work(args: argparse.Namespace) -> None:
    device = _check(args)
    record = load_record(args.out) if args.out.exists() else {"format": FORMAT}
    judge = feature_network()
    _describe(args, record, judge.said)
    _run_all(args, record, device, judge)
    print("\n".join(table(record)))


def _describe(args: argparse.Namespace, record: dict, judge: str) -> None:
    """Put into `record` what all its runs share; refuse what makes new runs another experiment than those there."""
    settings = _settings(args)
    wanted = settings | {"judge": judge}
    held = record.get("settings", {}) | {"judge": record.get("judge", judge)}
    if "monet" in args.tasks:
        wanted["painting"] = painting_digest(args.painting)
        held |= next(({"painting": one["painting"]} for one in record.get("runs", []) if "painting" in one), {})
    odd = [f"{name} {held[name]}" for name in differing(held, wanted)]
    if odd:
        raise ValueError(f"{args.out} holds runs with other settings ({', '.join(odd)}); name another file.")
    record |= {"settings": record.get("settings", {}) | settings, "judge": judge}


def _run_all(args: argparse.Namespace, record: dict, device: torch.device, judge: FeatureNetwork) -> None:
    """Do the runs that `record` does not hold yet, and keep each one as soon as it is done.

    Date, hardware and versions stand in the record once; a run elsewhere or later adds what differs.
    """
    runs = record.setdefault("runs", [])
    done = {(one["task"], one["loss"], one["seed"]) for one in runs}
    wishes = [(name, loss, s) for name in args.tasks for loss in _losses(name, args.losses) for s in args.seeds]
    todo = [wish for wish in dict.fromkeys(wishes) if wish not in done]
    kept = dict.fromkeys(name for name, loss, seed in wishes if (name, loss, seed) in done and seed == args.seeds[0])
    if args.pictures and kept:
        print(f"{args.out} holds {', '.join(kept)} already; name a new file to get pictures of it.", file=sys.stderr)
    facts = provenance(device)
    record |= {name: record.get(name, fact) for name, fact in facts.items()}
    for name, loss, seed in progress_bar(todo, desc="runs"):
        result = run(name, loss, seed, args, device, judge)
        made = result.pop("made")
        runs.append(result | {name: fact for name, fact in facts.items() if record[name] != fact})
        record["command"] = _command(args, runs)
        write_json(args.out, record)
        if args.pictures and seed == args.seeds[0]:
            _save_row(args.pictures / f"restored_{name}_{loss}.jpg", made)


def table(record: dict) -> list[str]:
    """One line for each task and loss: PSNR on held-out pictures, or distance from the painting's style."""
    lines = []
    for name, loss in dict.fromkeys((one["task"], one["loss"]) for one in record["runs"]):
        found = [one["scores"] for one in record["runs"] if (one["task"], one["loss"]) == (name, loss)]
        parts, measure = [], _measure(loss)
        unit, digits = ("from the style, by patches", 3) if loss in STYLES else ("dB", 2)
        for kind in found[0]:
            values = torch.tensor([scores[kind][measure] for scores in found if kind in scores], dtype=torch.float64)
            spread = f" ± {values.std():.{digits}f}" if len(values) > 1 and kind == "network" else ""
            parts.append(f"{kind} {values.mean():.{digits}f}{spread}")
        lines.append(f"{name:17} {loss:13} {', '.join(parts)} {unit}")
    return lines


def load_record(path: Path) -> dict:
    """Read what the command wrote.

    Raises:
        ValueError: if the file is something else.
    """
    return read_record(path, FORMAT)


def _measure(loss: str) -> str:
    return "style" if loss in STYLES else "psnr"


def _losses(name: str, losses: Sequence[str]) -> list[str]:
    """Those of `losses` that fit the task: a feature loss compares pictures, so the target must be one."""
    if name == "monet":
        return [loss for loss in losses if loss in STYLES] or ["patches"]
    return [loss for loss in losses if loss == "pixel" or (loss in LOSSES and TASKS[name].target is None)]


def _command(args: argparse.Namespace, runs: list[dict]) -> str:
    """The one command for all runs in the file, also if several have filled it."""
    found = {key: list(dict.fromkeys(one[key] for one in runs)) for key in ("task", "loss", "seed")}
    words = vars(args) | {"tasks": found["task"], "losses": found["loss"], "seeds": found["seed"]}
    command = command_again(parser(), argparse.Namespace(**words), PLACES)
    return command if args.data is None else f"{command} --data {shlex.quote(f'data/{args.data.resolve().name}')}"


def _settings(args: argparse.Namespace) -> dict:
    settings = {"data": PACKAGED, "steps": args.steps, "batch_size": args.batch_size, "size": SIZE, "split": args.split}
    if args.data is not None:
        counts = {f"{split}_pictures": len(read_split(args.data, split)) for split in ("train", args.split)}
        settings |= {"data": args.data.resolve().name, **counts}
    return settings


def _check(args: argparse.Namespace) -> torch.device:
    for name in ("steps", "batch_size"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)} is not a positive whole number.")
    n_patches = args.steps * args.batch_size
    if n_patches > MOST_PATCHES:
        raise ValueError(
            f"--steps {args.steps} --batch-size {args.batch_size} need {n_patches} patches in memory at once; "
            f"take at most {MOST_PATCHES}."
        )
    odd = [name for name in args.tasks if not _losses(name, args.losses)]
    if odd:
        raise ValueError(f"none of --losses {' '.join(args.losses)} fits --tasks {' '.join(odd)}: add --losses pixel.")
    taken = {"pixel"}.union(*(_losses(name, args.losses) for name in args.tasks))
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
    if "monet" in args.tasks:
        _check_painting(args.painting)
    return usable_device(args.device)


def _check_painting(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"there is no painting {path}; make one with python -m data_scripts.painting.")
    try:
        with Image.open(path) as opened:
            too_small, deep = min(opened.size) < SIZE, opened.mode[0] in "IF"
        picture = None if too_small or deep else read_painting(path)
        black = picture is not None and not picture.any()
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError, OSError) as error:
        raise ValueError(f"{path} is no picture that can be read; name another one with --painting.") from error
    if deep:
        raise ValueError(f"the painting {path} is grey with more than 8 bits; save it as an 8-bit PNG.")
    if too_small or black:
        said = "black" if black else f"smaller than {SIZE} pixels"
        raise ValueError(f"the painting {path} is {said}; name another one with --painting.")
    if min(picture.shape[1:]) < LEAST_SIDE:
        raise ValueError(
            f"the painting {path} is too narrow: at {PAINTING_SIDE} pixels, its other side needs {LEAST_SIDE}; "
            "name another one with --painting."
        )


def _save_row(path: Path, made: dict[str, Tensor], n: int = 6) -> None:
    """The first pictures, a row for each kind, pixel by pixel."""
    with replacing(path) as temporary:
        show_rows(made, columns=n).savefig(temporary, format="jpeg", pil_kwargs={"quality": 92, "subsampling": 0})


if __name__ == "__main__":
    sys.exit(main())
