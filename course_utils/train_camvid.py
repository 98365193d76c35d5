"""Train the hooked U-Net on a prepared data set, without Jupyter: ``python -m course_utils.train_camvid --help``."""

import argparse
import functools
import itertools
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from course_utils.averaged_views import AveragedViews
from course_utils.camvid import Batches, CachedSplit, load_split, normalise, read_codes, read_split, void_code
from course_utils.camvid_options import AFTERWARDS, AMP, PLACES, augmentation, check, parse_command, parser, recipe
from course_utils.clips import by_clip, frames_to_training
from course_utils.command_line import command_again, find_data, provenance, usable_device
from course_utils.depthwise import use_float32_depthwise_gradients
from course_utils.distributed import own_device, process_group, rank, world_size
from course_utils.fast_convolution import use_fast_convolutions
from course_utils.files import replacing, write_json
from course_utils.memory import keep_freed_memory
from course_utils.plots import show_segmentation
from course_utils.segmentation import (
    count_confusion,
    iou_of,
    most_common_by_position,
    most_common_class,
    predict,
    scores,
    scores_of,
)
from course_utils.segmentation_losses import LovaszCrossEntropy, class_weights
from course_utils.stages import checkpoint_of, train_in_stages
from course_utils.trained_network import build_network, save_network
from course_utils.unet import DynamicUnet

Load = Callable[[str, tuple[int, int]], CachedSplit]
LEVELS = (0.90, 0.915, 0.93, 0.941)  # the published best on test is 91.5 %, the lecture's on val 94.1 %


def build(args: argparse.Namespace, n_classes: int) -> DynamicUnet:
    """The network that the command line asks for."""
    torch.manual_seed(args.seed)
    return build_network(vars(args), n_classes, pretrained=not args.random)


def baselines(train: CachedSplit, split: CachedSplit) -> dict[str, float]:
    """Pixel accuracy of two guesses that look at no picture."""
    return {
        "most common class": scores(most_common_class(train, split), split)["accuracy"],
        "most common class at this position": scores(most_common_by_position(train, split), split)["accuracy"],
    }


def loss_function(args: argparse.Namespace, train: CachedSplit) -> nn.CrossEntropyLoss:
    """The loss that the command line asks for."""
    void = -100 if args.count_void else train.void
    weight = class_weights(train, args.balance) if args.balance else None
    if args.lovasz:
        loss_fn = LovaszCrossEntropy(args.lovasz, weight, ignore_index=void)
    else:
        loss_fn = nn.CrossEntropyLoss(weight, ignore_index=void)
    return loss_fn.to(train.masks.device)


def seconds_to_levels(rows: list[dict], size: tuple[int, int]) -> dict[str, float | None]:
    """Seconds of training, without scoring, after which an epoch first reached each level of val accuracy.

    Only epochs at full size count, since smaller pictures are another measurement; None where none got there.
    """
    seconds = list(itertools.accumulate(row["seconds"] - row["scoring_seconds"] for row in rows))
    scored = [
        (row["val_accuracy"], after) for row, after in zip(rows, seconds, strict=True) if row["size"] == list(size)
    ]
    return {f"{level:.1%}": next((after for accuracy, after in scored if accuracy >= level), None) for level in LEVELS}


def judge(model: nn.Module, train: CachedSplit, split: CachedSplit, batch_size: int) -> dict:
    """Everything that is reported of one split, clip by clip too if it has several.

    What no labelled pixel decides, as the IoU of a class that occurs nowhere, is None.
    """
    clips = by_clip(split)
    parts = clips if 1 < len(clips) < len(split) else {"all": split}
    confusions = {
        name: count_confusion(model, Batches(part, batch_size), len(split.codes), split.void)
        for name, part in parts.items()
    }
    confusion = sum(confusions.values())
    found = {
        **scores_of(confusion),
        "iou": _known(iou_of(confusion, split)),
        "baselines": baselines(train, split),
        "frames_to_training": frames_to_training(split.stems, train.stems),
    }
    if parts is clips:
        known = by_clip(train)
        found["clips"] = {
            clip: {
                "pictures": len(part),
                "in_train": clip in known,
                **_known(scores_of(confusions[clip])),
                "baselines": _known(baselines(train, part)),
            }
            for clip, part in clips.items()
        }
    return found


