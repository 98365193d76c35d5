"""How good is a segmentation: accuracy, confusion matrix and IoU pooled over pixels, and errors near class boundaries.

In these, `prediction` and `target` are class indices of one shape, usually ``(N, H, W)``, on one device. Pixels whose
target is `ignore_index` (void: nobody labelled them) count for nothing. Left out, that is CamVid's code 11, and codes
that CamVid has not are refused; -100 counts every pixel. How good is a picture: `psnr` and `ssim`.

torchmetrics, which brings SciPy along, takes long to import, so only functions that need it do.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.checks import check_whole, is_whole
from course_utils.classes import void_or_camvids
from course_utils.tensor_checks import describe

_UNLABELLED = 255


def pixel_accuracy(prediction: Tensor, target: Tensor, ignore_index: int | None = None) -> float:
    """Share of labelled pixels that are right, pooled: each pixel of the whole set counts the same.

    The mean of the accuracies of single pictures is another number, because pictures differ in labelled pixels.
    Returns nan if no pixel is labelled.

    Raises:
        ValueError: if the shapes differ, or `prediction` holds logits instead of class indices; without
            `ignore_index` if a code of `target` is none of CamVid's.
    """
    _check_indices(prediction, target)
    labelled = _labelled(target, ignore_index)
    right = (prediction == target) & labelled
    n_labelled = int(labelled.sum())
    return int(right.sum()) / n_labelled if n_labelled else float("nan")


def confusion_matrix(prediction: Tensor, target: Tensor, n_classes: int, ignore_index: int | None = None) -> Tensor:
    """Count pixels by true and predicted class: ``(C, C)`` int64, rows are the truth, columns the prediction.

    Raises:
        ValueError: if the shapes differ, `prediction` holds logits, or a code is not below `n_classes`; for more
            classes than CamVid's without `ignore_index`.
    """
    _check_indices(prediction, target)
    check_whole(n_classes=n_classes)
    labelled = _labelled(target, void_or_camvids(ignore_index, n_classes))
    prediction, target = prediction[labelled].long(), target[labelled].long()
    for name, codes in (("prediction", prediction), ("target", target)):
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < n_classes:
            raise ValueError(
                f"{name} holds codes from {int(codes.min())} to {int(codes.max())}, outside of 0 to {n_classes - 1}: "
                f"raise n_classes={n_classes}, or set ignore_index to the code of void."
            )
    # torchmetrics takes 8 · C² bytes a pixel for this on Apple's GPUs, and where algorithms must be deterministic.
    return torch.bincount(n_classes * target + prediction, minlength=n_classes**2).view(n_classes, n_classes)


def class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union of each class: true positives / (truth + prediction - true positives).

    nan where a class is in neither truth nor prediction (Everingham et al. 2010, PASCAL VOC).

    Args:
        confusion: ``(C, C)`` as `confusion_matrix` counts it.

    Returns:
        ``(C,)`` float64, on the CPU.

    Raises:
        ValueError: if it is no square tensor.
    """
    square = isinstance(confusion, Tensor) and confusion.ndim == 2 and confusion.shape[0] == confusion.shape[1]
    if not square or confusion.is_complex():
        raise ValueError(f"confusion is {describe(confusion)}, not (C, C) counts in a tensor.")
    confusion = confusion.cpu().double()  # Apple's GPUs have no float64
    intersection = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - intersection
    return intersection / union


def mean_iou(confusion: Tensor) -> float:
    """Mean of `class_iou` over the classes that occur in the truth; nan if none does.

    A class that is only predicted has no pixel to find. It still costs: each such pixel is missing from its own class.

    Raises:
        ValueError: if `confusion` is no square tensor.
    """
    iou = class_iou(confusion)
    return float(iou[confusion.cpu().sum(1) > 0].mean())


