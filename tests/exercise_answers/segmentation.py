"""Right answers to the exercises of notebook 01, written another way, and the mistakes that learners make."""

from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import nn


def remap_mask(mask, height, width):
    """Pixel by pixel, with centres that are fractions."""
    rows = [int((i + Fraction(1, 2)) * mask.shape[0] / height) for i in range(height)]
    columns = [int((i + Fraction(1, 2)) * mask.shape[1] / width) for i in range(width)]
    return torch.stack([torch.stack([mask[row, column] for column in columns]) for row in rows])


def cross_entropy(logits, target, void):
    """The labelled pixels in a row, each with its class numbers."""
    pixels, truth = logits.movedim(1, -1)[target != void], target[target != void]
    return (pixels.logsumexp(1) - pixels[torch.arange(len(truth)), truth]).mean()


def pooled_accuracy(batches, void):
    prediction, target = (torch.cat([pair[i].flatten() for pair in batches]) for i in (0, 1))
    return (prediction == target)[target != void].double().mean()


def iou_from_confusion(confusion):
    classes = range(len(confusion))
    table = confusion.tolist()
    union = [sum(table[c]) + sum(row[c] for row in table) - table[c][c] for c in classes]
    return [table[c][c] / union[c] if union[c] else float("nan") for c in classes]


def receptive_field(layers):
    """Side of the patch of input pixels that get a gradient from one output pixel."""
    pixels = {0}
    for kernel_size, stride in layers[::-1]:
        pixels = {position * stride + offset for position in pixels for offset in range(kernel_size)}
    return max(pixels) - min(pixels) + 1


RIGHT = {f.__name__: f for f in (remap_mask, cross_entropy, pooled_accuracy, iou_from_confusion, receptive_field)}

FORBIDDEN = {
    "cross_entropy": {
        "PyTorch's": lambda x, t, v: F.cross_entropy(x, t, ignore_index=v),
        "PyTorch's as a module": lambda x, t, v: nn.CrossEntropyLoss(ignore_index=v)(x, t),
    },
}


def sampled(mask, height, width, mode, shift=0.0):
    """Old rows and columns by a wrong formula."""
    rounding = {"floor": torch.floor, "round": torch.round}[mode]
    rows = rounding((torch.arange(height) + shift) * mask.shape[0] / height).long().clamp(max=mask.shape[0] - 1)
    columns = rounding((torch.arange(width) + shift) * mask.shape[1] / width).long().clamp(max=mask.shape[1] - 1)
    return mask[rows][:, columns]


def centres(mask, height, width, place):
    """Old rows and columns by a formula in floats."""
    rows, columns = (
        torch.tensor([int(place(i, old, new)) for i in range(new)]).clamp(max=old - 1)
        for old, new in zip(mask.shape, (height, width), strict=True)
    )
    return mask[rows][:, columns]


def nearest_exact(mask, height, width):
    """PyTorch's rule is the exercise's, but it calculates the centres in single precision."""
    return F.interpolate(mask[None, None].float(), size=(height, width), mode="nearest-exact")[0, 0].to(mask.dtype)


def bilinear(mask, height, width):
    floats = F.interpolate(mask[None, None].float(), size=(height, width), mode="bilinear")[0, 0]
    return floats.round().to(mask.dtype)


def batch_accuracies(batches, void):
    return [float((p == t)[t != void].float().mean()) for p, t in batches if (t != void).any()]


def fold(layers, step_first=False, use_stride=True, add=-1, start=1):
    side, step = start, 1
    for kernel_size, stride in layers:
        step *= stride if step_first and use_stride else 1
        side += (kernel_size + add) * step
        step *= stride if not step_first and use_stride else 1
    return side


def masked_log_softmax(logits, target, void, dim=1):
    keep = target != void
    picked = logits.log_softmax(dim).gather(1, target.where(keep, 0)[:, None])[:, 0]
    return -picked, keep


def void_overwritten(logits, target, void):
    """Right, but the caller's own mask no longer says where it is unlabelled."""
    keep = target != void
    target[~keep] = 0
    return -logits.log_softmax(1).gather(1, target[:, None])[:, 0][keep].mean()


