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

from course_utils.augment import Augment
from course_utils.averaged_views import AveragedViews
from course_utils.camvid import SPLITS, Batches, CachedSplit, frames_to_training, load_split, read_codes, read_split
from course_utils.command_line import (
    check_files,
    check_seed,
    command_again,
    find_data,
    provenance,
    usable_device,
)
from course_utils.distributed import own_device, process_group, rank, world_size
from course_utils.encoders import LITE0, create_encoder
from course_utils.files import replacing, write_json
from course_utils.layers import NORM_TYPES
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
from course_utils.stages import Stage, checkpoint_of, train_in_stages
from course_utils.unet import BLOCKS, MIDDLES, TAILS, DynamicUnet
from course_utils.winograd import use_winograd

AFTERWARDS = ("test", "keep_memory", "flips", "scales")  # what does not change the training
PLACES = ("data", "out", "checkpoint", "picture", "save_weights", "device")
AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}
LEVELS = (0.90, 0.915, 0.93, 0.941)  # the published best on test is 91.5 %, the lecture's on val 94.1 %
STAGE_OPTIONS = ("frozen_epochs", "half_epochs", "epochs", "lr", "full_lr")
LARGEST_SCALE = 4.0
LECTURE = {
    **dict.fromkeys(STAGE_OPTIONS),
    "encoder": "resnet34",
    "size": (360, 480),
    "norm": "None",
    "last_cross": True,
    "bottle": True,
    "batch_size": 8,
    "degrees": 10.0,
    "zoom": (1.0, 1.1),
    "light": 0.2,
    "count_void": True,
}
"""What ``--recipe lecture`` changes, besides its stages. It also warped its pictures, which `Augment` does not."""
STRONG = {
    "size": (360, 480),
    "frozen_epochs": 2,
    "half_epochs": 20,
    "epochs": 30,
    "batch_size": 8,
    "zoom": (0.75, 1.5),
    "light": 0.25,
    "saturation": 0.4,
    "lovasz": 0.5,
    "ema": 0.99,
    "flips": True,
}
"""What ``--recipe strong`` changes: what the field knows, for a GPU."""
RECIPES = {"course": {}, "lecture": LECTURE, "strong": STRONG}


