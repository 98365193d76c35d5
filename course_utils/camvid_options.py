"""The options of ``python -m course_utils.train_camvid``: four recipes, the command line, and what it refuses."""

import argparse
import math
from pathlib import Path

import torch
from torch import nn

from course_utils.augment import Augment
from course_utils.averaged_views import AveragedViews
from course_utils.command_line import (
    add_data_option,
    add_encoder_options,
    add_speed_options,
    check_files,
    check_seed,
    usable_device,
)
from course_utils.distributed import own_device
from course_utils.encoders import create_encoder
from course_utils.layers import NORM_TYPES
from course_utils.segmentation_losses import LovaszCrossEntropy
from course_utils.stages import Stage, checkpoint_of
from course_utils.unet import TAILS
from course_utils.unet_block import BLOCKS, MIDDLES

AFTERWARDS = ("test", "keep_memory", "flips", "scales")  # what does not change the training
PLACES = ("data", "out", "checkpoint", "picture", "save_weights", "device")
AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}
STAGE_OPTIONS = ("frozen_epochs", "half_epochs", "epochs", "lr", "full_lr")
LARGEST_SCALE = 4.0
LARGEST_SIDE = 4096
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
"""What ``--recipe lecture`` changes, besides its stages (fast.ai course v3, notebook lesson3-camvid-tiramisu).

All four stages have full size: that notebook calculates half of it for the first two, but does not pass it on. What
still differs: it warped its pictures too, which `Augment` does not, and left a quarter of them unmoved and a quarter as
light as they were. And it had three rates, not two: in its second and fourth stage the first layers of the encoder got
a tenth of what the later ones get here.
"""
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
RECIPES = {"course": {}, "lecture": LECTURE, "lecture-half": LECTURE, "strong": STRONG}


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
        help="lecture: its network, augmentation and four stages; lecture-half: the same, the first two stages at half "
        "size; strong: longer, and with more of everything; the defaults below are those of the recipe beside --help",
    )
    data = parse.add_argument_group("data")
    add_data_option(data)
    data.add_argument("--size", type=int, nargs=2, default=(176, 240), metavar=("H", "W"), help="pixels")
    net = parse.add_argument_group("network")
    add_encoder_options(net)
    net.add_argument("--norm", default="batch", choices=[str(name) for name in NORM_TYPES], help="norm of the decoder")
    net.add_argument(
        "--last-cross",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="join the input picture to the last features",
    )
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
    net.add_argument(
        "--bottle",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="make the residual block of --last-cross half as wide inside",
    )
    train = parse.add_argument_group("training")
    train.add_argument("--frozen-epochs", type=int, default=1, help="first: encoder frozen, pictures of half size")
    train.add_argument("--half-epochs", type=int, default=5, help="then: everything trained, half size")
    train.add_argument("--epochs", type=int, default=5, help="last: everything trained, full size; all three add up")
    train.add_argument("--batch-size", type=int, default=4, help="pictures in a step; less needs less memory")
    train.add_argument(
        "--lr", type=float, nargs=2, default=(5e-4, 5e-3), metavar=("ENC", "DEC"), help="highest, at half size"
    )
    train.add_argument(
        "--full-lr", type=float, nargs=2, default=(3e-4, 2e-3), metavar=("ENC", "DEC"), help="at full size"
    )
    train.add_argument("--weight-decay", type=float, default=1e-2, help="of AdamW")
    train.add_argument("--degrees", type=float, default=0.0, help="largest rotation")
    train.add_argument("--zoom", type=float, nargs=2, default=(1.0, 1.2), metavar=("MIN", "MAX"), help="random zoom")
    train.add_argument("--light", type=float, default=0.1, help="largest change of brightness and contrast")
    train.add_argument("--saturation", type=float, default=0.0, help="largest change of saturation")
    train.add_argument("--balance", type=float, default=0.0, help="class weights in the loss: share ** -BALANCE")
    train.add_argument("--lovasz", type=float, default=0.0, help="weight of the Lovász extension of IoU in the loss")
    train.add_argument(
        "--count-void", action=argparse.BooleanOptionalAction, default=False, help="let the loss count void as a class"
    )
    train.add_argument("--ema", type=float, help="keep a moving average of the weights; each step keeps this share")
    train.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    run = parse.add_argument_group("running and reporting")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    run.add_argument("--amp", default="none", choices=AMP, help="mixed precision; bf16 also on newer CPUs")
    run.add_argument("--compile", action="store_true", help="torch.compile the training step")
    add_speed_options(run)
    run.add_argument(
        "--checkpoint", type=Path, help="save to and resume from RUN.pt: one file a stage, RUN.stage0.pt and so on"
    )
    run.add_argument(
        "--flips", action=argparse.BooleanOptionalAction, default=False, help="score with the mirror image, averaged"
    )
    run.add_argument("--scales", type=float, nargs="+", default=(1.0,), help="score at these sizes, averaged")
    run.add_argument("--test", action="store_true", help="read the test split, once, at the end")
    run.add_argument("--out", type=Path, help="write the results to this JSON file")
    run.add_argument("--picture", type=Path, help="draw the val picture with the most classes into this PNG file")
    run.add_argument("--save-weights", type=Path, help="write the trained network here, for segment_photographs")
    parse.set_defaults(**RECIPES[recipe])
    return parse


