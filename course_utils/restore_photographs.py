"""Train and score restorers without Jupyter: ``python -m course_utils.restore_photographs --help``."""

import argparse
import functools
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.camvid import load_split
from course_utils.command_line import exit_status, provenance
from course_utils.experiments.ablation_record import differing
from course_utils.experiments.feature_network import FeatureNetwork, feature_network
from course_utils.experiments.painting_file import painting_digest, read_painting
from course_utils.experiments.painting_loss import PaintingLoss
from course_utils.experiments.photographs import PHOTOGRAPHS, patches
from course_utils.experiments.restoration_tasks import (
    SIZE,
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
from course_utils.experiments.style_distance import GramDistance, PatchDistance, repeated_distance
from course_utils.files import read_record, replacing, update_record
from course_utils.losses import FeatureLoss
from course_utils.metrics import psnr, ssim
from course_utils.plots.pictures import show_rows
from course_utils.progress import progress_bar
from course_utils.restoration_options import STYLES, check, command_for, fitting_losses, parser, picture_file, settings

FORMAT = "restorations, version 1"
SCORED, SCORED_SIDE, DAMAGE_SEED = 24, 160, 1000
CAMVID_SIZE = (192, 256)
ASKED = 400
"""So many training patches say what the mean colour is."""

PICTURE_MEASURES = [("psnr", "dB", 2)]
STYLE_MEASURES = [("style", "from the style, by patches", 3), ("gram", "by Gram matrices", 2)]
STYLE_WEIGHTS = {"patches": {}, "gram": {"style": 0.2}}


def load_patches(root: Path | None, split: str, n: int, seed: int) -> Tensor:
    """`n` patches ``(n, 3, 96, 96)`` uint8 of one split, for training if that is ``"train"``, else for scoring.

    Training goes through the pictures of a data set in order, again and again. What is scored is spread over its
    split: the first test pictures of CamVid follow a few seconds after those to train on.
    """
    if root is None and split == "train":
        return photograph_patches(split, n, seed)
    if root is None:
        return patches(PHOTOGRAPHS[split], SIZE, n, short_side=SCORED_SIDE, seed=seed)
    pictures = _pictures(root, split)
    chosen = [i % len(pictures) if split == "train" else i * len(pictures) // n for i in range(n)]
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (torch.randint(side - SIZE + 1, (n,), generator=generator).tolist() for side in CAMVID_SIZE)
    return torch.stack(
        [
            pictures[i, :, row : row + SIZE, column : column + SIZE]
            for i, row, column in zip(chosen, rows, columns, strict=True)
        ]
    )


@functools.cache
def _pictures(root: Path, split: str) -> Tensor:
    return load_split(root, split, CAMVID_SIZE, progress=False).images


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
    originals = load_patches(args.data, args.split, SCORED, 1).to(device).float() / 255
    inputs, truth = task.damage(originals, DAMAGE_SEED), wanted(task, originals)
    untrained = baselines(name, inputs, originals, DAMAGE_SEED)
    perfect = [kind for kind, picture in untrained.items() if loss not in STYLES and math.isinf(psnr(picture, truth))]
    if perfect:
        raise ValueError(
            f"{name}: in one of the {SCORED} patches of {args.split}, {perfect[0]!r} equals the target without any "
            "training, so its PSNR is infinite; take other pictures (a plain surface shows no damage)."
        )
    pictures = load_patches(args.data, "train", args.steps * args.batch_size, seed).to(device)
    known = {
        "pixel": task.loss_fn,
        "absolute": F.l1_loss,
        "feature": FeatureLoss(judge.features, judge.weights, gram=judge.gram).to(device),
    }
    if name == "colour":
        untrained["one colour"] = one_colour(inputs, pictures[:ASKED].float() / 255)
        untrained["answer's mean"] = one_colour(inputs, originals)  # no guess: it has looked
    if loss in STYLES:
        painting = read_painting(args.painting).to(device)
        untrained["mean colour"] = mean_colour(originals, painting)
        untrained["noise in it"] = mean_colour(inputs, painting)
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
    patches = repeated_distance(distances["patches"], pictures).mean()
    return {"style": round(float(patches), 4), "gram": round(float(distances["gram"](pictures)), 4)}


def main(words: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(words)
    kept = "every finished run is kept, the same command continues"
    return exit_status("restore_photographs", functools.partial(_work, args), kept)


def _work(args: argparse.Namespace) -> None:
    device = check(args)
    judge = feature_network()
    print("\n".join(table(_run_all(args, device, judge))))


def _describe(args: argparse.Namespace, record: dict, judge: str, facts: dict) -> None:
    """Put into `record` what all its runs share; refuse what makes new runs another experiment than those there.

    Date, hardware and versions stand in it once; a run elsewhere or later adds what differs.
    """
    shared = settings(args)
    wanted = shared | {"judge": judge}
    held = record.get("settings", {}) | {"judge": record.get("judge", judge)}
    if "monet" in args.tasks:
        wanted["painting"] = painting_digest(args.painting)
        held |= next(({"painting": one["painting"]} for one in record.get("runs", []) if "painting" in one), {})
    odd = [f"{name} {held[name]}" for name in differing(held, wanted)]
    if odd:
        raise ValueError(f"{args.out} holds runs with other settings ({', '.join(odd)}); name another file.")
    record |= {"settings": record.get("settings", {}) | shared, "judge": judge}
    record |= {name: record.get(name, fact) for name, fact in facts.items()}


def _run_all(args: argparse.Namespace, device: torch.device, judge: FeatureNetwork) -> dict:
    """Do the runs that the file does not hold yet, and keep each one as soon as it is done; returns the record."""
    facts = provenance(device)
    record = load_record(args.out) if args.out.exists() else {"format": FORMAT}
    _describe(args, record, judge.said, facts)
    done = {(one["task"], one["loss"], one["seed"]) for one in record.setdefault("runs", [])}
    wishes = [(name, loss, s) for name in args.tasks for loss in fitting_losses(name, args.losses) for s in args.seeds]
    todo = [wish for wish in dict.fromkeys(wishes) if wish not in done]
    kept = dict.fromkeys(name for name, loss, seed in wishes if (name, loss, seed) in done and seed == args.seeds[0])
    if args.pictures and kept:
        print(f"{args.out} holds {', '.join(kept)} already; name a new file to get pictures of it.", file=sys.stderr)
    for name, loss, seed in progress_bar(todo, desc="runs"):
        result = run(name, loss, seed, args, device, judge)
        made = result.pop("made")

        def add(record: dict, result: dict = result, wish: tuple = (name, loss, seed)) -> None:
            _describe(args, record, judge.said, facts)
            runs = record.setdefault("runs", [])
            if wish in {(one["task"], one["loss"], one["seed"]) for one in runs}:
                return  # the same command, beside this one, was quicker
            runs.append(result | {name: fact for name, fact in facts.items() if record[name] != fact})
            record["command"] = command_for(args, runs)

        record = update_record(args.out, FORMAT, add)
        if args.pictures and seed == args.seeds[0]:
            _save_row(picture_file(args.pictures, name, loss), made)
    return record


def table(record: dict) -> list[str]:
    """A line for each task and loss, PSNR on held-out pictures; of a painting two, its distances from the style."""
    lines, kinds = [], list(dict.fromkeys((one["task"], one["loss"]) for one in record["runs"]))
    wide = [max(map(len, column)) for column in zip(*kinds, strict=True)]
    for name, loss in kinds:
        found = [one["scores"] for one in record["runs"] if (one["task"], one["loss"]) == (name, loss)]
        for measure, unit, digits in STYLE_MEASURES if loss in STYLES else PICTURE_MEASURES:
            parts = []
            for kind in found[0]:
                values = torch.tensor([one[kind][measure] for one in found if kind in one], dtype=torch.float64)
                spread = f" ± {values.std():.{digits}f}" if len(values) > 1 and kind == "network" else ""
                parts.append(f"{kind} {values.mean():.{digits}f}{spread}")
            lines.append(f"{name:{wide[0]}} {loss:{wide[1]}} {', '.join(parts)} {unit}")
    return lines


def load_record(path: Path) -> dict:
    """Read what the command wrote.

    Raises:
        ValueError: if the file is something else.
    """
    return read_record(path, FORMAT, ("task", "loss", "seed", "scores"))


def _save_row(path: Path, made: dict[str, Tensor], n: int = 6) -> None:
    """The first pictures, a row for each kind, pixel by pixel."""
    with replacing(path) as temporary:
        show_rows(made, columns=n).savefig(temporary, format="jpeg", pil_kwargs={"quality": 92, "subsampling": 0})


if __name__ == "__main__":
    sys.exit(main())