def _known(values: dict[str, float]) -> dict[str, float | None]:
    """nan as None, which JSON can hold."""
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def read_all(args: argparse.Namespace, root: Path, device: torch.device) -> Load:
    """``load(split, size)``, which has read all that training and scoring will ask for.

    Raises:
        ValueError: for fewer pictures than a batch, a picture of train that is scored too, a split without a labelled
            pixel, or augmentation for which the data set has no code: now, not an hour later.
    """
    n_train = len(read_split(root, "train"))
    if n_train < args.batch_size:
        raise ValueError(f"--batch-size {args.batch_size} is more than the {n_train} pictures of train in {root}.")
    for name in scored_splits(args):
        both = sorted(set(read_split(root, "train")) & set(read_split(root, name)))
        if both:
            raise ValueError(
                f"{both[0]} is in train.txt and in {name}.txt of {root}, as are {len(both)} in all: a score on what "
                "was trained on says little; take them out of one list."
            )
    if void_code(read_codes(root)) < 0 and (args.degrees or args.zoom[0] < 1):
        raise ValueError(
            f"--degrees {args.degrees:g} --zoom {args.zoom[0]:g} {args.zoom[1]:g} show a border, and {root} has no "
            f"class Void for it: take --degrees 0 --zoom 1 {max(args.zoom[1], 1):g}."
        )
    load = functools.cache(functools.partial(load_split, root, device=device))
    wanted = [
        *itertools.product(("train", *scored_splits(args)), [tuple(args.size)]),
        *itertools.product(("train", "val"), [stage.size for stage in recipe(args) if stage.epochs]),
    ]
    for name, (height, width) in wanted:
        split = load(name, (height, width))
        if not (split.masks != split.void).any():
            raise ValueError(
                f"no pixel of {name} has a class at {height} × {width} in {root}; "
                "prepare the data set again, or raise --size."
            )
    return load


def plan(args: argparse.Namespace, root: Path, load: Load) -> str:
    """A line that says, before training, what will be done with what."""
    split, n_val = load("train", tuple(args.size)), len(load("val", tuple(args.size)))
    classes = f"{len(split.codes)} classes, none called Void"
    if split.void >= 0:
        classes = (
            f"{len(split.codes) - 1} classes, and Void, which {'the loss' if args.count_void else 'nothing'} counts"
        )
    stages = ", ".join(f"{stage.epochs} ({stage.name})" for stage in recipe(args) if stage.epochs)
    goes_on = args.checkpoint and any(
        checkpoint_of(args.checkpoint, number).exists() for number in range(len(recipe(args)))
    )
    return f"{root}: {len(split)} pictures to train on, {n_val} to score; {classes}; epochs: {stages}" + (
        f"; going on from {args.checkpoint}" if goes_on else ""
    )


def scored_splits(args: argparse.Namespace) -> tuple[str, ...]:
    """The splits on which the trained network is scored."""
    return ("val", "test") if args.test else ("val",)


def train(args: argparse.Namespace, root: Path, load: Load, *, score: bool = True) -> tuple[DynamicUnet, list[dict]]:
    """Train one network; a row for each epoch, as `course_utils.stages.train_in_stages` gives them."""
    train_split = load("train", tuple(args.size))
    device = train_split.images.device
    model = build(args, len(train_split.codes)).to(device)
    if args.winograd:
        use_fast_convolutions(model)
    if args.amp == "bf16" and device.type == "cpu":
        use_float32_depthwise_gradients(model)
    rows = train_in_stages(
        model,
        recipe(args),
        load,
        augmentation(args, train_split.void),
        batch_size=args.batch_size,
        seed=args.seed,
        checkpoint=args.checkpoint,
        weight_decay=args.weight_decay,
        amp=AMP[args.amp],
        compile=args.compile,
        ema=args.ema,
        loss_fn=loss_function(args, train_split),
        recipe=_fingerprint(args, root),
        score=score,
    )
    return model, rows


def report(args: argparse.Namespace, root: Path, load: Load, model: DynamicUnet, rows: list[dict]) -> dict:
    """Score the trained network; the dict holds everything that the figures depend on."""
    size = tuple(args.size)
    train_split = load("train", size)
    return {
        "command": command_again(parser(args.recipe), args, PLACES),
        **provenance(train_split.images.device),
        "processes": world_size(),
        "data": {"name": root.name, **{name: len(load(name, size)) for name in ("train", *scored_splits(args))}},
        "encoder": args.encoder,
        "pretrained": not args.random,
        "size": list(size),
        "seed": args.seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training_seconds": sum(row["seconds"] - row["scoring_seconds"] for row in rows),
        "seconds_to": seconds_to_levels(rows, size),
        "epochs": rows,
        **{
            name: judge(as_scored(model, args), train_split, load(name, size), 2 * args.batch_size)
            for name in scored_splits(args)
        },
    }


