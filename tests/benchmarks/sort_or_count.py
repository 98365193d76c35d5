"""Is the Lovász term quicker by sorting or by counting errors? ``python -m tests.benchmarks.sort_or_count --help``."""

import argparse
import functools
import sys

import torch

from course_utils.command_line import exit_status, usable_device
from course_utils.segmentation_losses import LEVELS, lovasz_softmax
from tests.benchmarks._networks import N_OUT
from tests.benchmarks._report import add_common_options, check_common_options, write_record
from tests.benchmarks._timing import CLOCKS, ratios, seconds_of, spread, take_turns

PATCH = 20
"""Sides of the patches that the masks are made of, in pixels."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.sort_or_count",
        description="Time the Lovász term and its gradient, by sorting all errors and by counting them in levels.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--size", type=int, nargs=2, default=(360, 480), metavar=("H", "W"), help="pixels")
    parse.add_argument("--batch-size", type=int, default=4, help="pictures at a time")
    parse.add_argument("--rounds", type=int, default=9, help="rounds that count; one more warms up")
    parse.add_argument("--clock", choices=CLOCKS, default="wall", help="processor time: where other programs run too")
    add_common_options(parse)
    return parse


def measure(args: argparse.Namespace, device: torch.device) -> dict:
    """Seconds of both ways, how they compare, and how far their values lie apart, at most."""
    generator = torch.Generator().manual_seed(0)
    down, across = (-(-side // PATCH) for side in args.size)
    target = torch.randint(0, N_OUT, (args.batch_size, down, across), generator=generator)
    target = target.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)[:, : args.size[0], : args.size[1]]
    known = 4 * torch.nn.functional.one_hot(target, N_OUT).movedim(-1, 1)
    logits = (known + torch.randn(known.shape, generator=generator)).to(device)
    logits, target = logits.contiguous(memory_format=torch.channels_last).requires_grad_(), target.to(device)

    def once(levels: int | None) -> None:
        logits.grad = None
        lovasz_softmax(logits, target, levels=levels).sum().backward()

    ways = {"sorting": None, "counting": LEVELS}
    works = {
        name: functools.partial(seconds_of, functools.partial(once, levels), device) for name, levels in ways.items()
    }
    samples = take_turns(works, args.rounds)
    with torch.no_grad():
        exact, counted = (lovasz_softmax(logits, target, levels=levels) for levels in ways.values())
    faster = ratios(samples, "sorting", args.clock)
    return {
        "levels": LEVELS,
        "ways": {
            name: {"seconds": spread([sample[args.clock] for sample in own]), "times_faster": faster[name]}
            for name, own in samples.items()
        },
        "values_apart": (exact - counted).abs().max().item(),
    }


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    return exit_status("sort_or_count", functools.partial(run, args))


def run(args: argparse.Namespace) -> None:
    """Check, measure, write and print."""
    check_common_options(args, "batch_size", "rounds")
    if min(args.size) < 1:
        raise ValueError(f"--size {args.size[0]} {args.size[1]} has no pixels.")
    device = usable_device(args.device)
    torch.set_num_threads(args.threads)
    result = write_record(parser(), args, device, measure(args, device))
    for name, found in result["ways"].items():
        times = "{median:.2f} ({low:.2f}..{high:.2f})".format(**found["times_faster"])
        print(f"{name:10s} {found['seconds']['median']:.4f} s   {times} times as fast")
    print(f"values apart by {result['values_apart']:.1e} at most")


if __name__ == "__main__":
    sys.exit(main())
