"""From a trained network to class maps and their scores: predict a split, judge it, segment one photograph."""

import itertools
import math
from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from course_utils.camvid import CachedSplit, normalise
from course_utils.checks import check_sides, is_whole
from course_utils.classes import VOID
from course_utils.distributed import rank, sum_over_processes, world_size
from course_utils.metrics import class_iou, confusion_matrix, mean_iou
from course_utils.modes import evaluation_mode
from course_utils.picture_files import read_upright, to_colour
from course_utils.tensor_checks import check_channels

LARGEST_WIDTH = 8192
"""In pixels, of a photograph that is segmented whole."""


def cross_entropy(void: int = VOID) -> nn.CrossEntropyLoss:
    """Mean cross-entropy over labelled pixels: ``(N, C, H, W)`` logits against ``(N, H, W)`` codes, void left out.

    Args:
        void: its code; CamVid's if left out. Classes of your own without void: -100.
    """
    return nn.CrossEntropyLoss(ignore_index=void)


@torch.no_grad()
def predict(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Most likely class of every pixel of every batch, ``(N, H, W)`` on the model's device, in eval mode.

    Of type uint8, but with more than 256 classes int64.

    Each module of the model is back in its own mode afterwards.

    Raises:
        ValueError: if there is no batch, if pictures differ in size, or if the network gives a single channel, or nan.
    """
    device = next(model.parameters()).device
    with evaluation_mode(model):
        pairs = [_codes(model(images.to(device))) for images, _ in batches]
    if not pairs:
        raise ValueError("batches is empty, so there is nothing to predict.")
    codes, spoilt = zip(*pairs, strict=True)
    _check_numbers(torch.stack(spoilt))
    sizes = list(dict.fromkeys(tuple(found.shape[1:]) for found in codes))
    if len(sizes) > 1:
        raise ValueError(f"pictures of {sizes[0]} and {sizes[1]} pixels make no one tensor; predict them size by size.")
    return torch.cat(codes)


def _codes(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest classes, and whether a score was nan, which would pass for the largest."""
    check_channels(logits)
    best, found = logits.max(1)  # what argmax gives, in a fifth of its time on a CPU
    return found.byte() if logits.shape[1] <= 256 else found, best.isnan().any()


def _check_numbers(spoilt: Tensor) -> None:
    """Raise a `ValueError` if one of these is true: asked once, because a GPU would have to wait each time."""
    if spoilt.any():
        raise ValueError("the network gives nan, which is no score; look at its weights, or for nan in the pictures.")


def count_confusion(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], n_classes: int, void: int | None = None
) -> Tensor:
    """Confusion matrix ``(C, C)`` int64 of `model` over all batches, in eval mode, void left out.

    `void` is as `ignore_index` in `course_utils.metrics`. Several processes take the batches in turn, and each gets
    the sum of all.
    """
    device = next(model.parameters()).device
    confusion = torch.zeros(n_classes, n_classes, dtype=torch.int64, device=device)
    for images, masks in itertools.islice(batches, rank(), None, world_size()):
        confusion += confusion_matrix(predict(model, [(images, masks)]), masks.to(device), n_classes, void)
    return sum_over_processes(confusion)


def scores_of(confusion: Tensor) -> dict[str, float]:
    """Pooled pixel accuracy and mean IoU from a confusion matrix ``(C, C)``; nan where no pixel is labelled."""
    right, labelled = int(confusion.trace()), int(confusion.sum())
    return {"accuracy": right / labelled if labelled else float("nan"), "mean_iou": mean_iou(confusion)}


def scores(prediction: Tensor, split: CachedSplit) -> dict[str, float]:
    """Pooled pixel accuracy and mean IoU of ``(N, H, W)`` predictions for a whole split, void left out."""
    masks = split.masks.to(prediction.device)
    return scores_of(confusion_matrix(prediction, masks, len(split.codes), split.void))


def iou_by_class(prediction: Tensor, split: CachedSplit) -> dict[str, float]:
    """IoU of each class by its name, without void; nan for a class that neither truth nor prediction holds."""
    return iou_of(confusion_matrix(prediction, split.masks.to(prediction.device), len(split.codes), split.void), split)


def iou_of(confusion: Tensor, split: CachedSplit) -> dict[str, float]:
    """IoU of each class of `split` by its name, from a confusion matrix ``(C, C)``."""
    iou = class_iou(confusion)
    return {name: iou[code].item() for code, name in enumerate(split.codes) if code != split.void}


def most_common_class(train: CachedSplit, split: CachedSplit) -> Tensor:
    """Baseline that looks at nothing: the most common class of `train`, for every pixel of `split`."""
    counts = torch.bincount(train.masks[train.masks != train.void], minlength=len(train.codes))
    return torch.full_like(split.masks, int(counts.argmax()))


