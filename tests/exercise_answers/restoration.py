"""Answers to the exercises of notebook 07."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from course_utils.losses import gram_matrix


def grey_levels(psnr):
    return 255 * math.exp(-psnr * math.log(10) / 20)


def best_guess(targets, loss):
    """Tries, for each pixel, all targets and their mean."""
    candidates = torch.cat([targets, targets.mean(0, keepdim=True)])
    errors = candidates[:, None] - targets[None]
    expected = (errors.square() if loss == "mse" else errors.abs()).mean(1)
    return candidates.gather(0, expected.argmin(0, keepdim=True))[0]


def style_gap(features, wanted):
    """Picture by picture, and channel pair by channel pair, as a mean over places."""
    channels = len(wanted)
    gaps = [
        ((picture[a] * picture[b]).mean() - (wanted[a] * wanted[b]).mean()).abs() / channels
        for picture in features
        for a in range(channels)
        for b in range(channels)
    ]
    return torch.stack(gaps).mean()


def joined_gram(left, right, left_width, right_width):
    """Rebuilds features with these Gram matrices, and lays them side by side."""
    channels = len(left)
    parts = []
    for gram, width in ((left, left_width), (right, right_width)):
        values, vectors = torch.linalg.eigh(gram.double())
        root = vectors * values.clamp_min(0).sqrt()  # root · rootᵀ is the Gram matrix
        parts.append((root * channels).repeat(1, width).view(1, channels, width, channels))
    return gram_matrix(torch.cat([part.transpose(2, 3) for part in parts], dim=3))[0].float()


def balanced_weights(pixel, features, grams):
    found = torch.tensor(features, dtype=torch.float64).reciprocal() * pixel
    share = found.square() @ torch.tensor(grams, dtype=torch.float64)
    return torch.cat([found, (pixel / share)[None]])


def weights_in_the_callers_list(pixel, features, grams):
    for layer, distance in enumerate(features):
        features[layer] = pixel / distance
    factor = pixel / sum(weight**2 * gram for weight, gram in zip(features, grams, strict=True))
    return [*features, factor]


def smallest_error(targets, power):
    """The whole target that is nearest to the others."""
    distances = (targets[:, None] - targets[None]).abs().pow(power).flatten(2).sum((1, 2))
    return targets[distances.argmin()]


RIGHT = {f.__name__: f for f in (grey_levels, best_guess, joined_gram, balanced_weights)}
RIGHT["style_gap"] = style_gap

ALSO_RIGHT = {
    "grey_levels": {
        "torch": lambda psnr: 255 * torch.sqrt(10 ** (-torch.tensor(psnr) / 10)),
        "numpy": lambda psnr: np.float32(255) * np.sqrt(np.float32(10) ** np.float32(-psnr / 10)),
    },
    "style_gap": {
        "as the lesson has it": lambda x, wanted: (gram_matrix(x) - gram_matrix(wanted[None])).abs().mean(),
        "in double precision": lambda x, wanted: gap_of(grams(x.double()), grams(wanted[None].double())),
    },
}


def grams(x, divide=lambda C, H, W: C * H * W):
    flat = x.flatten(2)
    return flat @ flat.transpose(1, 2) / divide(*x.shape[1:])


def gap_of(found, wanted):
    return (found - wanted).abs().mean()


def style_by(x, wanted, divide):
    return gap_of(grams(x, divide), grams(wanted[None], divide))


def divided_alike(x, wanted):
    """Both sums over places divided by the size of the features."""
    size = x[0].numel()
    return style_by(x, wanted, lambda C, H, W: size)


def without_diagonal(x, wanted):
    apart = grams(x) - grams(wanted[None])
    return (apart - torch.diag_embed(apart.diagonal(dim1=1, dim2=2))).abs().mean()


WRONG = {
    "grey_levels": {
        "no root": lambda psnr: 255 * 10 ** (-psnr / 10),
        "white stays 1": lambda psnr: 10 ** (-psnr / 20),
        "wrong sign": lambda psnr: 255 * 10 ** (psnr / 20),
        "natural logarithm": lambda psnr: 255 * math.exp(-psnr / 20),
        "root of the decibels": lambda psnr: 255 * 10 ** -math.sqrt(psnr / 10),
        "256 levels": lambda psnr: 256 * 10 ** (-psnr / 20),
    },
    "best_guess": {
        "the mean for both": lambda targets, loss: targets.mean(0),
        "the median for both": lambda targets, loss: targets.median(0).values,
        "exchanged": lambda targets, loss: best_guess(targets, "l1" if loss == "mse" else "mse"),
        "one of the pictures": lambda targets, loss: smallest_error(targets, 2 if loss == "mse" else 1),
        "between black and white": lambda targets, loss: (targets.amin(0) + targets.amax(0)) / 2,
        "one number for all pixels": lambda targets, loss: best_guess(targets.reshape(-1), loss).expand(
            targets.shape[1:]
        ),
    },
    "joined_gram": {
        "the sum": lambda a, b, m, n: a + b,
        "the plain mean": lambda a, b, m, n: (a + b) / 2,
        "widths exchanged": lambda a, b, m, n: (a * n + b * m) / (m + n),
        "weights not divided": lambda a, b, m, n: a * m + b * n,
        "side by side": lambda a, b, m, n: torch.cat([a, b], dim=1),
        "product": lambda a, b, m, n: a @ b,
    },
    "balanced_weights": {
        "the other way round": lambda p, f, g: [
            *(d / p for d in f),
            p / sum((d / p) ** 2 * x for d, x in zip(f, g, strict=True)),
        ],
        "one for all": lambda p, f, g: [p / d for d in f] + [1.0],
        "weights not squared": lambda p, f, g: [
            *(p / d for d in f),
            p / sum(p / d * x for d, x in zip(f, g, strict=True)),
        ],
        "ignores the weights": lambda p, f, g: [*(p / d for d in f), p / sum(g)],
        "shares the pixels out": lambda p, f, g: [
            *(p / d / len(f) for d in f),
            p / sum((p / d / len(f)) ** 2 * x for d, x in zip(f, g, strict=True)),
        ],
        "forgets the factor": lambda p, f, g: [p / d for d in f],
    },
    "style_gap": {
        "sums over places": lambda x, wanted: style_by(x, wanted, lambda C, H, W: 1),
        "both divided by the features' size": divided_alike,
        "divided by the places alone": lambda x, wanted: style_by(x, wanted, lambda C, H, W: H * W),
        "divided by the channels alone": lambda x, wanted: style_by(x, wanted, lambda C, H, W: C),
        "squares": lambda x, wanted: (grams(x) - grams(wanted[None])).square().mean(),
        "not absolute": lambda x, wanted: (grams(x) - grams(wanted[None])).mean(),
        "the sum over entries": lambda x, wanted: (grams(x) - grams(wanted[None])).abs().sum((1, 2)).mean(),
        "one for each picture": lambda x, wanted: (grams(x) - grams(wanted[None])).abs().mean((1, 2)),
        "the sum over pictures": lambda x, wanted: (grams(x) - grams(wanted[None])).abs().mean((1, 2)).sum(),
        "pictures' mean matrix": lambda x, wanted: gap_of(grams(x).mean(0), grams(wanted[None])[0]),
        "pictures joined": lambda x, wanted: gap_of(
            grams(x.transpose(0, 1).flatten(1)[None, :, :, None]), grams(wanted[None])
        ),
        "first picture alone": lambda x, wanted: style_gap(x[:1], wanted),
        "features themselves, resized": lambda x, wanted: gap_of(x, F.interpolate(wanted[None], x.shape[2:])),
        "resized first": lambda x, wanted: style_gap(x, F.interpolate(wanted[None], x.shape[2:])[0]),
        "means of channels": lambda x, wanted: gap_of(x.mean((2, 3)), wanted.mean((1, 2))),
        "channels by themselves": lambda x, wanted: gap_of(
            grams(x).diagonal(dim1=1, dim2=2), grams(wanted[None]).diagonal(dim1=1, dim2=2)
        ),
        "different channels alone": without_diagonal,
    },
}