def parser(recipe: str = "course") -> argparse.ArgumentParser:
    """The command line; every default is the recipe of notebook 06, or one of `RECIPES`."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.train_camvid",
        description="Train the hooked U-Net on CamVid or street scenes, score it on val, write what was measured.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument(
        "--recipe",
        default="course",
        choices=RECIPES,
        help="lecture: its network, augmentation and four stages; strong: longer, and with more of everything",
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
    net.add_argument(
        "--encoder", default=LITE0, help="efficientnet_lite0 (1, 2), or a torchvision classifier as resnet34"
    )
    net.add_argument("--random", action="store_true", help="start the encoder from random weights")
    net.add_argument("--norm", default="batch", choices=[str(name) for name in NORM_TYPES], help="norm of the decoder")
    net.add_argument("--last-cross", action="store_true", help="join the input picture to the last features")
    net.add_argument("--block", default="double_conv", choices=BLOCKS, help="what each decoder block computes with")
    net.add_argument(
        "--tail",
        default="full",
        choices=TAILS,
        help="unshuffle: the last layers on the finest encoder grid; merged: and the last block with it",
    )
    net.add_argument(
        "--middle", default="double_conv", choices=MIDDLES, help="what computes between encoder and decoder"
    )
    net.add_argument("--bottle", action="store_true", help="make the residual block after it half as wide inside")
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
    train.add_argument("--saturation", type=float, default=0.0, help="largest change of saturation")
    train.add_argument("--balance", type=float, default=0.0, help="class weights in the loss: share ** -BALANCE")
    train.add_argument("--lovasz", type=float, default=0.0, help="weight of the Lovász extension of IoU in the loss")
    train.add_argument("--count-void", action="store_true", help="let the loss count void as a class")
    train.add_argument("--ema", type=float, help="keep a moving average of the weights; each step keeps this share")
    train.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    run = parse.add_argument_group("running and reporting")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    run.add_argument("--amp", default="none", choices=AMP, help="mixed precision")
    run.add_argument("--compile", action="store_true", help="torch.compile the training step")
    run.add_argument("--keep-memory", action="store_true", help="glibc: keep freed memory (faster on a CPU)")
    run.add_argument(
        "--winograd",
        action="store_true",
        help="on a CPU: quicker weight gradients for encoders with wide 3×3 kernels, as resnet34; same maths",
    )
    run.add_argument("--checkpoint", type=Path, help="file to save the run to, and to resume it from")
    run.add_argument("--flips", action="store_true", help="score with the mirror image, averaged")
    run.add_argument("--scales", type=float, nargs="+", default=(1.0,), help="score at these sizes, averaged")
    run.add_argument("--test", action="store_true", help="read the test split, once, at the end")
    run.add_argument("--out", type=Path, help="write the results to this JSON file")
    run.add_argument("--picture", type=Path, help="draw the val picture with the most classes into this PNG file")
    run.add_argument("--save-weights", type=Path, help="write the trained weights to this file")
    parse.set_defaults(**RECIPES[recipe])
    return parse


def parse_command(argv: list[str] | None = None) -> argparse.Namespace:
    """The options that `argv` gives, on top of those of its recipe."""
    return parser(parser().parse_args(argv).recipe).parse_args(argv)


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


def recipe(args: argparse.Namespace) -> list[Stage]:
    """The stages that the command line asks for."""
    size = tuple(args.size)
    if args.recipe == "lecture":
        return [
            Stage("1: encoder frozen", size, 10, (2e-4, 2e-3), frozen=True),
            Stage("2: everything", size, 12, (2e-4, 2e-3)),
            Stage("3: encoder frozen again", size, 10, (1e-4, 1e-3), frozen=True),
            Stage("4: everything", size, 10, (1e-5, 1e-4)),
        ]
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


def loss_function(args: argparse.Namespace, train: CachedSplit) -> nn.CrossEntropyLoss:
    """The loss that the command line asks for."""
    void = -100 if args.count_void else train.void
    weight = class_weights(train, args.balance) if args.balance else None
    if args.lovasz:
        loss_fn = LovaszCrossEntropy(args.lovasz, weight, ignore_index=void)
    else:
        loss_fn = nn.CrossEntropyLoss(weight, ignore_index=void)
    return loss_fn.to(train.masks.device)


def augmentation(args: argparse.Namespace, void: int) -> Augment:
    """The random changes of pictures that the command line asks for."""
    return Augment(
        degrees=args.degrees,
        zoom=tuple(args.zoom),
        brightness=args.light,
        contrast=args.light,
        saturation=args.saturation,
        void=void,
    )


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
    """Everything that is reported of one split; the IoU of a class that occurs nowhere is None."""
    confusion = count_confusion(model, Batches(split, batch_size), len(split.codes), split.void)
    return {
        **scores_of(confusion),
        "iou": {name: None if math.isnan(iou) else iou for name, iou in iou_of(confusion, split).items()},
        "baselines": baselines(train, split),
        "frames_to_training": frames_to_training(split.stems, train.stems),
    }


def measure(args: argparse.Namespace, root: Path) -> tuple[DynamicUnet, dict]:
    """Train one network, write its weights where they are asked for, and score it.

    The dict holds everything that the figures depend on.
    """
    device = usable_device(own_device(args.device))
    names = ("val", "test") if args.test else ("val",)
    counts = {name: len(read_split(root, name)) for name in SPLITS}
    load = functools.cache(functools.partial(load_split, root, device=device))
    size = tuple(args.size)
    n_classes = len(read_codes(root))
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
    model = build(args, n_classes).to(device)
    if args.winograd:
        use_winograd(model)
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
    if args.save_weights and rank() == 0:
        with replacing(args.save_weights) as temporary:
            torch.save(model.state_dict(), temporary)
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
    seen = model
    if args.flips or tuple(args.scales) != (1.0,):
        seen = AveragedViews(model, args.flips, args.scales)
    for name in names:
        result[name] = judge(seen, load("train", size), load(name, size), 2 * args.batch_size)
    return model, result


def draw(model: nn.Module, split: CachedSplit, path: Path) -> None:
    """Truth, prediction and errors of the picture of `split` that shows the most classes."""
    chosen = max(range(len(split)), key=lambda i: len(split.masks[i].unique()))
    prediction = predict(model, Batches(split, 16))[chosen].cpu()
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


def check(args: argparse.Namespace) -> None:
    """Refuse, before anything is read or trained, what would go wrong later or have no effect.

    Raises:
        ValueError: naming the option; `OSError` for a file that cannot be written.
    """
    epochs = (args.frozen_epochs, args.half_epochs, args.epochs)
    if args.recipe == "lecture":
        odd = ["--" + name.replace("_", "-") for name in STAGE_OPTIONS if getattr(args, name) is not None]
        if odd:
            raise ValueError(f"--recipe lecture has stages of its own; leave out {', '.join(odd)}.")
    elif min(epochs) < 0 or sum(epochs) == 0:
        raise ValueError("--frozen-epochs {} --half-epochs {} --epochs {} is no amount of training.".format(*epochs))
    stages = recipe(args)
    paths = [path for path in (args.out, args.picture, args.save_weights, args.checkpoint) if path is not None]
    if args.checkpoint is not None:
        paths += [checkpoint_of(args.checkpoint, number) for number in range(len(stages))]
    check_files(paths)
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError("two of --out, --picture, --save-weights and --checkpoint name the same file.")
    if args.picture is not None and args.picture.suffix.lower() != ".png":
        raise ValueError(f"--picture {args.picture} does not end in .png.")
    check_seed(args.seed)
    if args.bottle and args.block == "bottleneck":
        raise ValueError("--bottle narrows the last residual block, which --block bottleneck does already.")
    if args.tail == "merged" and (not args.last_cross or args.bottle):
        raise ValueError(
            "--tail merged joins the picture with the finest skip: it takes --last-cross, and no --bottle."
        )
    if args.bottle and not args.last_cross:
        raise ValueError("--bottle narrows the last residual block, which only --last-cross brings.")
    if args.count_void and args.balance:
        raise ValueError("--count-void and --balance exclude each other: void has no weight.")
    # Each refuses now what it would refuse after the data have been read, or after training.
    create_encoder(args.encoder, pretrained=False)
    augmentation(args, void=0)
    LovaszCrossEntropy(args.lovasz)
    AveragedViews(nn.Identity(), args.flips, args.scales)
    if max(args.scales) > LARGEST_SCALE:
        raise ValueError(f"--scales {' '.join(map(str, args.scales))}: take none above {LARGEST_SCALE:g}.")
    if args.ema is not None and not 0 <= args.ema < 1:
        raise ValueError(f"--ema {args.ema} is not a share from 0 up to, but not including, 1.")
    if args.batch_size < 1:
        raise ValueError(f"--batch-size {args.batch_size} is not a positive number of pictures.")
    sizes = {stage.size for stage in stages if stage.epochs}
    smallest = 64 if sizes != {tuple(args.size)} else 32
    if min(args.size) < smallest:
        raise ValueError(
            f"--size {args.size[0]} {args.size[1]} is too small: both sides need {smallest} pixels"
            + (", since half of it must still be 32." if smallest == 64 else ".")
        )
    if args.batch_size == 1 and max(min(sizes)) <= 32:
        raise ValueError(
            "a batch of one picture of 32×32 pixels gives batch norm one value to train on; "
            "raise --batch-size 1 or --size."
        )


def write(args: argparse.Namespace, root: Path, model: nn.Module, result: dict) -> None:
    """The results and the picture that the command line asks for."""
    if args.out:
        write_json(args.out, result)
    if args.picture:
        draw(model, load_split(root, "val", tuple(args.size)), args.picture)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_command(argv)
    try:
        with process_group() as complain:
            return run(args, complain)
    except (OSError, RuntimeError) as error:
        print(f"train_camvid: the processes do not find each other ({error})", file=sys.stderr)
        return 1


def run(args: argparse.Namespace, complain: Callable[[str], None]) -> int:
    """Measure and report; returns the exit status."""
    try:
        check(args)
        root = find_data(getattr(args, "data", None))
        if args.keep_memory:
            keep_freed_memory()
        model, result = measure(args, root)
        if rank() == 0:
            write(args, root, model, result)
            print(summary(result))
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        complain(f"train_camvid: {error}")
        return 1
    except KeyboardInterrupt as stop:
        said = str(stop).rstrip(".") or "stopped"
        kept = "the same command goes on from its --checkpoint"
        complain(f"train_camvid: {said}; {kept if args.checkpoint else '--checkpoint FILE would have kept it'}")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
