"""Does the training step ever wait for data? ``python -m tests.benchmarks.data_stall --help``."""

import argparse
import functools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from course_utils.augment import Augment
from course_utils.camvid import Batches, load_split
from course_utils.command_line import add_data_option, exit_status, find_data, usable_device
from course_utils.encoders import LITE0, create_encoder
from course_utils.experiments.ablations import RECIPE_OPTIONS
from course_utils.optimisation import adamw
from course_utils.segmentation import cross_entropy
from course_utils.unet import DynamicUnet
from tests.benchmarks._report import add_common_options, check_common_options, write_record
from tests.benchmarks._timing import CLOCKS, seconds_of, spread


def waiting(
    batches: Iterable, step: Callable[[object], object], steps: int, device: torch.device, clock: str
) -> list[tuple[float, float]]:
    """Seconds of getting a batch, and of the step on it, for `steps` batches after a first that does not count.

    Each is waited for, so nothing overlaps: on a GPU this counts more waiting than there is.
    """
    found, source, batch = [], iter(batches), None

    def fetch() -> None:
        nonlocal source, batch
        batch = next(source, None)
        if batch is None:
            source = iter(batches)
            batch = next(source)

    for _ in range(steps + 1):
        data = seconds_of(fetch, device)[clock]
        found.append((data, seconds_of(lambda: step(batch), device)[clock]))
    return found[1:]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.data_stall",
        description="Measure which share of a training step goes into getting the batch: shuffled, augmented and "
        "normalised out of the cache on the device.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_data_option(parse)
    parse.add_argument("--encoder", default=LITE0, help="the cheaper the network, the harder the test")
    parse.add_argument("--size", type=int, nargs=2, default=(180, 240), metavar=("H", "W"), help="pixels")
    parse.add_argument("--batch-size", type=int, default=8, help="pictures in a step")
    parse.add_argument("--steps", type=int, default=10, help="steps that are timed")
    parse.add_argument("--clock", choices=CLOCKS, default="wall", help="processor time: where other programs run too")
    add_common_options(parse)
    return parse


def measure(args: argparse.Namespace, root: Path, device: torch.device) -> dict:
    """Share of each step that goes into its data."""
    train = load_split(root, "train", tuple(args.size), device)
    options = RECIPE_OPTIONS | {"tail": "unshuffle"}
    model = DynamicUnet(create_encoder(args.encoder, pretrained=False), len(train.codes), tuple(args.size), **options)
    model.to(device, memory_format=torch.channels_last)
    optimizer = adamw([(list(model.parameters()), 1e-4)], weight_decay=1e-2)
    loss_fn = cross_entropy(train.void)

    def step(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        images, masks = batch
        loss = loss_fn(model(images.contiguous(memory_format=torch.channels_last)), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    batches = Batches(train, args.batch_size, augment=Augment(void=train.void), shuffle=True, drop_last=True)
    pairs = waiting(batches, step, args.steps, device, args.clock)
    return {
        "pictures": len(train),
        "share_of_data": spread([data / (data + work) for data, work in pairs]),
        "seconds_of_data": spread([data for data, _ in pairs]),
        "seconds_of_step": spread([work for _, work in pairs]),
    }


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    return exit_status("data_stall", functools.partial(run, args))


def run(args: argparse.Namespace) -> None:
    """Check, measure, write and print."""
    check_common_options(args, "steps")
    device = usable_device(args.device)
    torch.set_num_threads(args.threads)
    found = measure(args, find_data(getattr(args, "data", None)), device)
    result = write_record(parser(), args, device, found, places=("data", "out", "device"))
    share = result["share_of_data"]
    print(f"data: {share['median']:.1%} of the time ({share['low']:.1%} to {share['high']:.1%} between quartiles)")


if __name__ == "__main__":
    sys.exit(main())
