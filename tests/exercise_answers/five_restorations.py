"""Answers to the exercises of notebook 08."""

import torch
import torch.nn.functional as F


def chroma_kept(colours, shares):
    mean_a, mean_b = ((shares * colours[:, i]).sum() for i in (0, 1))
    chromas = [(a**2 + b**2) ** 0.5 for a, b in colours.tolist()]
    return torch.hypot(mean_a, mean_b) / sum(share * chroma for share, chroma in zip(shares, chromas, strict=True))


def error_in_holes(prediction, target, masks):
    return ((prediction - target).abs() * masks).sum() / (masks.sum() * target.shape[1])


def pencil(brightness, radius):
    """One window after the other, sides kept inside of the picture by hand."""
    height, width = brightness.shape
    lines = torch.empty_like(brightness)
    for i in range(height):
        for j in range(width):
            rows = torch.arange(i - radius, i + radius + 1).clamp(0, height - 1)
            columns = torch.arange(j - radius, j + radius + 1).clamp(0, width - 1)
            lines[i, j] = min(brightness[i, j] / brightness[rows][:, columns].mean(), 1)
    return lines


def neighbourhoods(x):
    height, width = x.shape[1:]
    shifted = [x[:, r : r + height - 2, c : c + width - 2] for r in range(3) for c in range(3)]
    return torch.stack(shifted, dim=1).flatten(0, 1)


def blur(brightness, radius, **padding):
    padded = F.pad(brightness[None, None], [radius] * 4, **padding)
    return F.avg_pool2d(padded, 2 * radius + 1, stride=1)[0, 0]


def replicated(brightness, radius):
    return blur(brightness, radius, mode="replicate")


RIGHT = {f.__name__: f for f in (chroma_kept, error_in_holes, pencil, neighbourhoods)}

WRONG = {
    "chroma_kept": {
        "all equally probable": lambda c, p: c.mean(0).norm() / c.norm(dim=1).mean(),
        "upside down": lambda c, p: 1 / chroma_kept(c, p),
        "the chroma alone": lambda c, p: (p @ c).norm(),
        "without squares": lambda c, p: (p @ c).abs().sum() / (p @ c.abs().sum(1)),
        "squared": lambda c, p: (p @ c).norm() ** 2 / (p @ c.norm(dim=1) ** 2),
        "always all of it": lambda c, p: (p @ c.norm(dim=1)) / (p @ c.norm(dim=1)),
    },
    "error_in_holes": {
        "over the whole picture": lambda p, t, m: (p - t).abs().mean(),
        "outside zeroed, but counted": lambda p, t, m: ((p - t).abs() * m).mean(),
        "each pixel counted once": lambda p, t, m: ((p - t).abs() * m).sum() / m.sum(),
        "only what is wrong is counted": lambda p, t, m: ((p - t).abs() * m).sum() / ((p - t) * m != 0).sum(),
        "outside of the holes": lambda p, t, m: (p - t).abs()[~m.expand_as(t)].mean(),
        "squared": lambda p, t, m: ((p - t) ** 2)[m.expand_as(t)].mean(),
        "signed": lambda p, t, m: (p - t)[m.expand_as(t)].mean(),
    },
    "pencil": {
        "not cut off": lambda b, r: b / replicated(b, r),
        "upside down": lambda b, r: (replicated(b, r) / b).clamp(max=1),
        "a difference": lambda b, r: (1 - (replicated(b, r) - b)).clamp(max=1),
        "zeros outside": lambda b, r: (b / blur(b, r)).clamp(max=1),
        "radius too large": lambda b, r: (b / replicated(b, r + 1)).clamp(max=1),
        "blurs along rows only": lambda b, r: (
            b / F.avg_pool1d(F.pad(b[None], [r, r], mode="replicate"), 2 * r + 1, stride=1)[0]
        ).clamp(max=1),
    },
    "neighbourhoods": {
        "shifts before channels": lambda x: neighbourhoods(x).unflatten(0, (-1, 9)).transpose(0, 1).flatten(0, 1),
        "columns first": lambda x: neighbourhoods(x.mT).mT,
        "keeps the size": lambda x: F.unfold(x[None], 3, padding=1).view(-1, *x.shape[1:]),
        "without the pixel itself": lambda x: neighbourhoods(x).unflatten(0, (-1, 9))[:, [0, 1, 2, 3, 5, 6, 7, 8]],
        "the mean of the nine": lambda x: F.avg_pool2d(x, 3, stride=1),
    },
}
