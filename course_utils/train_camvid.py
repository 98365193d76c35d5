"""Train the hooked U-Net on a prepared data set, without Jupyter: ``python -m course_utils.train_camvid --help``."""

import argparse
import functools
import json
import sys
from pathlib import Path

import torch
from torch import nn

from course_utils.augment import Augment
from course_utils.camvid import SPLITS, Batches, CachedSplit, frames_to_training, load_split, read_codes, read_split
from course_utils.command_line import check_files, check_seed, command_again, find_data, provenance, usable_device
from course_utils.encoders import LITE0, create_encoder
from course_utils.layers import NORM_TYPES
from course_utils.memory import keep_freed_memory
from course_utils.plots import show_segmentation
from course_utils.segmentation import (
    iou_by_class,
    most_common_by_position,
    most_common_class,
    predict,
    scores,
)
from course_utils.stages import Stage, train_in_stages
from course_utils.unet import DynamicUnet

PLACES = ("data", "out", "checkpoint", "picture", "save_weights", "device")
AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def parser() -> argparse.ArgumentParser:
    """The command line; every default is the recipe of notebook 06."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.train_camvid",
        description="Train the hooked U-Net on CamVid or street scenes, score it on val, write what was measured.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    data = parse.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        default=argparse.SUPPRESS,
        help="prepared data set (default: data/camvid, else data/street_scenes)",
    )
    data.add_argument("--size", type=int, nargs=2, default=(176, 240), metavar=("H", "W"), help="pixels")
    net = parse.add_argument_group("network")
    net.add_argument("--encoder", default=LITE0, help="efficientnet_lite0, or a torchvision classifier as resnet34")
    net.add_argument("--random", action="store_true", help="start the encoder from random weights")
    net.add_argument("--norm", default="batch", choices=[str(name) for name in NORM_TYPES], help="norm of the decoder")
    net.add_argument("--last-cross", action="store_true", help="join the input picture to the last features")
    train = parse.add_argument_group("training")
    train.add_argument("--frozen-epochs", type=int, default=1, help="first: encoder frozen, pictures of half size")
    train.add_argument("--half-epochs", type=int, default=5, help="then: everything trained, half size")
    train.add_argument("--epochs", type=int, default=5, help="last: everything trained, full size")
    train.add_argument("--batch-size", type=int, default=4, help="pictures in a step; less needs less memory")
    train.add_argument(
        "--lr", type=float, nargs=2, default=(5e-4, 5e-3), metavar=("ENC", "DEC"), help="half size: highest"
    )
    train.add_argument("--full-lr", type=float, nargs=2, default=(3e-4, 2e-3), metavar=("ENC", "DEC"), help="full size")
    train.add_argument("--weight-decay", type=float, default=1e-2, help="of AdamW")
    train.add_argument("--degrees", type=float, default=0.0, help="largest rotation")
    train.add_argument("--zoom", type=float, nargs=2, default=(1.0, 1.2), metavar=("MIN", "MAX"), help="random zoom")
    train.add_argument("--light", type=float, default=0.1, help="largest change of brightness and contrast")
    train.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    run = parse.add_argument_group("running and reporting")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    run.add_argument("--amp", default="none", choices=AMP, help="mixed precision")
    run.add_argument("--compile", action="store_true", help="torch.compile the training step")
    run.add_argument("--keep-memory", action="store_true", help="glibc: keep freed memory (faster on a CPU)")
    run.add_argument("--checkpoint", type=Path, help="file to save the run to, and to resume it from")
    run.add_argument("--test", action="store_true", help="read the test split, once, at the end")
    run.add_argument("--out", type=Path, help="write the results to this JSON file")
    run.add_argument("--picture", type=Path, help="draw the val picture with the most classes into this PNG file")
    run.add_argument("--save-weights", type=Path, help="write the trained weights to this file")
    return parse


def build(args: argparse.Namespace, n_classes: int) -> DynamicUnet:
    """The network that the command line asks for."""
    torch.manual_seed(args.seed)
    encoder = create_encoder(args.encoder, pretrained=not args.random)
    norm = None if args.norm == "None" else args.norm
    return DynamicUnet(encoder, n_classes, tuple(args.size), norm_type=norm, last_cross=args.last_cross)


def recipe(args: argparse.Namespace) -> list[Stage]:
    """The stages that the command line asks for."""
    size = tuple(args.size)
    half = (size[0] // 2, size[1] // 2)
    return [
        Stage("encoder frozen, half size", half, args.frozen_epochs, tuple(args.lr), frozen=True),
        Stage("half size", half, args.half_epochs, tuple(args.lr)),
        Stage("full size", size, args.epochs, tuple(args.full_lr)),
    ]


def baselines(train: CachedSplit, split: CachedSplit) -> dict[str, float]:
    """Pixel accuracy of two guesses that look at no picture."""
    return {
        "most common class": scores(most_common_class(train, split), split)["accuracy"],
        "most common class at this position": scores(most_common_by_position(train, split), split)["accuracy"],
    }


def judge(model: nn.Module, train: CachedSplit, split: CachedSplit, batch_size: int) -> dict:
    """Everything that is reported of one split."""
    prediction = predict(model, Batches(split, batch_size))
    return {
        **scores(prediction, split),
        "iou": iou_by_class(prediction, split),
        "baselines": baselines(train, split),
        "frames_to_training": frames_to_training(split.stems, train.stems),
    }


def measure(args: argparse.Namespace, root: Path) -> tuple[DynamicUnet, dict]:
    """Train and score one network; the dict holds everything that the figures depend on."""
    device = usable_device(args.device)
    names = ("val", "test") if args.test else ("val",)
    counts = {name: len(read_split(root, name)) for name in SPLITS}
    load = functools.cache(functools.partial(load_split, root, device=device))
    size = tuple(args.size)
    n_classes = len(read_codes(root))
    for name in ("train", *names):
        load(name, size)  # all of it before training: a damaged picture is found now, not an hour later
    model = build(args, n_classes).to(device)
    augment = Augment(
        degrees=args.degrees,
        zoom=tuple(args.zoom),
        brightness=args.light,
        contrast=args.light,
        void=load("train", size).void,
    )
    rows = train_in_stages(
        model,
        recipe(args),
        load,
        augment,
        batch_size=args.batch_size,
        seed=args.seed,
        checkpoint=args.checkpoint,
        weight_decay=args.weight_decay,
        amp=AMP[args.amp],
        compile=args.compile,
        recipe=_fingerprint(args, root),
    )
    result = {
        "command": command_again(parser(), args, PLACES),
        **provenance(device),
        "data": {"name": root.name, **counts},
        "encoder": args.encoder,
        "pretrained": not args.random,
        "size": list(size),
        "seed": args.seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training_seconds": sum(row["seconds"] - row["scoring_seconds"] for row in rows),
        "epochs": rows,
    }
    for name in names:
        result[name] = judge(model, load("train", size), load(name, size), 2 * args.batch_size)
    return model, result


def draw(model: nn.Module, split: CachedSplit, path: Path) -> None:
    """Truth, prediction and errors of the picture of `split` that shows the most classes."""
    chosen = max(range(len(split)), key=lambda i: len(split.masks[i].unique()))
    prediction = predict(model, Batches(split, 16))[chosen].cpu()
    figure = show_segmentation(split.images[chosen], split.masks[chosen], prediction, codes=split.codes)
    figure.savefig(path, dpi=100)


def _fingerprint(args: argparse.Namespace, root: Path) -> str:
    """Everything that decides what is trained: a checkpoint continues only with the same."""
    decisive = {name: value for name, value in vars(args).items() if name not in (*PLACES, "test", "keep_memory")}
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


def _check(args: argparse.Namespace) -> None:
    paths = [path for path in (args.out, args.picture, args.save_weights, args.checkpoint) if path is not None]
    check_files(paths)
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError("two of --out, --picture, --save-weights and --checkpoint name the same file.")
    if args.picture is not None and args.picture.suffix.lower() != ".png":
        raise ValueError(f"--picture {args.picture} does not end in .png.")
    check_seed(args.seed)
    epochs = (args.frozen_epochs, args.half_epochs, args.epochs)
    if min(epochs) < 0 or sum(epochs) == 0:
        raise ValueError("--frozen-epochs {} --half-epochs {} --epochs {} is no amount of training.".format(*epochs))
    smallest = 64 if args.frozen_epochs or args.half_epochs else 32
    if min(args.size) < smallest:
        raise ValueError(
            f"--size {args.size[0]} {args.size[1]} is too small: both sides need {smallest} pixels"
            + (", since half of it must still be 32." if smallest == 64 else ".")
        )


def write(args: argparse.Namespace, root: Path, model: nn.Module, result: dict) -> None:
    """The files that the command line asks for, what took longest to make first."""
    if args.save_weights:
        torch.save(model.state_dict(), args.save_weights)
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")
    if args.picture:
        draw(model, load_split(root, "val", tuple(args.size)), args.picture)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    try:
        _check(args)
        root = find_data(getattr(args, "data", None))
        if args.keep_memory:
            keep_freed_memory()
        model, result = measure(args, root)
        write(args, root, model, result)
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        print(f"train_camvid: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        said = str(stop) or "stopped"
        print(f"train_camvid: {said}; the same command goes on from its --checkpoint", file=sys.stderr)
        return 130
    print(summary(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
