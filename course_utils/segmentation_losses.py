"""Losses that give rare classes more of a say: class weights, and the Lovász extension of IoU."""

import torch
from torch import Tensor, nn

from course_utils.camvid import CachedSplit
from course_utils.checks import check_whole, is_number
from course_utils.classes import void_or_camvids
from course_utils.distributed import terms
from course_utils.tensor_checks import describe


def class_weights(train: CachedSplit, power: float = 0.5) -> Tensor:
    """Weight of each class ``(C,)``: its share of the labelled pixels of `train` to the power ``-power``.

    They are scaled so that the mean over labelled pixels is 1; a class that does not occur, and void, weigh nothing.
    ``power=1`` gives every class the same say in the loss, 0 every pixel.

    Raises:
        ValueError: if `power` is not from 0 to 1, or no pixel of `train` has a class.
    """
    if not is_number(power) or not 0 <= power <= 1:
        raise ValueError(f"power={power!r} is not from 0 (no weights) to 1 (each class weighs the same).")
    counts = torch.bincount(train.masks[train.masks != train.void], minlength=len(train.codes))
    counts = counts.cpu().double()  # Apple's GPUs have no float64
    if not counts.any():
        raise ValueError("no pixel of the training pictures has a class: all are void; look at their masks.")
    weights = torch.where(counts > 0, counts**-power, 0)
    return (weights * counts.sum() / (weights * counts).sum()).float().to(train.masks.device)


LEVELS, MOST_LEVELS = 1024, 2**16
"""Bins in which a CPU counts errors, in a fraction of the time that sorting takes; the most that may be asked for."""


def lovasz_softmax(
    logits: Tensor, target: Tensor, ignore_index: int | None = None, levels: int | None = None
) -> Tensor:
    """One minus the mean IoU of each picture ``(N,)``, made differentiable (Berman et al. 2018).

    IoU is a function of the set of wrong pixels. Its Lovász extension takes soft errors ``|1 - p|`` and ``|p|`` in
    falling order, and weighs each by how much IoU falls when that pixel joins the wrong ones. The mean runs over the
    classes that the picture shows.

    Args:
        logits: ``(N, C, H, W)``.
        target: ``(N, H, W)`` codes.
        ignore_index: pixels with this code have no part in it; CamVid's void if left out, with up to 12 classes.
        levels: instead of sorting, count errors in so many equal steps, up to 65536. The result differs by less than
            ``1 / levels``.

    Raises:
        ValueError: if `levels` is not a whole number from 1 to 65536; for other shapes, targets that are no integers, a
            single class, more classes than CamVid's without `ignore_index`, and (on a CPU, since a GPU would have to
            wait) codes of no class.
    """
    target, ignore_index = _checked(logits, target, ignore_index)
    codes = torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1)
    target = target.flatten(1).unsqueeze(1)
    labelled = target != ignore_index
    there = (target == codes) & labelled
    # A void pixel with error 0 comes last in the order, and weighs nothing.
    errors = (there.float() - logits.float().softmax(1).flatten(2)).abs() * labelled
    if levels is None:
        errors, order = errors.sort(2, descending=True)
        found = there.gather(2, order).float()
        lost = _iou_lost(found.cumsum(2), (1 - found).cumsum(2), found.sum(2, keepdim=True))
        weights = lost.diff(dim=2, prepend=torch.zeros_like(lost[..., :1]))
    else:
        weights = _weights_by_counting(errors.detach(), there, labelled, levels)
    shown = there.any(2)
    return ((errors * weights).sum(2) * shown).sum(1) / shown.sum(1).clamp(min=1)