def most_common_by_position(train: CachedSplit, split: CachedSplit) -> Tensor:
    """Baseline that looks at no picture: at each pixel the class that `train` shows there most often."""
    best = torch.zeros_like(train.masks[0])
    best_count = torch.full(best.shape, -1, device=best.device)
    for code in range(len(train.codes)):
        if code == train.void:
            continue
        count = (train.masks == code).sum(0)
        best = torch.where(count > best_count, code, best).to(train.masks.dtype)
        best_count = torch.maximum(count, best_count)
    return best.expand_as(split.masks)


def most_common_by_colour_and_position(train: CachedSplit, split: CachedSplit) -> Tensor:
    """Baseline that sees one pixel: what `train` shows most often in that colour in that part of the picture.

    Each channel has 8 steps, the picture 12 × 16 parts; a colour that `train` does not show there gets the class of
    `most_common_by_position`.
    """
    height, width = train.images.shape[-2:]
    rows, columns = (
        torch.arange(side, device=train.images.device) * n // side for side, n in ((height, 12), (width, 16))
    )
    part = rows[:, None] * 16 + columns

    def bins(images: Tensor) -> Tensor:
        red, green, blue = (images // 32).long().unbind(1)
        return ((part * 8 + red) * 8 + green) * 8 + blue

    n_classes, labelled = len(train.codes), train.masks != train.void
    pairs = bins(train.images)[labelled] * n_classes + train.masks[labelled].long()
    counts = torch.bincount(pairs, minlength=12 * 16 * 8**3 * n_classes).view(-1, n_classes)
    found = bins(split.images)
    best, seen = counts.argmax(1).to(train.masks.dtype), counts.any(1)
    return torch.where(seen[found], best[found], most_common_by_position(train, split))


def scaled_sides(photograph: Image.Image, size: tuple[int, int], name: object = "the photograph") -> tuple[int, int]:
    """Height and width in pixels at which `segment_photograph` looks at a photograph that is upright.

    Raises:
        ValueError: for a strip so long that it would be wider than `LARGEST_WIDTH`, by its `name`.
    """
    height = max(size[0], 32)
    width = max(32, round(photograph.width * height / photograph.height))
    if width > LARGEST_WIDTH:
        raise ValueError(
            f"{name} has {photograph.width} × {photograph.height} pixels (width × height), and would be {width} wide "
            f"at a height of {height}, more than {LARGEST_WIDTH}; cut it."
        )
    return height, width


@torch.no_grad()
def segment_photograph(
    model: nn.Module, photograph: str | Image.Image | np.ndarray, size: tuple[int, int], void: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Segment one photograph of any size.

    Args:
        photograph: a path, a PIL picture (both turned upright as their EXIF data say), or an ``(H, W, 3)`` uint8 array.
        size: ``(H, W)`` that the network was trained at. The photograph is scaled so that its height is that H; its
            width follows its own shape.
        void: code that no pixel shall get, though a network trained for a short time may find it likeliest.

    Returns:
        The scaled photograph ``(h, w, 3)`` uint8 and its class codes ``(h, w)`` uint8.

    Raises:
        ValueError: for an array of another kind, grey with more than 8 bits, or a strip so long that it would be
            wider than `LARGEST_WIDTH`; if `size` is no pair of sides, `void` is none of the network's classes, or the
            network gives nan.
    """
    check_sides(size=size)
    if isinstance(photograph, np.ndarray):
        if photograph.dtype != np.uint8 or photograph.ndim != 3 or photograph.shape[2] != 3 or not photograph.size:
            raise ValueError(f"photograph is {photograph.dtype} {photograph.shape}; give (H, W, 3) uint8.")
        photograph = Image.fromarray(photograph)
    elif isinstance(photograph, Image.Image):
        if not min(photograph.size):
            raise ValueError("the photograph has no pixels.")
        photograph = to_colour(ImageOps.exif_transpose(photograph), "the photograph")
    else:
        photograph = read_upright(photograph)
    height, width = scaled_sides(photograph, size)
    small = np.array(photograph.resize((width, height), Image.Resampling.BILINEAR))
    device = next(model.parameters()).device
    picture = normalise(torch.from_numpy(small).permute(2, 0, 1).unsqueeze(0).to(device))
    with evaluation_mode(model):
        logits = model(picture)
    if void is not None:
        if not is_whole(void) or not 0 <= void < logits.shape[1]:
            raise ValueError(
                f"void={void!r} is none of the network's classes, 0 to {logits.shape[1] - 1}; None leaves it out."
            )
        logits = logits.index_fill(1, torch.tensor([void], device=device), -math.inf)
    codes, spoilt = _codes(logits)
    _check_numbers(spoilt)
    return small, codes[0].cpu().numpy()
