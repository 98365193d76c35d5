"""What are surroundings worth? Small networks that see one pixel or 31 × 31, told where they are or not.

In Jupyter, with few steps: notebook 01. Trained for longer: ``python -m course_utils.context_contest --help``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.camvid import CachedSplit, load_split, normalise
from course_utils.command_line import (
    add_data_option,
    check_files,
    check_seeds,
    command_again,
    exit_status,
    find_data,
    provenance,
    usable_device,
)
from course_utils.files import read_record, update_record
from course_utils.memory import keep_freed_memory
from course_utils.metrics import pixel_accuracy
from course_utils.progress import progress_bar
from course_utils.segmentation import cross_entropy, predict

FORMAT = "context, version 1"
SIZE, BATCH_SIZE, LR = (90, 120), 4, 0.01
DESIGNS = {1: ((0, 0, 0, 0), 70), 31: ((1, 2, 4, 8), 24)}
"""By the side of the window that the network sees: dilations of its layers (0: a 1 × 1 convolution), and its width."""


class ContextNet(nn.Module):
    """Four layers on the full grid that see `field` × `field` pixels: ``(N, 3, H, W)`` to ``(N, n_out, H, W)``.

    Args:
        field: 1 or 31; both have about as many weights.
        place: give it row and column, from -1 to 1, as two more channels.
        n_out: classes.
    """

    def __init__(self, field: int, place: bool, n_out: int) -> None:
        super().__init__()
        dilations, width = DESIGNS[field]
        self.place, channels, layers = place, 5 if place else 3, []
        for dilation in dilations:
            side = 3 if dilation else 1
            conv = nn.Conv2d(channels, width, side, padding=dilation, dilation=max(dilation, 1))
            layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, n_out, 1)).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        if self.place:
            rows, columns = (torch.linspace(-1, 1, side, device=x.device) for side in x.shape[2:])
            place = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
            x = torch.cat([x, place.expand(len(x), -1, -1, -1)], dim=1)
        return self.layers(x)


def train(net: nn.Module, split: CachedSplit, steps: int, label: str = "") -> None:
    """The loop of notebook 01, in place: AdamW, one cycle of the learning rate, the same batches for every network."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=LR, total_steps=steps)
    generator, loss_fn = torch.Generator().manual_seed(0), cross_entropy(split.void)
    net.train()
    for _ in progress_bar(range(steps), desc=label, unit="step"):
        batch = torch.randint(len(split), (BATCH_SIZE,), generator=generator)
        loss = loss_fn(net(normalise(split.images[batch])), split.masks[batch].long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def measure(field: int, place: bool, seed: int, splits: dict[str, CachedSplit], steps: int) -> dict:
    """Train one network from `seed`, and score it on val: a row of the record."""
    training, val = splits["train"], splits["val"]
    torch.manual_seed(seed)
    net = ContextNet(field, place, len(training.codes)).to(training.images.device)
    name = f"{field} × {field}{' and place' if place else ''}, seed {seed}"
    train(net, training, steps, name)
    batches = [(normalise(part), None) for part in val.images.split(8)]
    accuracy = pixel_accuracy(predict(net, batches), val.masks, val.void)
    print(f"{name}: {accuracy:.1%} of val")
    return {"field": field, "place": place, "seed": seed, "accuracy": accuracy}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.context_contest",
        description="Train small networks that see one pixel or 31 × 31, told where they are or not, and score on val.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--steps", type=int, default=800, help="of training")
    parse.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training of each network for each")
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add_data_option(parse)
    parse.add_argument("--out", type=Path, required=True, metavar="FILE", help="a JSON record; seeds add up in it")
    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and score as the command line asks, and keep the record; returns the exit status."""
    parse = parser()
    args = parse.parse_args(arguments)
    return exit_status("context_contest", lambda: _run(parse, args), "runs that ended are in the record")


def _run(parse: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.steps < 1:
        raise ValueError(f"--steps {args.steps} is not a whole number of at least 1.")
    check_seeds(args.seeds)
    check_files([args.out])
    device, root = usable_device(args.device), find_data(getattr(args, "data", None))
    settings = {"data": root.name, "size": list(SIZE), "steps": args.steps, "batch_size": BATCH_SIZE, "lr": LR}
    if args.out.exists() and read_record(args.out, FORMAT).get("settings") != settings:
        raise ValueError(f"{args.out} holds runs with other settings than {settings}; name another file.")
    keep_freed_memory()
    splits = {name: load_split(root, name, SIZE, device) for name in ("train", "val")}
    command = command_again(parse, args, ("data", "device", "out", "seeds"))

    def add(run: dict, record: dict) -> None:
        others = [old for old in record.get("runs", []) if any(old[k] != run[k] for k in ("field", "place", "seed"))]
        runs = sorted([*others, run], key=lambda each: (each["place"], each["field"], each["seed"]))
        record |= {"command": command, "settings": settings, "runs": runs}

    for seed in args.seeds:
        for place in (False, True):
            for field in DESIGNS:
                run = measure(field, place, seed, splits, args.steps) | provenance(device)
                update_record(args.out, FORMAT, lambda record, run=run: add(run, record))


if __name__ == "__main__":
    sys.exit(main())
