"""Train the hooked U-Net on a prepared data set, without Jupyter: ``python -m course_utils.train_camvid --help``."""

import argparse
import json
import platform
import sys
import time
from datetime import date
from pathlib import Path

import torch
import torchvision
from torch import nn

from course_utils.augment import Augment
from course_utils.camvid import Batches, CachedSplit, frames_to_training, load_split, read_split
from course_utils.devices import hardware, pick_device
from course_utils.encoders import LITE0, WeightsUnavailableError, create_encoder
from course_utils.layers import NORM_TYPES
from course_utils.memory import keep_freed_memory
from course_utils.segmentation import (
    cross_entropy,
    iou_by_class,
    most_common_by_position,
    most_common_class,
    predict,
    scores,
)
from course_utils.training import NonFiniteLossError, fit, freeze, unfreeze
from course_utils.unet import DynamicUnet

DATA_DIR = Path(__file__).resolve().parents[1] / "data"
AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def parser() -> argparse.ArgumentParser:
    """The command line; every default is the recipe of notebook 06."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.train_camvid",
        description="Train the hooked U-Net on CamVid (or street scenes), choose on val, and write what was measured.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    data = parse.add_argument_group("data")
    data.add_argument("--data", type=Path, help="prepared data set (default: data/camvid, else data/street_scenes)")
    data.add_argument("--size", type=int, nargs=2, default=(176, 240), metavar=("H", "W"), help="pixels")
    net = parse.add_argument_group("network")
    net.add_argument("--encoder", default=LITE0, help="efficientnet_lite0, or a torchvision classifier as resnet34")
    net.add_argument("--random", action="store_true", help="start the encoder from random weights")
    net.add_argument("--norm", default="batch", choices=[str(name) for name in NORM_TYPES], help="norm of the decoder")
    net.add_argument("--last-cross", action="store_true", help="join the input picture to the last features")
    train = parse.add_argument_group("training")
    train.add_argument("--frozen-epochs", type=int, default=0, help="epochs with the encoder frozen, first")
    train.add_argument("--epochs", type=int, default=8, help="epochs with everything trained, after that")
    train.add_argument("--batch-size", type=int, default=8)
    train.add_argument("--lr", type=float, nargs=2, default=(5e-4, 5e-3), metavar=("ENC", "DEC"), help="highest rates")
    train.add_argument("--weight-decay", type=float, default=1e-2)
    train.add_argument("--degrees", type=float, default=0.0, help="largest rotation")
    train.add_argument("--zoom", type=float, nargs=2, default=(1.0, 1.2), metavar=("MIN", "MAX"))
    train.add_argument("--light", type=float, default=0.1, help="largest change of brightness and contrast")
    train.add_argument("--seed", type=int, default=0)
    run = parse.add_argument_group("running and reporting")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    run.add_argument("--amp", default="none", choices=AMP, help="mixed precision")
    run.add_argument("--compile", action="store_true", help="torch.compile the training step")
    run.add_argument("--keep-memory", action="store_true", help="glibc: keep freed memory (faster on a CPU)")
    run.add_argument("--checkpoint", type=Path, help="file to save the run to, and to resume it from")
    run.add_argument("--test", action="store_true", help="read the test split, once, at the end")
    run.add_argument("--out", type=Path, help="write the results to this JSON file")
    run.add_argument("--save-weights", type=Path, help="write the trained weights to this file")
    return parse


def find_data(given: Path | None) -> Path:
    """The folder given, else real CamVid, else street scenes, in the repository's data folder."""
    if given is not None:
        return given
    for root in (DATA_DIR / "camvid", DATA_DIR / "street_scenes"):
        if root.is_dir():
            return root
    raise FileNotFoundError(
        "no data set is prepared; run python -m data_scripts.download_camvid or "
        "python -m data_scripts.make_street_scenes, or name a folder with --data."
    )


def build(args: argparse.Namespace, n_classes: int) -> DynamicUnet:
    """The network that the command line asks for."""
    torch.manual_seed(args.seed)
    encoder = create_encoder(args.encoder, pretrained=not args.random)
    norm = None if args.norm == "None" else args.norm
    return DynamicUnet(encoder, n_classes, tuple(args.size), norm_type=norm, last_cross=args.last_cross)