def as_scored(model: nn.Module, args: argparse.Namespace) -> nn.Module:
    """The network, or the average of what it says of the mirror images and sizes that the command line asks for."""
    if args.flips or tuple(args.scales) != (1.0,):
        return AveragedViews(model, args.flips, args.scales)
    return model


def draw(model: nn.Module, split: CachedSplit, path: Path) -> None:
    """Truth, prediction and errors of the picture of `split` that shows the most classes."""
    chosen = max(range(len(split)), key=lambda i: len(split.masks[i][split.masks[i] != split.void].unique()))
    picture = normalise(split.images[chosen : chosen + 1])
    prediction = predict(model, [(picture, None)])[0].cpu()
    figure = show_segmentation(split.images[chosen], split.masks[chosen], prediction, codes=split.codes)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")


def _fingerprint(args: argparse.Namespace, root: Path) -> str:
    """Everything that decides what is trained: a checkpoint continues only with the same."""
    decisive = {name: value for name, value in vars(args).items() if name not in (*PLACES, *AFTERWARDS)}
    stages = [stage.name for stage in recipe(args)]  # full size or half: no option of a recipe tells
    return json.dumps({"data": str(root.resolve()), "stages": stages, **decisive}, sort_keys=True)


def summary(result: dict) -> str:
    """Two or three lines a person reads first."""
    start = "ImageNet" if result["pretrained"] else "random"
    lines = [
        f"{result['encoder']} from {start} weights, {result['size'][0]}×{result['size'][1]}, seed {result['seed']}, "
        f"{len(result['epochs'])} epochs, {result['training_seconds']:.0f} s of training on {result['hardware']}"
    ]
    for split in ("val", "test"):
        if split in result:
            found = result[split]
            guesses = ", ".join(f"{name} {value:.1%}" for name, value in found["baselines"].items())
            lines.append(
                f"{split}: pixel accuracy {found['accuracy']:.2%}, mean IoU {found['mean_iou']:.2%} "
                f"(baselines: {guesses})"
            )
    return "\n".join(lines)


def keep_weights(args: argparse.Namespace, model: DynamicUnet, codes: Sequence[str]) -> OSError | None:
    """Write the trained network; what prevents it is returned, so that the training is scored all the same."""
    if args.save_weights is None or rank() != 0:
        return None
    try:
        save_network(args.save_weights, model, vars(args), codes)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        return OSError(
            f"the weights could not be written to {args.save_weights} ({error}); free space, or name another file."
        )
    return None


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_command(argv)
    try:
        with process_group() as complain:
            run(args, complain)
    except SystemExit as stop:
        return stop.code
    except (OSError, RuntimeError) as error:
        print(f"train_camvid: the processes do not find each other ({error})", file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace, complain: Callable[[str], None]) -> None:
    """Train, score and write.

    Raises:
        SystemExit: with the exit status, after a sentence on what is wrong.
    """
    try:
        check(args)
        root = find_data(getattr(args, "data", None))
        if args.keep_memory:
            keep_freed_memory()
        load = read_all(args, root, usable_device(own_device(args.device)))
        if rank() == 0:
            print(plan(args, root, load), flush=True)
        model, rows = train(args, root, load)
        lost = keep_weights(args, model, load("train", tuple(args.size)).codes)
        result = report(args, root, load, model, rows)
        if rank() == 0:
            if args.out:
                write_json(args.out, result)
            if args.picture:
                draw(as_scored(model, args), load("val", tuple(args.size)), args.picture)
            print(summary(result))
            written = [path for path in (args.out, args.picture, None if lost else args.save_weights) if path]
            print("\n".join(f"written: {path}" for path in written), end="\n" if written else "")
        if lost:
            raise lost
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        complain(f"train_camvid: {error}")
        raise SystemExit(1) from error
    except KeyboardInterrupt as stop:
        said = str(stop).rstrip(".") or "stopped"
        kept = "the same command goes on from its --checkpoint"
        complain(f"train_camvid: {said}; {kept if args.checkpoint else '--checkpoint FILE would have kept it'}")
        raise SystemExit(130) from stop


if __name__ == "__main__":
    sys.exit(main())
