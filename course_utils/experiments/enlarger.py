"""A small network that enlarges pictures with any of nine upsamplers: what it costs, and how it is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils.checks import check_choice
from course_utils.upsampling import make_upsampler

SCHEMES: dict[str, dict] = {
    "transposed k2": {"name": "transposed", "kernel_size": 2},
    "transposed k3": {"name": "transposed", "kernel_size": 3},
    "transposed k4": {"name": "transposed", "kernel_size": 4},
    "nearest + conv": {"name": "nearest"},
    "bilinear + conv": {"name": "bilinear"},
    "shuffle": {"name": "pixel_shuffle", "icnr": False},
    "shuffle + ICNR": {"name": "pixel_shuffle"},
    "shuffle + ICNR + blur": {"name": "pixel_shuffle", "blur": True},
    "shuffle 3 × 3 + ICNR": {"name": "pixel_shuffle", "kernel_size": 3},
}
"""By the name in the table: what `make_upsampler` is asked for. Their own activation is left out."""

WIDTH, STEPS, LR, BATCH_SIZE = 16, 500, 0.02, 8
WIDEST = 128
CONTRAST = 4.0
"""Pixels from 0 to 1 become -2 to 2 inside the network: numbers as large as its weights expect."""


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
        to_rgb = nn.Conv2d(width, 3, 3, padding=1)  # drawn before the upsampler, which draws more or fewer numbers
        options = {**SCHEMES[scheme], "act_cls": None, **options}
        self.up = make_upsampler(in_channels=width + 3, out_channels=width, scale=scale, **options)
        self.to_rgb = to_rgb

    def forward(self, x: Tensor) -> Tensor:
        x = CONTRAST * (x - 0.5)
        x = self.up(torch.cat([x, self.features(x)], dim=1))
        return self.to_rgb(x) / CONTRAST + 0.5


def costs(scheme: str, width: int) -> tuple[int, int]:
    """Parameters, and multiplications for each pixel made."""
    network = Enlarger(scheme, width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 16, 16))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2 // 32**2


def equal_macs(budget: int) -> dict[str, int]:
    """For each scheme the width whose network needs most nearly `budget` multiplications for each pixel made."""
    found = {}
    for name in SCHEMES:
        low, high = 1, WIDEST
        while high - low > 1:  # more channels never cost less: halve the interval
            middle = (low + high) // 2
            low, high = (middle, high) if costs(name, middle)[1] <= budget else (low, middle)
        found[name] = min((low, high), key=lambda width: abs(costs(name, width)[1] - budget))
    return found


@dataclass
class SizePairs:
    """Photographs ``(N, 3, H, W)`` from 0 to 1, and the same reduced."""

    full: Tensor
    small: Tensor

    @classmethod
    def of(cls, full: Tensor, scale: int = 2) -> "SizePairs":
        """Reduce by antialiased bicubic interpolation, which is the usual test of enlarging."""
        size = [side // scale for side in full.shape[-2:]]
        small = F.interpolate(full, size, mode="bicubic", align_corners=False, antialias=True)
        return cls(full, small.clamp(0, 1))


def training(
    network: nn.Module, pairs: SizePairs, *, steps: int = STEPS, lr: float = LR, seed: int = 0
) -> Iterator[int]:
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


@contextmanager
def one_thread() -> Iterator[None]:
    """Calculate on one core: tensors this small are slower on several, and ten times slower on several busy ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
