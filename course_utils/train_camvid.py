"""Train the hooked U-Net on a prepared data set, without Jupyter: ``python -m course_utils.train_camvid --help``."""

import argparse
import functools
import itertools
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from course_utils.averaged_views import AveragedViews
from course_utils.camvid import Batches, CachedSplit, load_split, normalise, read_codes, read_split
from course_utils.camvid_options import AFTERWARDS, AMP, PLACES, augmentation, check, parse_command, parser, recipe
from course_utils.clips import by_clip, frames_to_training
from course_utils.command_line import command_again, find_data, provenance, usable_device
from course_utils.data_layout import SPLITS
from course_utils.depthwise import use_float32_depthwise_gradients
from course_utils.distributed import own_device, process_group, rank, world_size
from course_utils.encoders import create_encoder
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
from course_utils.stages import train_in_stages
from course_utils.unet import DynamicUnet
from course_utils.winograd import use_winograd

LEVELS = (0.90, 0.915, 0.93, 0.941)  # the published best on test is 91.5 %, the lecture's on val 94.1 %


def build(args: argparse.Namespace, n_classes: int) -> DynamicUnet:
    """The network that the command line asks for."""
    torch.manual_seed(args.seed)
    encoder = create_encoder(args.encoder, pretrained=not args.random)
    norm = None if args.norm == "None" else args.norm
    return DynamicUnet(
        encoder,
        n_classes,
        tuple(args.size),
        block=args.block,
        last_cross=args.last_cross,
        bottle=args.bottle,
        tail=args.tail,
        middle=args.middle,
        norm_type=norm,
    )


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


def measure(
    args: argparse.Namespace, root: Path, after_training: Callable[[DynamicUnet], None] = lambda model: None
) -> tuple[DynamicUnet, dict]:
    """Train one network, call `after_training`, and score it.

    The dict holds everything that the figures depend on.
    """
    device = usable_device(own_device(args.device))
    names = ("val", "test") if args.test else ("val",)
    counts = {name: len(read_split(root, name)) for name in SPLITS}
    if counts["train"] < args.batch_size:
        raise ValueError(
            f"--batch-size {args.batch_size} is more than the {counts['train']} pictures of train in {root}."
        )
    load = functools.cache(functools.partial(load_split, root, device=device))
    size = tuple(args.size)
    model = build(args, len(read_codes(root))).to(device)
    # All of it before training: a damaged picture is found now, not an hour later.
    read = [
        *itertools.product(("train", *names), [size]),
        *(("val", stage.size) for stage in recipe(args) if stage.epochs),
    ]
    for name, at in read:
        split = load(name, at)
        if not (split.masks != split.void).any():
            raise ValueError(
                f"no pixel of {name} has a class at {at[0]} × {at[1]} in {root}; "
                "prepare the data set again, or raise --size."
            )
    if args.winograd:
        use_winograd(model)
    if args.amp == "bf16" and device.type == "cpu":
        use_float32_depthwise_gradients(model)
    rows = train_in_stages(
        model,
        recipe(args),
        load,
        augmentation(args, load("train", size).void),
        batch_size=args.batch_size,
        seed=args.seed,
        checkpoint=args.checkpoint,
        weight_decay=args.weight_decay,
        amp=AMP[args.amp],
        compile=args.compile,
        ema=args.ema,
        loss_fn=loss_function(args, load("train", size)),
        recipe=_fingerprint(args, root),
    )
    after_training(model)
    result = {
        "command": command_again(parser(args.recipe), args, PLACES),
        **provenance(device),
        "processes": world_size(),
        "data": {"name": root.name, **counts},
        "encoder": args.encoder,
        "pretrained": not args.random,
        "size": list(size),
        "seed": args.seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training_seconds": sum(row["seconds"] - row["scoring_seconds"] for row in rows),
        "seconds_to": seconds_to_levels(rows, size),
        "epochs": rows,
    }
    for name in names:
        result[name] = judge(as_scored(model, args), load("train", size), load(name, size), 2 * args.batch_size)
    return model, result


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
    return json.dumps({"data": str(root.resolve()), **decisive}, sort_keys=True)


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


def keep_weights(path: Path | None, lost: list[OSError], model: DynamicUnet) -> None:
    """Write the trained weights; what prevents it goes into `lost`, so that the training is scored all the same."""
    if path is None or rank() != 0:
        return
    try:
        with replacing(path) as temporary:
            torch.save(model.state_dict(), temporary)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        lost.append(OSError(f"the weights could not be written to {path} ({error}); free space, or name another file."))


def write(args: argparse.Namespace, root: Path, model: nn.Module, result: dict) -> None:
    """The results and the picture that the command line asks for."""
    if args.out:
        write_json(args.out, result)
    if args.picture:
        draw(as_scored(model, args), load_split(root, "val", tuple(args.size)), args.picture)


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
    """Measure and report.

    Raises:
        SystemExit: with the exit status, after a sentence on what is wrong.
    """
    try:
        check(args)
        root = find_data(getattr(args, "data", None))
        if args.keep_memory:
            keep_freed_memory()
        lost: list[OSError] = []
        model, result = measure(args, root, functools.partial(keep_weights, args.save_weights, lost))
        if rank() == 0:
            write(args, root, model, result)
            print(summary(result))
        if lost:
            raise lost[0]
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