def boundary_distance(mask: Tensor, max_distance: int = 32, ignore_index: int | None = None) -> Tensor:
    """Chessboard distance (pixels) from each pixel to the nearest pixel of another labelled class.

    1 means that one of the eight neighbours has another class. Void is no class: it neither ends a region nor stops
    the count, so the two sides of a void rim still see each other across it.

    Args:
        mask: ``(N, H, W)`` or ``(H, W)`` class indices below 254, any integer type.

    Returns:
        float32 of the same shape: inf where no other class lies within `max_distance`, nan at void pixels.

    Raises:
        ValueError: if `mask` holds anything else.
    """
    if not isinstance(mask, Tensor) or mask.is_floating_point() or mask.is_complex() or mask.ndim < 2:
        raise ValueError(f"mask is {describe(mask)}, not class indices (N, H, W) or (H, W).")
    check_whole(max_distance=max_distance)
    labelled = _labelled(mask, ignore_index)
    held = mask[labelled].long()
    if held.numel() and not 0 <= int(held.min()) <= int(held.max()) < _UNLABELLED - 1:
        raise ValueError(f"mask holds codes from {int(held.min())} to {int(held.max())}, not from 0 to 253.")
    codes = mask.to(torch.uint8) + 1
    lowest = codes.masked_fill(~labelled, _UNLABELLED)
    highest = codes.masked_fill(~labelled, 0)
    distance = torch.where(labelled, float("inf"), float("nan"))
    for step in range(1, max_distance + 1):
        far = distance.isinf()
        if not far.any():
            break
        lowest, highest = _spread(lowest, torch.minimum), _spread(highest, torch.maximum)
        # Within `step` pixels there are two classes, so one of them is not the pixel's own.
        distance.masked_fill_((lowest < highest) & far, step)
    return distance


def boundary_error(
    prediction: Tensor, target: Tensor, edges: Sequence[int] = (1, 2, 4, 8, 16), ignore_index: int | None = None
) -> Tensor:
    """Share of wrong pixels by `boundary_distance` in the truth: ``(len(edges) + 1,)`` float64, pooled.

    Entry 0 is for distances up to ``edges[0]``, entry ``i`` for those above ``edges[i - 1]`` and up to ``edges[i]``,
    the last one for all above ``edges[-1]``; nan where there is no such pixel.

    Raises:
        ValueError: if the shapes differ, `prediction` holds logits, or `edges` do not rise.
    """
    _check_indices(prediction, target)
    whole = isinstance(edges, Sequence) and bool(edges) and all(map(is_whole, edges))
    if not whole or sorted(set(edges)) != list(edges) or edges[0] < 1:
        raise ValueError(f"edges={edges!r} is no list of rising distances of at least 1 pixel.")
    distance = boundary_distance(target, edges[-1], ignore_index)
    labelled = _labelled(target, ignore_index)
    limits = torch.tensor(edges, dtype=torch.float32, device=target.device)
    bins = torch.bucketize(distance[labelled], limits).cpu()  # Apple's GPUs have no float64
    wrong = (prediction != target)[labelled].cpu()
    n_bins = len(edges) + 1
    pixels = torch.bincount(bins, minlength=n_bins)
    return torch.bincount(bins[wrong], minlength=n_bins).double() / pixels


