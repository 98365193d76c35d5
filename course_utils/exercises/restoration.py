"""The exercises of notebook 07: decibels, best guesses, Gram matrices, weights of a loss, style as a loss."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from course_utils.exercises.core import Exercise


def _grey_levels(psnr: float) -> float:
    return 255 * 10 ** (-psnr / 20)


def _grey_levels_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield from [(0.0,), (20.0,), (28.1,), (40.0,), (48.13,)]


GREY_LEVELS = Exercise(
    name="grey_levels",
    specification=(
        "grey_levels(psnr) takes a PSNR in decibels, white being 1, and gives the root of the mean squared error in "
        "grey levels, white being 255."
    ),
    reference=_grey_levels,
    cases=_grey_levels_cases,
    hints=(
        "Solve psnr = -10 · log10(mse) for the mean squared error first.",
        "mse = 10 ** (-psnr / 10), where white is 1; its root is an error as a share of white.",
        "255 * (10 ** (-psnr / 10)) ** 0.5",
    ),
    tolerance=1e-5,
)


def _best_guess(targets: Tensor, loss: str) -> Tensor:
    return targets.mean(0) if loss == "mse" else targets.median(0).values


def _best_guess_cases(generator: torch.Generator) -> Iterator[tuple]:
    edges = torch.tensor([[0.0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]])
    few = torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]])
    several = torch.rand(5, 2, 3, generator=generator)
    for targets in (edges, few, several):
        for loss in ("mse", "l1"):
            yield targets, loss


BEST_GUESS = Exercise(
    name="best_guess",
    specification=(
        "best_guess(targets, loss) takes an odd number K of equally likely pictures (K, ...) and gives the picture, "
        "not necessarily one of them, with the smallest expected loss: mean squared error if loss is 'mse', mean "
        "absolute error if it is 'l1'."
    ),
    reference=_best_guess,
    cases=_best_guess_cases,
    hints=(
        "Each pixel of the guess can be chosen alone: it has K possible targets.",
        "Which number has the smallest sum of squared distances to K numbers? Which the smallest sum of distances?",
        "The mean over the first axis for 'mse'; for 'l1' the number in the middle, targets.median(0).values.",
    ),
    tolerance=1e-6,
)


def _joined_gram(left: Tensor, right: Tensor, left_width: int, right_width: int) -> Tensor:
    return (left * left_width + right * right_width) / (left_width + right_width)


def _joined_gram_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.tensor([[1.0]]), torch.tensor([[4.0]]), 1, 2
    for channels, left_width, right_width in [(2, 3, 3), (2, 5, 1), (3, 2, 6)]:
        parts = [torch.randn(channels, 4 * width, generator=generator) for width in (left_width, right_width)]
        yield *(part @ part.T / part.numel() for part in parts), left_width, right_width


JOINED_GRAM = Exercise(
    name="joined_gram",
    specification=(
        "joined_gram(left, right, left_width, right_width) takes the Gram matrices x·xᵀ / (C·H·W), (C, C), of two "
        "feature maps of equal height, and gives that of the two side by side."
    ),
    reference=_joined_gram,
    cases=_joined_gram_cases,
    hints=(
        "The sum x·xᵀ of the whole is the sum of the parts' x·xᵀ. What was each divided by?",
        "Multiply each by its C·H·W, add, divide by C·H·(left_width + right_width); C·H cancels.",
        "(left * left_width + right * right_width) / (left_width + right_width)",
    ),
    tolerance=1e-5,
)


def _balanced_weights(pixel: float, features: Sequence[float], grams: Sequence[float]) -> list[float]:
    weights = [pixel / distance for distance in features]
    return [*weights, pixel / sum(weight**2 * gram for weight, gram in zip(weights, grams, strict=True))]


def _balanced_weights_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield 0.5, [0.5], [0.25]
    yield 0.05, [0.1], [0.002]
    yield 0.04, [0.2, 2.0], [0.01, 0.3]
    yield 0.03, [0.15, 0.6, 1.2], [4e-4, 2e-3, 5e-3]
    yield 0.1, [0.1, 0.05, 0.2, 0.4], [1e-3, 1e-3, 2e-2, 1e-1]


BALANCED_WEIGHTS = Exercise(
    name="balanced_weights",
    specification=(
        "balanced_weights(pixel, features, grams) takes three kinds of measured mean absolute differences: of the "
        "pixels (a number), of each layer's features and of each layer's Gram matrices (lists). It gives the list of "
        "the layers' weights wᵢ, each making wᵢ · featuresᵢ equal to pixel, and after them the factor with which "
        "factor · Σ wᵢ² · gramsᵢ equals pixel as well."
    ),
    reference=_balanced_weights,
    cases=_balanced_weights_cases,
    hints=(
        "One layer: which weight turns a difference of 0.1 into 0.05?",
        "weights = [pixel / distance for distance in features]; the Gram part uses their squares.",
        "The last entry is pixel / sum(w**2 * g for w, g in zip(weights, grams)).",
    ),
    tolerance=1e-5,
)


def _style_gap(features: Tensor, wanted: Tensor) -> Tensor:
    def gram(x: Tensor) -> Tensor:
        flat = x.flatten(2)
        return flat @ flat.transpose(1, 2) / (x.shape[1] * flat.shape[2])

    return (gram(features) - gram(wanted[None])).abs().mean()


def _style_gap_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[3.0]]])
    small = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]]])
    yield small[None], small.flip(2)  # the same places in another order
    yield small[None], torch.cat([small, small], dim=2)  # a larger piece of the same texture
    yield torch.stack([small, 2 * small]), torch.tensor([[[1.0], [1.0], [-1.0]], [[0.0], [2.0], [1.0]]])
    for n, channels, grid, other in [(1, 3, (2, 5), (4, 3)), (2, 2, (4, 4), (3, 6)), (3, 4, (3, 2), (5, 5))]:
        features = 2 * torch.randn(n, channels, *grid, generator=generator)
        yield features, 1 + torch.randn(channels, *other, generator=generator)


STYLE_GAP = Exercise(
    name="style_gap",
    specification=(
        "style_gap(features, wanted) takes the features of N pictures (N, C, H, W), and those of a painting (C, h, w), "
        "whose grid may be another one. It gives the mean absolute difference, over all pictures and entries, between "
        "the pictures' Gram matrices and the painting's; each is x·xᵀ divided by C times the number of its own places."
    ),
    reference=_style_gap,
    cases=_style_gap_cases,
    hints=(
        "What shape has the Gram matrix of a picture, and what shape that of the painting? Where did the grids go?",
        "flat = features.flatten(2); flat @ flat.transpose(1, 2) gives all N matrices. For the painting wanted[None] "
        "is a batch of one.",
        "Divide by C * H * W, or C * h * w; then (grams - gram_of_the_painting).abs().mean(): the one matrix is "
        "compared with all N.",
    ),
    tolerance=1e-5,
)


RESTORATION_EXERCISES = (GREY_LEVELS, BEST_GUESS, JOINED_GRAM, BALANCED_WEIGHTS, STYLE_GAP)
