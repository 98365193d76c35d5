"""The exercises of notebook 08: grey-brown, the error in a hole, a pencil's line, and what a stroke is made of."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.core import Exercise


def _chroma_kept(colours: Tensor, shares: Tensor) -> Tensor:
    return (shares @ colours).norm() / (shares @ colours.norm(dim=1))


def _chroma_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.2, 0.0], [-0.1, 0.0]]), torch.tensor([0.5, 0.5])
    yield torch.tensor([[0.3, 0.4], [0.0, 0.1]]), torch.tensor([0.25, 0.75])
    for n in (1, 3, 5, 8):
        shares = torch.rand(n, generator=generator)
        yield 0.3 * torch.randn(n, 2, generator=generator), shares / shares.sum()


CHROMA_KEPT = Exercise(
    name="chroma_kept",
    specification=(
        "chroma_kept(colours, shares) takes n colours (n, 2), Oklab's a and b, and how probable each is (n,). It gives "
        "the chroma of their mean as a share of their mean chroma; chroma is the distance from grey, √(a² + b²)."
    ),
    reference=_chroma_kept,
    cases=_chroma_cases,
    hints=(
        "Two means, both weighted with the shares: one of the colours, one of n distances.",
        "The mean colour is (shares[:, None] * colours).sum(0); its chroma is the root of the sum of its two squares.",
        "Divide that by (shares * colours.norm(dim=1)).sum().",
    ),
    tolerance=1e-5,
)


def _error_in_holes(prediction: Tensor, target: Tensor, masks: Tensor) -> Tensor:
    return (prediction - target).abs()[masks.expand_as(target)].mean()


def _hole_cases(generator: torch.Generator) -> Iterator[tuple]:
    tiny = torch.tensor([[[[True, False]]]])
    yield torch.tensor([[[[0.5, 0.9]]]]), torch.tensor([[[[0.25, 0.1]]]]), tiny
    for n, channels, height, width in [(1, 3, 4, 4), (2, 3, 5, 4), (3, 1, 6, 6), (2, 4, 3, 7)]:
        prediction, target = torch.rand(2, n, channels, height, width, generator=generator)
        masks = torch.rand(n, 1, height, width, generator=generator) < 0.3
        masks[..., 0, 0] = True
        prediction[..., 0, 0] = target[..., 0, 0]  # right, and counted all the same
        yield prediction, target, masks


ERROR_IN_HOLES = Exercise(
    name="error_in_holes",
    specification=(
        "error_in_holes(prediction, target, masks) takes pictures (N, C, H, W) and masks (N, 1, H, W), True in the "
        "holes, and gives the mean absolute error over all numbers inside of holes."
    ),
    reference=_error_in_holes,
    cases=_hole_cases,
    hints=(
        "A mean is a sum divided by a count. What must not be counted?",
        "The mask has one channel and the picture C: each hole pixel counts C times.",
        "(prediction - target).abs()[masks.expand_as(target)].mean()",
    ),
    tolerance=1e-5,
)


def _pencil(brightness: Tensor, radius: int) -> Tensor:
    padded = F.pad(brightness[None, None], [radius] * 4, mode="replicate")
    blurred = F.avg_pool2d(padded, 2 * radius + 1, stride=1)[0, 0]
    return (brightness / blurred).clamp(max=1)


def _pencil_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.8, 0.8, 0.2, 0.2]]).repeat(3, 1), 1
    yield torch.full((3, 3), 0.3), 1
    for height, width, radius in [(4, 6, 1), (7, 6, 2), (8, 8, 3)]:
        yield torch.rand(height, width, generator=generator) + 0.1, radius


PENCIL = Exercise(
    name="pencil",
    specification=(
        "pencil(brightness, radius) takes brightness (H, W), above 0, divides it by its blurred copy, "
        "and cuts off above 1. Blurred: the mean of the (2·radius + 1)² pixels around; border pixels are repeated "
        "outside."
    ),
    reference=_pencil,
    cases=_pencil_cases,
    hints=(
        "Three steps: repeat the border outwards, take the mean in each window, divide.",
        'F.pad(brightness[None, None], [radius] * 4, mode="replicate") repeats the border.',
        "F.avg_pool2d(padded, 2 * radius + 1, stride=1)[0, 0] is the blurred copy.",
    ),
    tolerance=1e-5,
)


def _neighbourhoods(x: Tensor) -> Tensor:
    channels, height, width = x.shape
    return F.unfold(x[None], 3).view(channels * 9, height - 2, width - 2)


def _neighbourhood_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield (torch.arange(12.0).view(1, 3, 4),)
    for channels, height, width in [(1, 3, 3), (2, 4, 5), (3, 6, 5)]:
        yield (torch.randn(channels, height, width, generator=generator),)


NEIGHBOURHOODS = Exercise(
    name="neighbourhoods",
    specification=(
        "neighbourhoods(x) takes a picture (C, H, W) and gives (9·C, H - 2, W - 2): for each pixel that has eight "
        "neighbours, all nine values, row by row; first the nine of channel 0, then those of channel 1, and so on."
    ),
    reference=_neighbourhoods,
    cases=_neighbourhood_cases,
    hints=(
        "Nine copies of the picture, each shifted by 0 to 2 rows and 0 to 2 columns, all cut to the same size.",
        "x[:, r : r + H - 2, c : c + W - 2] for r and c from 0 to 2.",
        "torch.stack of those nine along dimension 1, then flatten(0, 1).",
    ),
)


FIVE_RESTORATIONS_EXERCISES = (CHROMA_KEPT, ERROR_IN_HOLES, PENCIL, NEIGHBOURHOODS)