def train(args: argparse.Namespace, model: DynamicUnet, splits: dict[str, CachedSplit]) -> list[dict]:
    """Frozen epochs, then all; returns one row for each epoch, with the seconds spent in training and in scoring."""
    augment = Augment(
        degrees=args.degrees,
        zoom=tuple(args.zoom),
        brightness=args.light,
        contrast=args.light,
        void=splits["train"].void,
    )
    batches = Batches(splits["train"], args.batch_size, augment=augment, shuffle=True, drop_last=True, seed=args.seed)
    scoring_seconds = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        start = time.perf_counter()
        found = scores(predict(model, Batches(splits["val"], 2 * args.batch_size)), splits["val"])
        scoring_seconds.append(time.perf_counter() - start)
        return {f"val_{name}": value for name, value in found.items()}

    rows = []
    for stage, epochs in (("encoder frozen", args.frozen_epochs), ("all", args.epochs)):
        if not epochs:
            continue
        freeze(model.encoder) if stage == "encoder frozen" else unfreeze(model.encoder)
        history = fit(
            model,
            batches,
            epochs=epochs,
            lr=tuple(args.lr),
            weight_decay=args.weight_decay,
            loss_fn=cross_entropy(splits["train"].void),
            evaluate=evaluate,
            amp=AMP[args.amp],
            channels_last=True,
            compile=args.compile,
            checkpoint=args.checkpoint and args.checkpoint.with_suffix(f".{stage.split()[-1]}.pt"),
            seed=args.seed,
            label=stage,
        )
        rows += [{"stage": stage, **row} for row in history.epochs]
    for row, seconds in zip(rows[-len(scoring_seconds) :], scoring_seconds, strict=False):
        row["scoring_seconds"] = seconds
    return rows


def baselines(train: CachedSplit, split: CachedSplit) -> dict[str, float]:
    """Pixel accuracy of two guesses that look at no picture."""
    return {
        "most common class": scores(most_common_class(train, split), split)["accuracy"],
        "most common class at this position": scores(most_common_by_position(train, split), split)["accuracy"],
    }


def measure(args: argparse.Namespace, root: Path) -> tuple[DynamicUnet, dict]:
    """Train and score one network; the dict holds everything that the figures depend on."""
    device = pick_device(args.device)
    size = tuple(args.size)
    names = ("train", "val", "test") if args.test else ("train", "val")
    splits = {name: load_split(root, name, size, device) for name in names}
    model = build(args, len(splits["train"].codes)).to(device)
    rows = train(args, model, splits)
    result = {
        "command": _command(args),
        "date": date.today().isoformat(),
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
        "data": {"name": root.name, **{name: len(split) for name, split in splits.items()}},
        "encoder": args.encoder,
        "pretrained": not args.random,
        "size": list(size),
        "seed": args.seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training_seconds": sum(row["seconds"] - row.get("scoring_seconds", 0) for row in rows),
        "epochs": rows,
    }
    for name in names[1:]:
        prediction = predict(model, Batches(splits[name], 2 * args.batch_size))
        gaps = frames_to_training(splits[name].stems, read_split(root, "train"))
        result[name] = {
            "frames_to_training": gaps,
            **scores(prediction, splits[name]),
            "iou": iou_by_class(prediction, splits[name]),
            "baselines": baselines(splits["train"], splits[name]),
        }
    return model, result


def _command(args: argparse.Namespace) -> str:
    """The command again, without the options that say where things lie on one machine."""
    default = parser().parse_args([])
    words = ["python -m course_utils.train_camvid"]
    for name, value in vars(args).items():
        if name in ("data", "out", "checkpoint", "save_weights", "device") or value == getattr(default, name):
            continue
        flag = "--" + name.replace("_", "-")
        values = [] if value is True else value if isinstance(value, (list, tuple)) else [value]
        words.append(" ".join([flag, *map(str, values)]))
    return " ".join(words)


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
    for path in (args.out, args.save_weights, args.checkpoint):
        if path is not None and not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{path.parent} is no folder; make it first, or name another file.")
    if args.frozen_epochs < 0 or args.epochs < 0 or args.frozen_epochs + args.epochs == 0:
        raise ValueError(f"--frozen-epochs {args.frozen_epochs} --epochs {args.epochs} leaves nothing to train.")
    if min(args.size) < 32:
        raise ValueError(f"--size {args.size[0]} {args.size[1]} is too small; both need at least 32 pixels.")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    try:
        _check(args)
        root = find_data(args.data)
        if args.keep_memory:
            keep_freed_memory()
        model, result = measure(args, root)
    except (OSError, ValueError, RuntimeError, WeightsUnavailableError, NonFiniteLossError) as error:
        print(f"train_camvid: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"train_camvid: {stop or 'stopped'}", file=sys.stderr)
        return 130
    print(summary(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")
    if args.save_weights:
        torch.save(model.state_dict(), args.save_weights)
    return 0


if __name__ == "__main__":
    sys.exit(main())
