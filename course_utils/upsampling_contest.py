"""Nine ways to double the grid, in one small network, on the same photographs, seeds and steps: which is best?

In Jupyter: notebook 04. Without it: ``python -m course_utils.upsampling_contest --help``.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, median, stdev

import torch
from torch import nn

from course_utils.command_line import check_files, check_seeds, exit_status, usable_device
from course_utils.experiments.enlarger import (
    LR,
    SCHEMES,
    STEPS,
    WIDTH,
    Enlarger,
    costs,
    equal_macs,
    one_thread,
    training,
)
from course_utils.experiments.enlarger_scores import Photographs, Result, enlarge, score, true_energy
from course_utils.files import write_json
from course_utils.progress import progress_bar
from course_utils.upsampling import checkerboard_energy

FIXED = {"no network: nearest": "nearest-exact", "no network: bicubic": "bicubic"}
SEEDS = (0, 1, 2)
ROUNDS = 15
"""So often each network is timed."""


def baselines(photographs: Photographs) -> list[Result]:
    """Enlarging without a network."""
    results = []
    for name, mode in FIXED.items():
        network = nn.Upsample(scale_factor=2, mode=mode)
        results.append(Result(name, **{key: [value] for key, value in score(network, photographs).items()}))
    return results


def contest(
    photographs: Photographs,
    widths: Mapping[str, int] | None = None,
    *,
    seeds: Sequence[int] = SEEDS,
    steps: int = STEPS,
    lr: float = LR,
    known: Iterable[Result] = (),
) -> list[Result]:
    """Train every scheme once for each seed, on the device of the photographs, and measure it.

    On a CPU as many trainings run at a time as PyTorch may use threads, each on one: their results do not change.

    Args:
        widths: by scheme; `WIDTH` for all if not given.
        known: results of another contest with the same photographs, seeds, steps and rate. Schemes that have the same
            width there are not trained again; only their time is taken anew, beside the others of this contest.

    Raises:
        FloatingPointError: if `lr` makes a network diverge.
    """
    widths = dict.fromkeys(SCHEMES, WIDTH) if widths is None else widths
    done = {(result.scheme, result.width): replace(result) for result in known}
    results = {
        name: done.get((name, width)) or Result(name, width, *costs(name, width)) for name, width in widths.items()
    }
    device = photographs.train.full.device
    runs = [(seed, name) for seed in seeds for name, width in widths.items() if (name, width) not in done]
    networks = [Enlarger(name, widths[name], seed).to(device) for seed, name in runs]  # all draw from one generator

    def measured(network: Enlarger, seed: int) -> dict[str, float]:
        torch.set_num_threads(1)  # OpenMP counts for each thread of Python apart
        before = checkerboard_energy(enlarge(network, photographs.soft))
        network.to(memory_format=torch.channels_last)  # the same maths, faster; its time is taken as PyTorch runs it
        for _ in training(network, photographs.train, steps=steps, lr=lr, seed=seed):
            pass
        if not all(parameter.isfinite().all() for parameter in network.parameters()):
            raise FloatingPointError(f"with lr={lr} a network's weights became infinite or nan; lower it.")
        network.to(memory_format=torch.contiguous_format)
        return {"before": before, **score(network, photographs)}

    at_a_time = torch.get_num_threads() if device.type == "cpu" else 1
    with one_thread(), ThreadPoolExecutor(at_a_time) as pool:
        found = progress_bar(pool.map(measured, networks, [seed for seed, _ in runs]), total=len(runs))
        for (_, name), network, scores in zip(runs, networks, found, strict=True):
            for key, value in scores.items():
                getattr(results[name], key).append(value)
            results[name].network = results[name].network or network
        for name, duration in durations({name: r.network for name, r in results.items()}).items():
            results[name].time = duration
    return list(results.values())


@torch.no_grad()
def durations(networks: Mapping[str, nn.Module]) -> dict[str, float]:
    """Median time of enlarging 128 × 128 pixels, as a multiple of the shortest; the networks take turns."""
    device = next(next(iter(networks.values())).parameters()).device
    x, times = torch.rand(1, 3, 128, 128, device=device), {name: [] for name in networks}
    for _ in range(ROUNDS + 1):
        for name, network in networks.items():
            start = time.perf_counter()
            network(x).sum().item()  # .item() waits for a GPU
            times[name].append(time.perf_counter() - start)
    medians = {name: median(values[1:]) for name, values in times.items()}
    return {name: value / min(medians.values()) for name, value in medians.items()}


def all_above(values: Sequence[float], others: Sequence[float]) -> bool:
    """Whether the difference is larger than its spread over seeds: the smallest here exceeds the largest there."""
    return min(values) > max(others)


def table(results: Iterable[Result]) -> str:
    """Two blocks, a row for each result: quality, mean ± standard deviation over the seeds, and what it costs."""
    results = list(results)
    forms = {"psnr": ".2f", "ssim": ".4f", "before": ".3f", "after": ".4f", "plain": ".2f"}
    quality = {r.scheme: [_spread(getattr(r, key), form) for key, form in forms.items()] for r in results}
    cost = {r.scheme: [f"{r.parameters:,}", f"{r.macs:,}", str(r.width), f"{r.time:.1f}"] for r in results if r.width}
    heads = (
        ("PSNR (dB)", "SSIM", "energy before", "after", "plain colours"),
        ("parameters", "MACs/pixel", "width", "time"),
    )
    blocks = [_block(heads[0], quality, 16), _block(heads[1], cost, 12)]
    return "\n\n".join(blocks if cost else blocks[:1])


def _block(heads: Sequence[str], rows: Mapping[str, Sequence[str]], width: int) -> str:
    lines = [
        f"{name:21}" + "".join(f"{cell:>{width}}" for cell in cells) for name, cells in {"": heads, **rows}.items()
    ]
    return "\n".join(line.rstrip() for line in lines)


def _spread(values: Sequence[float], form: str) -> str:
    if len(values) < 2:
        return format(values[0], form) if values else ""
    return f"{mean(values):{form}} ± {stdev(values):{form}}"


def parser() -> argparse.ArgumentParser:
    """The command line; every default is what notebook 04 runs."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.upsampling_contest",
        description="Train nine upsampling schemes on photographs that installed packages ship, and compare them.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--steps", type=int, default=STEPS, help="of training")
    parse.add_argument("--lr", type=float, default=LR, help="highest learning rate")
    parse.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="one training for each")
    parse.add_argument("--width", type=int, default=WIDTH, help="channels of each network")
    parse.add_argument("--equal-macs", action="store_true", help="widen each network to the cost of nearest + conv")
    parse.add_argument("--split", choices=("val", "test"), default="test", help="photographs to score")
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parse.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the contest as the command line asks and print its table; returns the exit status."""
    args = parser().parse_args(arguments)
    return exit_status("upsampling_contest", lambda: _run(args, _check(args)))


def _check(args: argparse.Namespace) -> torch.device:
    for name in ("steps", "width"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} {getattr(args, name)} is not a whole number of at least 1.")
    if not 0 < args.lr < math.inf:
        raise ValueError(f"--lr {args.lr} is not a positive learning rate.")
    check_seeds(args.seeds)
    check_files([args.json] if args.json else [])
    return usable_device(args.device)


def _run(args: argparse.Namespace, device: torch.device) -> None:
    photographs = Photographs.load(args.split, device)
    budget = costs("nearest + conv", args.width)[1]
    widths = equal_macs(budget) if args.equal_macs else dict.fromkeys(SCHEMES, args.width)
    results = contest(photographs, widths, seeds=args.seeds, steps=args.steps, lr=args.lr)
    print(table([*baselines(photographs), *results]))
    print(f"checkerboard energy of the true soft photographs: {true_energy(photographs):.4f}")
    if args.json:
        rows = [{k: v for k, v in asdict(replace(r, network=None)).items() if k != "network"} for r in results]
        settings = {"steps": args.steps, "lr": args.lr, "seeds": list(args.seeds), "split": args.split}
        write_json(args.json, {**settings, "results": rows})


if __name__ == "__main__":
    sys.exit(main())
