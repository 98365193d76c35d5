"""What dense gradients in one memory format save: ``python -m tests.benchmarks.gradient_format --help``."""

import argparse
import functools
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from unittest import mock

import torch
from torch import Tensor

from course_utils import unet, unet_block
from course_utils.command_line import exit_status, usable_device
from course_utils.memory import keep_freed_memory
from course_utils.segmentation_losses import LovaszCrossEntropy
from tests.benchmarks._networks import ENCODERS, NORMS, Contender, Runner
from tests.benchmarks._report import add_common_options, check_batch, check_common_options, write_record
from tests.benchmarks._timing import CLOCKS, ratios, seconds_of, spread, take_turns

WAYS = {"as they come": False, "matched": True}
"""Gradients of batch norm, and whether `course_utils.memory_format.match_gradient_format` has its effect."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.gradient_format",
        description="Time training steps in bfloat16 whose batch norms get gradients as they come, or matched.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--encoder", choices=ENCODERS, default="resnet34", help="of all networks")
    parse.add_argument("--norm", choices=NORMS, default="none", help="of the decoder's convolutions")
    parse.add_argument("--size", type=int, nargs=2, default=(180, 240), metavar=("H", "W"), help="pixels")
    parse.add_argument("--batch-size", type=int, default=2, help="pictures in a step")
    parse.add_argument("--rounds", type=int, default=9, help="rounds that count; one more warms up")
    parse.add_argument("--clock", choices=CLOCKS, default="wall", help="processor time: where other programs run too")
    add_common_options(parse)
    return parse


def networks(args: argparse.Namespace, device: torch.device) -> dict[str, Runner]:
    """Three of them, each with its batch, ready for a step."""
    full = Contender(
        "course",
        args.encoder,
        args.norm,
        channels_last=True,
        fused=True,
        keep_memory=True,
        depthwise=device.type == "cpu",
        amp="bf16",
    )
    cheap = replace(full, tail="unshuffle", block="bottleneck")
    kinds = {"full decoder": full, "cheap decoder": cheap, "cheap decoder, Lovász term": cheap}
    made = {name: Runner(kind, tuple(args.size), args.batch_size, device) for name, kind in kinds.items()}
    made["cheap decoder, Lovász term"].loss_fn = LovaszCrossEntropy(0.5).to(device)
    return made


def step(runner: Runner, matched: bool) -> None:
    """One training step; gradients come as they are where they are not `matched`."""
    if matched:
        return runner.train()
    with ExitStack() as patches:
        for module in (unet, unet_block):
            patches.enter_context(mock.patch.object(module, "match_gradient_format", _as_it_is))
        return runner.train()


def _as_it_is(x: Tensor) -> Tensor:
    return x


def measure(runner: Runner, rounds: int, clock: str, device: torch.device) -> dict:
    """Seconds of a step both ways, and how many times as fast the second is."""
    works: dict[str, Callable[[], dict[str, float]]] = {
        name: functools.partial(seconds_of, functools.partial(step, runner, matched), device)
        for name, matched in WAYS.items()
    }
    samples = take_turns(works, rounds)
    seconds = {name: spread([sample[clock] for sample in own]) for name, own in samples.items()}
    return {"seconds": seconds, "times_faster": ratios(samples, "as they come", clock)["matched"]}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    return exit_status("gradient_format", functools.partial(run, args))


def run(args: argparse.Namespace) -> None:
    """Check, measure, write and print."""
    check_common_options(args, "batch_size", "rounds")
    check_batch(args)
    device = usable_device(args.device)
    torch.set_num_threads(args.threads)
    if device.type == "cpu":
        keep_freed_memory()
    found = {name: measure(runner, args.rounds, args.clock, device) for name, runner in networks(args, device).items()}
    write_record(parser(), args, device, {"networks": found})
    for name, own in found.items():
        before, after = (own["seconds"][way]["median"] for way in WAYS)
        times = "{median:.2f} ({low:.2f}..{high:.2f})".format(**own["times_faster"])
        print(f"{name:28s} {before:.3f} s, matched {after:.3f} s   {times} times as fast")


if __name__ == "__main__":
    sys.exit(main())