def psnr(prediction: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels, ``-10 · log10(mean squared error)``, mean over pictures; more is better.

    Args:
        prediction: ``(N, C, H, W)`` floats; white is 1, black is 0. Values beyond are errors like others.
        target: the same shape.

    Returns:
        Infinite if a picture equals its target.

    Raises:
        ValueError: if they are not float pictures of one shape, finite, the target from about 0 to 1.
    """
    prediction, target = _checked_pictures(prediction, target)
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(prediction, target, data_range=1.0, dim=(1, 2, 3)))


def ssim(prediction: Tensor, target: Tensor) -> float:
    """Structural similarity in a Gaussian window of 11 pixels, mean over pictures; 1 is equality (Wang et al. 2004).

    As torchmetrics has it: every pixel is the centre of a window, and the picture goes on beyond its border as its
    mirror image. Wang et al. take only the windows inside, so in small pictures their mean is another number.

    Args:
        prediction: ``(N, C, H, W)`` floats; white is 1, black is 0, values beyond are errors like others; sides of at
            least 11 pixels.
        target: the same shape.

    Raises:
        ValueError: if they are not float pictures of one shape, finite, the target from about 0 to 1; if they are
            smaller than the window.
    """
    prediction, target = _checked_pictures(prediction, target)
    if min(prediction.shape[-2:]) < 11:
        raise ValueError(f"pictures of {tuple(prediction.shape[-2:])} pixels are smaller than the window of 11 × 11.")
    from torchmetrics.functional.image import structural_similarity_index_measure

    with torch.autocast(prediction.device.type, enabled=False):  # its convolutions would run in half precision
        return float(structural_similarity_index_measure(prediction, target, data_range=1.0))


def _checked_pictures(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both, once they can be judged, in single precision at least: in half precision these formulas go wrong.

    Without a graph: nothing goes back through a number of Python.
    """
    for name, pictures in (("prediction", prediction), ("target", target)):
        if not isinstance(pictures, Tensor):
            raise ValueError(f"{name} is {describe(pictures)}; torch.from_numpy makes a tensor of an array.")
    if prediction.shape != target.shape or prediction.ndim != 4:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} are not pictures (N, C, H, W) "
            "of one shape."
        )
    if not (prediction.is_floating_point() and target.is_floating_point()):
        raise ValueError(f"prediction is {prediction.dtype}, target {target.dtype}: both need floats, 1 for white.")
    if not prediction.numel():
        raise ValueError(f"prediction and target {tuple(prediction.shape)} hold no picture.")
    for name, pictures in (("prediction", prediction), ("target", target)):
        if not pictures.isfinite().all():
            raise ValueError(f"the {name} holds values that are not finite; look where they come from.")
    if target.max() > 1.5 or target.min() < -0.5:
        raise ValueError(
            f"the target runs from {target.min():.3g} to {target.max():.3g}, not from 0 (black) to 1 (white): "
            "rescale both."
        )
    precision = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    return prediction.detach().to(precision), target.detach().to(precision)


def _spread(values: Tensor, choose) -> Tensor:
    """Minimum or maximum over the 3×3 neighbourhood of each pixel."""
    for dim in (-1, -2):
        size = values.shape[dim] - 1
        before, after = values.narrow(dim, 0, size), values.narrow(dim, 1, size)
        spread = values.clone()
        spread.narrow(dim, 1, size).copy_(choose(after, before))
        here = spread.narrow(dim, 0, size)
        here.copy_(choose(here, after))
        values = spread
    return values


def _labelled(mask: Tensor, ignore_index: int | None) -> Tensor:
    """Where `mask` is another code; a code that its type cannot hold is nowhere (torch would let it wrap)."""
    n_codes = int(mask.long().max()) + 1 if ignore_index is None and mask.numel() else 0
    ignore_index = void_or_camvids(ignore_index, n_codes)
    limits = torch.iinfo(mask.dtype) if mask.dtype != torch.bool else None
    if limits is not None and not limits.min <= ignore_index <= limits.max:
        return torch.ones_like(mask, dtype=torch.bool)
    return mask != ignore_index


def _check_indices(prediction: Tensor, target: Tensor) -> None:
    for name, codes in (("prediction", prediction), ("target", target)):
        if not isinstance(codes, Tensor):
            raise ValueError(f"{name} is {describe(codes)}, not a tensor of class indices.")
    if prediction.is_floating_point() or prediction.is_complex():
        raise ValueError(
            f"prediction is {prediction.dtype}, not class indices; of logits (N, C, H, W) take logits.max(1).indices."
        )
    if target.is_floating_point() or target.is_complex():
        raise ValueError(f"target is {target.dtype}, not class indices; take target.long() if its values are codes.")
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape.")
