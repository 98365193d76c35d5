"""What a step of AdamW takes, by PyTorch and by the course: ``python -m tests.benchmarks.optimizer_step --help``."""

import argparse
import copy
import functools
import sys

import torch

from course_utils.command_line import exit_status, usable_device
from course_utils.fused_adamw import FusedAdamW
from tests.benchmarks._networks import LEARNING_RATE, Contender, build
from tests.benchmarks._report import add_common_options, check_common_options, write_record
from tests.benchmarks._timing import CLOCKS, ratios, seconds_of, spread, take_turns

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SIZE = (64, 64)
WAYS = {
    "PyTorch's AdamW": torch.optim.AdamW,
    "the same, fused": functools.partial(torch.optim.AdamW, fused=True),
    "the course's": FusedAdamW,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.optimizer_step",
        description="Time the optimiser's step on the weights of the U-Net around ResNet-34, in two memory formats.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--rounds", type=int, default=9, help="rounds that count; one more warms up")
    parse.add_argument("--clock", choices=CLOCKS, default="wall", help="processor time: where other programs run too")
    add_common_options(parse)
    return parse


def measure(args: argparse.Namespace, device: torch.device) -> dict:
    """Seconds of a step each way in each memory format, and how they compare; how far the weights end up apart."""
    network = build(Contender("course"), SIZE)
    works, weights = {}, {}
    for layout, memory_format in FORMATS.items():
        for name, kind in WAYS.items():
            model = copy.deepcopy(network).to(device, memory_format=memory_format)
            generator = torch.Generator().manual_seed(0)
            for parameter in model.parameters():
                grad = torch.randn(parameter.shape, generator=generator).to(device)
                parameter.grad = torch.empty_like(parameter).copy_(grad)
            optimizer = kind(model.parameters(), LEARNING_RATE)
            works[f"{name}, {layout}"] = functools.partial(seconds_of, optimizer.step, device)
            weights[f"{name}, {layout}"] = list(model.parameters())
    samples = take_turns(works, args.rounds)
    reference = next(iter(works))
    faster = ratios(samples, reference, args.clock)
    return {
        "parameters": sum(parameter.numel() for parameter in weights[reference]),
        "ways": {
            name: {
                "seconds": spread([sample[args.clock] for sample in own]),
                "times_faster": faster[name],
                "weights_apart": max(
                    (a - b).abs().max().item() for a, b in zip(weights[name], weights[reference], strict=True)
                ),
            }
            for name, own in samples.items()
        },
    }


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    return exit_status("optimizer_step", functools.partial(run, args))


def run(args: argparse.Namespace) -> None:
    """Check, measure, write and print."""
    check_common_options(args, "rounds")
    device = usable_device(args.device)
    torch.set_num_threads(args.threads)
    result = write_record(parser(), args, device, measure(args, device))
    for name, found in result["ways"].items():
        times = "{median:.2f} ({low:.2f}..{high:.2f})".format(**found["times_faster"])
        print(f"{name:32s} {1e3 * found['seconds']['median']:6.1f} ms   {times} times as fast", end="   ")
        print(f"weights apart by {found['weights_apart']:.0e} at most")


if __name__ == "__main__":
    sys.exit(main())