def _checked(logits: Tensor, target: Tensor, ignore_index: int | None) -> tuple[Tensor, int]:
    """The target as int64, in which every `ignore_index` fits, and the code that has no part in a loss.

    Raises:
        ValueError: for what a loss would take for a perfect or an empty mask.
    """
    if not isinstance(target, Tensor) or target.is_floating_point() or target.is_complex():
        raise ValueError(f"target is {describe(target)}, not the code of a class for each pixel, in whole numbers.")
    if logits.ndim != 4 or logits.shape[1] < 2 or target.shape != (len(logits), *logits.shape[2:]):
        raise ValueError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} are not (N, C, H, W), C at least 2, and "
            "(N, H, W)."
        )
    target, ignore_index = target.long(), void_or_camvids(ignore_index, logits.shape[1])
    if target.device.type == "cpu":
        strange = target[(target != ignore_index) & ((target < 0) | (target >= logits.shape[1]))]
        if strange.numel():
            raise ValueError(
                f"target holds the code {int(strange[0])}, which is neither one of {logits.shape[1]} classes nor "
                f"ignore_index={ignore_index}."
            )
    return target, ignore_index


def _iou_lost(found: Tensor, others: Tensor, pixels: Tensor) -> Tensor:
    """One minus the IoU of a class of so many `pixels`, when `found` of them and `others` are misjudged."""
    return 1 - (pixels - found) / (pixels + others).clamp(min=1)


def _weights_by_counting(errors: Tensor, there: Tensor, labelled: Tensor, levels: int) -> Tensor:
    """What each error ``(N, C, P)`` weighs, where all errors of one of `levels` steps count as equal.

    In one step the class's own pixels weigh the same, and the others do: the mean of what they would weigh if all own
    pixels came first in it, and if all others did.
    """
    check_whole(levels=levels)
    if levels > MOST_LEVELS:
        raise ValueError(f"levels={levels} is more than {MOST_LEVELS}; levels=None sorts.")
    rows = torch.arange(errors[..., 0].numel(), dtype=torch.int32, device=errors.device).view(*errors.shape[:2], 1)
    place = (errors * levels).int().clamp_(0, levels - 1).add_(rows * levels).mul_(2).add_(there)
    counts = torch.bincount(place.flatten(), minlength=2 * levels * rows.numel()).view(*errors.shape[:2], levels, 2)
    counts[..., 0, 0] -= (~labelled).sum(2)  # void, whose errors are 0
    others, own = counts.flip(2).unbind(3)  # from the largest errors to the smallest
    others_so_far, own_so_far = others.cumsum(2), own.cumsum(2)
    pixels = own_so_far[..., -1:]
    before, after = (
        (_iou_lost(own_so_far - own, count, pixels), _iou_lost(own_so_far, count, pixels))
        for count in (others_so_far - others, others_so_far)
    )
    of_others = (after[0] - before[0] + after[1] - before[1]) / (2 * others).clamp(min=1)
    of_own = (before[1] - before[0] + after[1] - after[0]) / (2 * own).clamp(min=1)
    weights = torch.stack([of_others, of_own], 3).flip(2)
    return weights.flatten().index_select(0, place.flatten()).view_as(errors)


class LovaszCrossEntropy(nn.CrossEntropyLoss):
    """Cross-entropy plus `lovasz` times `lovasz_softmax`, its mean over pictures, which weigh by their labelled pixels.

    So both parts are means over the same terms, and the loss of a batch follows from those of its shares. On a CPU the
    extension counts errors in `LEVELS` steps; a GPU sorts them.

    Args:
        weight: of each class ``(C,)``, in the cross-entropy.
        ignore_index: code that does not count; CamVid's void if left out, with up to 12 classes.

    Calling it raises the errors of `lovasz_softmax`.
    """

    def __init__(self, lovasz: float = 1.0, weight: Tensor | None = None, ignore_index: int | None = None) -> None:
        if not is_number(lovasz) or not 0 <= lovasz < float("inf"):
            raise ValueError(f"lovasz={lovasz!r} is not a number of at least 0.")
        super().__init__(weight, ignore_index=void_or_camvids(ignore_index, 0))
        self.lovasz, self.for_camvid = lovasz, ignore_index is None

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        levels = LEVELS if logits.device.type == "cpu" else None
        lost = lovasz_softmax(logits, target, None if self.for_camvid else self.ignore_index, levels)
        target = target.long()
        share = torch.stack([terms(self, mask) for mask in target])
        total = share.sum()
        # Where all is void, cross-entropy is nan but its gradient 0: a process may have such a share of a batch.
        total = torch.where(total > 0, total, 1)
        return super().forward(logits, target) + self.lovasz * ((lost * share).sum() / total)