def parse_command(argv: list[str] | None = None) -> argparse.Namespace:
    """The options that `argv` gives, on top of those of its recipe; ``--help`` tells the defaults of that recipe."""
    first = argparse.ArgumentParser(prog=parser().prog, add_help=False)
    first.add_argument("--recipe", nargs="?")
    named = first.parse_known_args(argv)[0].recipe
    return parser(named if named in RECIPES else "course").parse_args(argv)


def recipe(args: argparse.Namespace) -> list[Stage]:
    """The stages that the command line asks for."""
    size = tuple(args.size)
    half = (size[0] // 2, size[1] // 2)
    if RECIPES[args.recipe] is LECTURE:
        first, named = (size, "full size") if args.recipe == "lecture" else (half, "half size")
        return [
            Stage(f"1: encoder frozen, {named}", first, 10, (2e-4, 2e-3), frozen=True, pct_start=0.8),
            Stage(f"2: everything, {named}", first, 12, (2e-4, 2e-3), pct_start=0.8),
            Stage("3: encoder frozen again, full size", size, 10, (1e-4, 1e-3), frozen=True, pct_start=0.8),
            Stage("4: everything, full size", size, 10, (1e-5, 1e-4)),
        ]
    return [
        Stage("encoder frozen, half size", half, args.frozen_epochs, tuple(args.lr), frozen=True),
        Stage("half size", half, args.half_epochs, tuple(args.lr)),
        Stage("full size", size, args.epochs, tuple(args.full_lr)),
    ]


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


def check(args: argparse.Namespace) -> None:
    """Refuse, before anything is read or trained, what would go wrong later or have no effect.

    Raises:
        ValueError: naming the option; `OSError` for a file that cannot be written.
    """
    _check_stages(args)
    _check_files(args)
    _check_network(args)
    _check_numbers(args)
    _check_sizes(args)


def _check_stages(args: argparse.Namespace) -> None:
    epochs = (args.frozen_epochs, args.half_epochs, args.epochs)
    if RECIPES[args.recipe] is LECTURE:
        odd = ["--" + name.replace("_", "-") for name in STAGE_OPTIONS if getattr(args, name) is not None]
        if odd:
            raise ValueError(f"--recipe {args.recipe} has stages of its own; leave out {', '.join(odd)}.")
    elif min(epochs) < 0 or sum(epochs) == 0:
        raise ValueError("--frozen-epochs {} --half-epochs {} --epochs {} is no amount of training.".format(*epochs))


def _check_files(args: argparse.Namespace) -> None:
    paths = [path for path in (args.out, args.picture, args.save_weights, args.checkpoint) if path is not None]
    if args.checkpoint is not None:
        paths += [checkpoint_of(args.checkpoint, number) for number in range(len(recipe(args)))]
    check_files(paths)
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError("two of --out, --picture, --save-weights and --checkpoint name the same file.")
    if args.picture is not None and args.picture.suffix.lower() != ".png":
        raise ValueError(f"--picture {args.picture} does not end in .png.")


def _check_network(args: argparse.Namespace) -> None:
    create_encoder(args.encoder, pretrained=False)  # refuses an unknown name
    if args.bottle and args.block == "bottleneck":
        raise ValueError(
            "--bottle narrows the last residual block, as --block bottleneck does already; --no-bottle leaves it out."
        )
    if args.tail == "merged" and (not args.last_cross or args.bottle):
        raise ValueError(
            "--tail merged joins the picture with the finest skip: it takes --last-cross, and --no-bottle."
        )
    if args.bottle and not args.last_cross:
        raise ValueError(
            "--bottle narrows the last residual block, which only --last-cross brings; --no-bottle leaves it out."
        )


def _check_numbers(args: argparse.Namespace) -> None:
    check_seed(args.seed)
    if args.count_void and args.balance:
        raise ValueError(
            "--count-void and --balance exclude each other, since void has no weight: --no-count-void, or --balance 0."
        )
    # Each refuses now what it would refuse after the data have been read, or after training.
    augmentation(args, void=0)
    LovaszCrossEntropy(args.lovasz)
    AveragedViews(nn.Identity(), args.flips, args.scales)
    if not 0 <= args.balance <= 1:
        raise ValueError(f"--balance {args.balance} is not from 0 (no weights) to 1 (each class weighs the same).")
    if not 0 <= args.weight_decay < math.inf:
        raise ValueError(f"--weight-decay {args.weight_decay} is not a number of at least 0.")
    if args.amp != "none":
        _check_precision(args.amp, usable_device(own_device(args.device)))
    if args.ema is not None and not 0 <= args.ema < 1:
        raise ValueError(f"--ema {args.ema} is not a share from 0 up to, but not including, 1.")
    if args.batch_size < 1:
        raise ValueError(f"--batch-size {args.batch_size} is not a positive number of pictures.")


def _check_precision(amp: str, device: torch.device) -> None:
    if device.type != "cuda":
        if amp == "fp16":
            raise ValueError("--amp fp16 needs CUDA; take --amp bf16.")
        return
    with torch.cuda.device(device):
        has_instructions = torch.cuda.is_bf16_supported(including_emulation=False)
    if amp == "bf16" and not has_instructions:
        raise ValueError("--amp bf16 would be slow on this GPU, which has no instructions for it; take --amp fp16.")


def _check_sizes(args: argparse.Namespace) -> None:
    size = f"--size {args.size[0]} {args.size[1]}"
    sizes = {stage.size for stage in recipe(args) if stage.epochs}
    smallest = 64 if sizes != {tuple(args.size)} else 32
    if min(args.size) < smallest:
        why = ", since half of it must still be 32" if smallest == 64 else ""
        raise ValueError(f"{size} is too small: both sides need {smallest} pixels{why}.")
    if max(args.size) > LARGEST_SIDE:
        raise ValueError(f"{size} is too large: no side above {LARGEST_SIDE} pixels; CamVid's pictures have 720 × 960.")
    if max(args.scales) > LARGEST_SCALE:
        raise ValueError(f"--scales {' '.join(map(str, args.scales))}: take none above {LARGEST_SCALE:g}.")
    if max(args.scales) * max(args.size) > LARGEST_SIDE:
        raise ValueError(f"--scales {max(args.scales)} of {size} is too large: no side above {LARGEST_SIDE} pixels.")
    if args.batch_size == 1 and max(min(sizes)) <= 32:
        raise ValueError(
            "a batch of one picture of 32×32 pixels gives batch norm one value to train on; "
            "raise --batch-size 1 or --size."
        )
