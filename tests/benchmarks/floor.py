"""How far from the machine's limits a network runs: ``python -m tests.benchmarks.floor --help``."""

import argparse
import functools
import sys
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils.command_line import exit_status, usable_device
from course_utils.unet import TAILS
from course_utils.unet_block import BLOCKS, MIDDLES
from tests.benchmarks._networks import ENCODERS, LIBRARIES, Contender, Runner
from tests.benchmarks._report import (
    add_common_options,
    check_batch,
    check_common_options,
    check_libraries,
    write_record,
)
from tests.benchmarks._timing import CLOCKS, seconds_of

BYTES = 4
TIMES_PARAMETERS_MOVE = 10
"""Read forward and backward, gradient written; AdamW reads both and two moments, and writes parameter and moments."""
SIDE = 2048
COPIED = 2**28


def count_macs(work: Callable[[], object]) -> int:
    """Multiplications with addition in the convolutions and matrix products of `work`, backward passes included."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() // 2


def activation_bytes(model: nn.Module, images: Tensor) -> int:
    """Bytes of what the layers of `model` return in one forward pass, each read or written once, in float32."""
    total = 0

    def add(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * BYTES

    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [module.register_forward_hook(add) for module in leaves]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return total


def fastest(work: Callable[[], object], device: torch.device, clock: str, repeats: int = 5) -> float:
    """Seconds of the fastest of some repeats: a rate of the machine, not of what disturbs it."""
    work()
    return min(seconds_of(work, device)[clock] for _ in range(repeats))


def machine_rates(device: torch.device, clock: str) -> dict[str, float]:
    """MACs a second of a large matrix product, and of a convolution of the network; bytes a second of a copy."""
    a, b = torch.randn(2, SIDE, SIDE, device=device)
    convolution = nn.Conv2d(64, 64, 3, padding=1, device=device).to(memory_format=torch.channels_last)
    x = torch.randn(4, 64, 96, 128, device=device).contiguous(memory_format=torch.channels_last)
    source = torch.empty(COPIED // BYTES, device=device).fill_(1.0)
    target = torch.empty_like(source)
    with torch.no_grad():
        product = fastest(lambda: a @ b, device, clock)
        convolved = fastest(lambda: convolution(x), device, clock)
        copied = fastest(lambda: target.copy_(source), device, clock)
    return {
        "matrix_macs_per_second": SIDE**3 / product,
        "convolution_macs_per_second": x.numel() * 64 * 9 / convolved,
        "bytes_per_second": 2 * COPIED / copied,
    }


def floor_of(macs: int, moved: int, rates: dict[str, float]) -> dict[str, float]:
    """Seconds of the arithmetic alone at the machine's best rate, and of the traffic alone at the rate of a copy."""
    best = max(rates["matrix_macs_per_second"], rates["convolution_macs_per_second"])
    return {"arithmetic": macs / best, "traffic": moved / rates["bytes_per_second"]}


def measure(runner: Runner, rates: dict[str, float], clock: str, steps: int) -> dict:
    """Work of a training step, its time, and how many times that is above either floor."""
    runner.train()  # what is made once, such as the optimiser's state, is made
    macs = count_macs(runner.train)
    # Forward writes each activation; backward reads it and writes its gradient.
    moved = 3 * activation_bytes(runner.model, runner.images)
    moved += TIMES_PARAMETERS_MOVE * BYTES * sum(parameter.numel() for parameter in runner.model.parameters())
    seconds = median(seconds_of(runner.train, runner.device)[clock] for _ in range(steps))
    floors = floor_of(macs, moved, rates)
    return {
        "macs": macs,
        "bytes": moved,
        "seconds": seconds,
        "floor_seconds": floors,
        "times_above": {name: seconds / floor for name, floor in floors.items()},
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.floor",
        description="Count what a training step multiplies and moves, measure what the machine can multiply and move, "
        "and divide. Bytes are a lower bound, in float32: activations once forward and twice backward, parameters ten "
        "times.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--library", choices=LIBRARIES, default="course", help="whose network")
    parse.add_argument("--encoder", choices=ENCODERS, default="resnet34", help="of the network")
    parse.add_argument("--block", choices=BLOCKS, default="double_conv", help="of the course's network")
    parse.add_argument("--tail", choices=TAILS, default="full", help="of the course's network")
    parse.add_argument("--middle", choices=MIDDLES, default="double_conv", help="of the course's network")
    parse.add_argument("--size", type=int, nargs=2, default=(180, 240), metavar=("H", "W"), help="pixels")
    parse.add_argument("--batch-size", type=int, default=2, help="pictures in a step")
    parse.add_argument("--steps", type=int, default=5, help="steps that are timed")
    parse.add_argument("--clock", choices=CLOCKS, default="wall", help="processor time: where other programs run too")
    add_common_options(parse)
    return parse


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    return exit_status("floor", functools.partial(run, args))


def run(args: argparse.Namespace) -> None:
    """Check, measure, write and print."""
    check_common_options(args, "batch_size", "steps")
    check_batch(args)
    check_libraries({args.library})
    device = usable_device(args.device)
    torch.set_num_threads(args.threads)
    options = {"tail": args.tail, "block": args.block, "middle": args.middle}
    contender = Contender(args.library, args.encoder, **options, channels_last=True, fused=True)
    rates = machine_rates(device, args.clock)
    found = measure(Runner(contender, tuple(args.size), args.batch_size, device), rates, args.clock, args.steps)
    network = f"U-Net around {args.encoder}"
    write_record(parser(), args, device, {"network": network, "machine": rates, "training_step": found})
    above = found["times_above"]
    print(f"{found['macs'] / 1e9:.1f} GMAC, {found['bytes'] / 1e9:.2f} GB, {found['seconds']:.3f} s a training step")
    print(f"machine: {', '.join(f'{name} {rate / 1e9:.1f} G' for name, rate in rates.items())}")
    print(f"{above['arithmetic']:.2f} × the arithmetic alone, {above['traffic']:.2f} × the traffic alone")


if __name__ == "__main__":
    sys.exit(main())
