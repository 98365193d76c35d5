"""What enlargers learn from and how well they do: quality on sharp photographs, checkerboards where none should be."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from course_utils.checks import check_choice
from course_utils.experiments.enlarger import SizePairs
from course_utils.experiments.photographs import PHOTOGRAPHS, patches
from course_utils.metrics import psnr, ssim
from course_utils.upsampling import checkerboard_energy

N_TRAIN, N_SCORED = 600, 12
PATCH, TEST_PATCH, BORDER = 32, 144, 8
BLUR_SIGMA = 4.0


@dataclass
class Photographs:
    """What the contest runs on: `train` pairs, `sharp` ones to score, and `soft` ones, the same but out of focus.

    A photograph has differences between neighbours of its own. Out of focus it has next to none, so what
    `checkerboard_energy` finds in the enlargement of a soft picture was put there by the network.
    """

    train: SizePairs
    sharp: SizePairs
    soft: SizePairs

    @classmethod
    def load(cls, split: str = "test", device: str | torch.device = "cpu") -> "Photographs":
        """Patches of the photographs that installed packages ship; scored on `split`, ``"val"`` or ``"test"``."""
        check_choice("split", split, ("val", "test"))
        train = patches(PHOTOGRAPHS["train"], PATCH, N_TRAIN).to(device).float() / 255
        sharp = patches(PHOTOGRAPHS[split], TEST_PATCH, N_SCORED).to(device).float() / 255
        size = 6 * round(BLUR_SIGMA) + 1
        soft = gaussian_blur(sharp, [size, size], [BLUR_SIGMA] * 2)
        return cls(SizePairs.of(train), SizePairs.of(sharp), SizePairs.of(soft))


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


@torch.no_grad()
def enlarge(network: nn.Module, pairs: SizePairs) -> Tensor:
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