def void_marked_in_the_batches(batches, void):
    for prediction, target in batches:
        prediction[target == void] = -1
    return pooled_accuracy(batches, void)


def layers_used_up(layers):
    side = 1
    while layers:
        kernel_size, stride = layers.pop()
        side = (side - 1) * stride + kernel_size
    return side


def naive_log(logits, target, void):
    keep = target != void
    return -logits.softmax(1).log().gather(1, target.where(keep, 0)[:, None])[:, 0][keep].mean()


WRONG = {
    "remap_mask": {
        "interpolates the codes": bilinear,
        "takes the corner of a pixel": lambda m, h, w: sampled(m, h, w, "floor"),
        "rounds": lambda m, h, w: sampled(m, h, w, "round", 0.5),
        "swaps height and width": lambda m, h, w: remap_mask(m, w, h),
        "returns floats": lambda m, h, w: remap_mask(m, h, w).float(),
        "flips": lambda m, h, w: remap_mask(m, h, w).flip(0),
        "lets a float decide on a border": nearest_exact,
        "multiplies by a rounded ratio": lambda m, h, w: centres(m, h, w, lambda i, old, new: (i + 0.5) * (old / new)),
        "divides first": lambda m, h, w: centres(m, h, w, lambda i, old, new: (i + 0.5) / new * old),
    },
    "cross_entropy": {
        "counts void": lambda x, t, v: masked_log_softmax(x, t, v)[0].mean(),
        "divides by all pixels": lambda x, t, v: F.cross_entropy(x, t, ignore_index=v, reduction="sum") / t.numel(),
        "sums": lambda x, t, v: F.cross_entropy(x, t, ignore_index=v, reduction="sum"),
        "forgets the minus": lambda x, t, v: -cross_entropy(x, t, v),
        "takes the softmax over the wrong axis": lambda x, t, v: masked_log_softmax(x, t, v, dim=3)[0][t != v].mean(),
        "log of a softmax that underflows": naive_log,
        "void is the largest number": lambda x, t, v: F.cross_entropy(x, t.where(t < v, -100)),
        "overwrites the target": void_overwritten,
        "returns one loss a pixel": lambda x, t, v: F.cross_entropy(x, t, ignore_index=v, reduction="none"),
    },
    "pooled_accuracy": {
        "mean of batch means": lambda b, v: sum(batch_accuracies(b, v)) / len(batch_accuracies(b, v)),
        "counts void": lambda b, v: pooled_accuracy(b, -1),
        "drops what was predicted void": lambda b, v: pooled_accuracy([(t, p) for p, t in b], v),
        "divides by all pixels": lambda b, v: (
            sum(int(((p == t) & (t != v)).sum()) for p, t in b) / sum(t.numel() for _, t in b)
        ),
        "void is the largest number": lambda b, v: (
            sum(int(((p == t) & (t < v)).sum()) for p, t in b) / max(sum(int((t < v).sum()) for _, t in b), 1)
        ),
        "in percent": lambda b, v: 100 * pooled_accuracy(b, v),
        "the last batch alone": lambda b, v: pooled_accuracy(b[-1:], v),
    },
    "iou_from_confusion": {
        "recall": lambda c: c.diagonal() / c.sum(1),
        "precision": lambda c: c.diagonal() / c.sum(0),
        "Dice": lambda c: 2 * c.diagonal() / (c.sum(0) + c.sum(1)),
        "counts the intersection twice": lambda c: c.diagonal() / (c.sum(0) + c.sum(1)),
        "nought for absent classes": lambda c: torch.tensor(iou_from_confusion(c)).nan_to_num(),
        "nothing for what was never predicted": lambda c: torch.tensor(iou_from_confusion(c)).where(
            c.sum(0) > 0, torch.nan
        ),
        "the mean": lambda c: torch.tensor(iou_from_confusion(c)).nanmean(),
    },
    "receptive_field": {
        "adds kernels": lambda layers: fold(layers, add=0, use_stride=False),
        "forgets strides": lambda layers: fold(layers, use_stride=False),
        "applies a stride to its own kernel": lambda layers: fold(layers, step_first=True),
        "starts at nought": lambda layers: fold(layers, start=0),
        "reads from the last layer": lambda layers: receptive_field(layers[::-1]),
    },
}
