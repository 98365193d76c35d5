"""Eight ways to double the grid, in one small network, on the same photographs, seeds and steps: which is best?

In Jupyter: notebook 04. Without it: ``python -m course_utils.upsampling_contest --help``.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, median, stdev

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.v2.functional import gaussian_blur

from course_utils.checks import check_choice
from course_utils.command_line import check_files, check_seeds, exit_status, usable_device
from course_utils.experiments.photographs import PHOTOGRAPHS, patches
from course_utils.files import write_json
from course_utils.metrics import psnr, ssim
from course_utils.progress import progress_bar
from course_utils.upsampling import checkerboard_energy, make_upsampler

SCHEMES: dict[str, dict] = {
    "transposed k2": {"name": "transposed", "kernel_size": 2},
    "transposed k3": {"name": "transposed", "kernel_size": 3},
    "transposed k4": {"name": "transposed", "kernel_size": 4},
    "nearest + conv": {"name": "nearest"},
    "bilinear + conv": {"name": "bilinear"},
    "shuffle": {"name": "pixel_shuffle", "icnr": False},
    "shuffle + ICNR": {"name": "pixel_shuffle"},
    "shuffle + ICNR + blur": {"name": "pixel_shuffle", "blur": True},
}
"""By the name in the table: what `make_upsampler` is asked for. Their own activation is left out."""

FIXED = {"no network: nearest": "nearest-exact", "no network: bicubic": "bicubic"}
WIDTH, STEPS, LR, BATCH_SIZE, SEEDS = 16, 500, 0.02, 8, (0, 1, 2)
WIDEST = 128
PATCH, TEST_PATCH, BORDER = 32, 144, 8
BLUR_SIGMA = 4.0
CONTRAST = 4.0
"""Pixels from 0 to 1 become -2 to 2 inside the network: numbers as large as its weights expect."""


@dataclass
class Pairs:
    """Photographs ``(N, 3, H, W)`` from 0 to 1, and the same reduced."""

    full: Tensor
    small: Tensor

    @classmethod
    def of(cls, full: Tensor, scale: int = 2) -> "Pairs":
        """Reduce by antialiased bicubic interpolation, which is the usual test of enlarging."""
        size = [side // scale for side in full.shape[-2:]]
        small = F.interpolate(full, size, mode="bicubic", align_corners=False, antialias=True)
        return cls(full, small.clamp(0, 1))


@dataclass
class Photographs:
    """What the contest runs on: `train` pairs, `sharp` ones to score, and `soft` ones, the same but out of focus.

    A photograph has differences between neighbours of its own. Out of focus it has next to none, so what
    `checkerboard_energy` finds in the enlargement of a soft picture was put there by the network.
    """

    train: Pairs
    sharp: Pairs
    soft: Pairs

    @classmethod
    def load(
        cls, split: str = "test", device: str | torch.device = "cpu", *, n_train: int = 600, n_scored: int = 12
    ) -> "Photographs":
        """Patches of the photographs that installed packages ship; scored on `split`, ``"val"`` or ``"test"``."""
        check_choice("split", split, ("val", "test"))
        train = patches(PHOTOGRAPHS["train"], PATCH, n_train).to(device).float() / 255
        sharp = patches(PHOTOGRAPHS[split], TEST_PATCH, n_scored).to(device).float() / 255
        size = 6 * round(BLUR_SIGMA) + 1
        return cls(Pairs.of(train), Pairs.of(sharp), Pairs.of(gaussian_blur(sharp, [size, size], [BLUR_SIGMA] * 2)))


class Enlarger(nn.Module):
    """Two convolutions and an upsampler between them: ``(N, 3, H, W)`` to ``(N, 3, scale·H, scale·W)``, values 0 to 1.

    The upsampler sees the picture itself beside its features. Nothing is added to the output after it: what the
    upsampler leaves in the picture stays visible. The same seed starts the same convolutions in every scheme.

    Args:
        scheme: a name in `SCHEMES`.
        width: channels of the features and of the upsampler.
        options: change what `SCHEMES` asks for, as ``blur=True``.
    """

    def __init__(self, scheme: str, width: int = WIDTH, seed: int = 0, scale: int = 2, **options) -> None:
        check_choice("scheme", scheme, tuple(SCHEMES))
        super().__init__()
        torch.manual_seed(seed)
        self.features = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.to_rgb = nn.Conv2d(width, 3, 3, padding=1)
        options = {**SCHEMES[scheme], "act_cls": None, **options}
        self.up = make_upsampler(in_channels=width + 3, out_channels=width, scale=scale, **options)

    def forward(self, x: Tensor) -> Tensor:
        x = CONTRAST * (x - 0.5)
        x = self.up(torch.cat([x, self.features(x)], dim=1))
        return self.to_rgb(x) / CONTRAST + 0.5


@dataclass
class Result:
    """One scheme: what it costs, and for each seed how well it does.

    Attributes:
        macs: multiplications for each pixel of the enlarged picture, counted by torch (blur adds, it multiplies not).
        psnr, ssim: of the enlarged held-out patches, trained; PSNR in dB.
        before, after: checkerboard energy of the enlarged soft photographs, untrained and trained.
        plain: `plain_checkerboard` of the trained network, in grey levels of 255.
        time: of enlarging a picture, as a multiple of the fastest scheme's.
        network: of the first seed, trained.
    """

    scheme: str
    width: int = 0
    parameters: int = 0
    macs: int = 0
    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    time: float = float("nan")
    network: nn.Module | None = field(default=None, repr=False)


def training(network: nn.Module, pairs: Pairs, *, steps: int = STEPS, lr: float = LR, seed: int = 0) -> Iterator[int]:
    """Fit `network` to `pairs` in place: mean squared error, Adam, one cycle of the learning rate.

    The same seed gives the same batches, whatever the network. Yields the number of steps done after each.
    """
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.95), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps, cycle_momentum=False)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randint(len(pairs.full), (steps, BATCH_SIZE), generator=generator).to(pairs.full.device)
    for step, batch in enumerate(order, 1):
        optimiser.zero_grad()
        F.mse_loss(network(pairs.small[batch]), pairs.full[batch]).backward()
        optimiser.step()
        schedule.step()
        yield step


@torch.no_grad()
def enlarge(network: nn.Module, pairs: Pairs) -> Tensor:
    """The small pictures enlarged by `network`, without the border, where convolutions see padding."""
    return _inside(network(pairs.small))


def _inside(pictures: Tensor) -> Tensor:
    return pictures[..., BORDER:-BORDER, BORDER:-BORDER].contiguous()


def score(network: nn.Module, photographs: Photographs) -> dict[str, float]:
    """PSNR and SSIM on sharp photographs, checkerboard energy ``"after"`` on soft ones, `plain_checkerboard`."""
    enlarged, truth = enlarge(network, photographs.sharp).clamp(0, 1), _inside(photographs.sharp.full)
    energy = checkerboard_energy(enlarge(network, photographs.soft))
    plain = plain_checkerboard(network, truth.device)
    return {"psnr": psnr(enlarged, truth), "ssim": ssim(enlarged, truth), "after": energy, "plain": plain}


@torch.no_grad()
def plain_checkerboard(network: nn.Module, device: str | torch.device = "cpu", scale: int = 2) -> float:
    """How unlike the pixels are that come of one pixel of a plain colour: standard deviation, in levels of 255.

    The mean square over 27 colours is taken first. Any enlargement of a plain colour but a plain colour is wrong, so
    this is all checkerboard: 0 is right.
    """
    levels = torch.tensor([0.1, 0.5, 0.9], device=device)
    colours = torch.cartesian_prod(levels, levels, levels)[..., None, None].expand(-1, -1, 12, 12)
    border = 4 * scale
    inside = network(colours)[..., border:-border, border:-border]
    blocks = inside.unflatten(-1, (-1, scale)).unflatten(-3, (-1, scale))
    return 255 * float(blocks.var((-3, -1)).mean().sqrt())


def true_energy(photographs: Photographs) -> float:
    """Checkerboard energy of the soft photographs themselves: what a perfect enlargement has."""
    return checkerboard_energy(_inside(photographs.soft.full))


def baselines(photographs: Photographs) -> list[Result]:
    """Enlarging without a network."""
    results = []
    for name, mode in FIXED.items():
        network = nn.Upsample(scale_factor=2, mode=mode)
        results.append(Result(name, **{key: [value] for key, value in score(network, photographs).items()}))
    return results


def costs(scheme: str, width: int) -> tuple[int, int]:
    """Parameters, and multiplications for each pixel made."""
    network = Enlarger(scheme, width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 16, 16))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2 // 32**2


def equal_macs(budget: int, schemes: Iterable[str] = SCHEMES) -> dict[str, int]:
    """For each scheme the width whose network needs most nearly `budget` multiplications for each pixel made."""
    found = {}
    for name in schemes:
        low, high = 1, WIDEST
        while high - low > 1:  # more channels never cost less: halve the interval
            middle = (low + high) // 2
            low, high = (middle, high) if costs(name, middle)[1] <= budget else (low, middle)
        found[name] = min((low, high), key=lambda width: abs(costs(name, width)[1] - budget))
    return found


def contest(
    photographs: Photographs,
    widths: Mapping[str, int] | None = None,
    *,
    seeds: Sequence[int] = SEEDS,
    steps: int = STEPS,
    lr: float = LR,
) -> list[Result]:
    """Train every scheme once for each seed, on the device of the photographs, and measure it.

    On a CPU as many trainings run at a time as PyTorch may use threads, each on one: their results do not change.

    Args:
        widths: by scheme; `WIDTH` for all if not given.
    """
    widths = dict.fromkeys(SCHEMES, WIDTH) if widths is None else widths
    results = {name: Result(name, width, *costs(name, width)) for name, width in widths.items()}
    device = photographs.train.full.device
    runs = [(seed, name) for seed in seeds for name in widths]
    networks = [Enlarger(name, widths[name], seed).to(device) for seed, name in runs]  # all draw from one generator

    def measured(network: Enlarger, seed: int) -> dict[str, float]:
        torch.set_num_threads(1)  # OpenMP counts for each thread of Python apart
        before = checkerboard_energy(enlarge(network, photographs.soft))
        network.to(memory_format=torch.channels_last)  # the same maths, faster; its time is taken as PyTorch runs it
        for _ in training(network, photographs.train, steps=steps, lr=lr, seed=seed):
            pass
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


@contextmanager
def one_thread() -> Iterator[None]:
    """Calculate on one core: tensors this small are slower on several, and ten times slower on several busy ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def durations(networks: Mapping[str, nn.Module], rounds: int = 15) -> dict[str, float]:
    """Median time of enlarging 128 × 128 pixels, as a multiple of the shortest; the networks take turns."""
    device = next(next(iter(networks.values())).parameters()).device
    x, times = torch.rand(1, 3, 128, 128, device=device), {name: [] for name in networks}
    for _ in range(rounds + 1):
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
        description="Train eight upsampling schemes on photographs that installed packages ship, and compare them.",
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
