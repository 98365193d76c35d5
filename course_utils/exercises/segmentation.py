"""The exercises of notebook 01: masks, the loss and the scores of a pixel classifier, by hand."""

from collections.abc import Iterator

import torch
from torch import Tensor

from course_utils.exercises.core import Exercise


def _integers(generator: torch.Generator, high: int, *size: int) -> Tensor:
    return torch.randint(high, size, generator=generator)


def _remap_mask(mask: Tensor, height: int, width: int) -> Tensor:
    rows = (2 * torch.arange(height) + 1) * mask.shape[0] // (2 * height)
    columns = (2 * torch.arange(width) + 1) * mask.shape[1] // (2 * width)
    return mask[rows][:, columns]


def _remap_cases(generator: torch.Generator) -> Iterator[tuple]:
    sizes = [(2, 2, 4, 4), (4, 4, 2, 2), (3, 4, 3, 4), (2, 3, 5, 7), (5, 7, 3, 4), (4, 6, 6, 4), (12, 16, 9, 20)]
    # Centres on a border between old rows, which floats miss: 38 of 77 in one order of calculation, others in others.
    sizes += [(90, 2, 77, 2), (2, 2, 49, 2), (22, 2, 11, 2), (22, 2, 33, 2)]
    for height, width, new_height, new_width in sizes:
        yield _integers(generator, 12, height, width).to(torch.uint8), new_height, new_width


REMAP_MASK = Exercise(
    name="remap_mask",
    specification=(
        "remap_mask(mask, height, width) takes an (H, W) mask of whole numbers and gives a (height, width) mask: "
        "each pixel copies the code of the old pixel in which its centre lies; exactly on a border, of the one to the "
        "right or below."
    ),
    reference=_remap_mask,
    cases=_remap_cases,
    hints=(
        "No arithmetic on the codes: only on the row and column numbers. Which old row does new row i come from?",
        "Pixel i covers i to i + 1, so its centre is i + 0.5; in units of old rows that is (i + 0.5) * H / height.",
        "In whole numbers: rows = (2 * torch.arange(height) + 1) * H // (2 * height), columns likewise, then index the "
        "mask by both.",
    ),
)


def _cross_entropy(logits: Tensor, target: Tensor, void: int) -> Tensor:
    labelled = target != void
    log_probability = logits - logits.logsumexp(dim=1, keepdim=True)
    truth = log_probability.gather(1, target.where(labelled, 0)[:, None])[:, 0]
    return -truth[labelled].mean()


def _cross_entropy_cases(generator: torch.Generator) -> Iterator[tuple]:
    for batch, classes, height, width, scale in [(1, 2, 1, 2, 1), (2, 3, 2, 2, 1), (3, 12, 5, 4, 3), (2, 4, 3, 5, 200)]:
        logits = scale * torch.randn(batch, classes, height, width, generator=generator)
        target = _integers(generator, classes - 1, batch, height, width)
        target.view(-1)[::3] = classes - 1  # void is the last class: the network has an output for it, nobody counts it
        yield logits, target, classes - 1
    for void in (0, 1):  # nor need it be the last
        target = torch.arange(12).remainder(4).reshape(1, 3, 4)
        yield torch.randn(1, 4, 3, 4, generator=generator), target, void
    # Void need not be one of the network's outputs at all.
    target = _integers(generator, 3, 2, 3, 3)
    target[1, 1:] = 255
    yield torch.randn(2, 3, 3, 3, generator=generator), target, 255


CROSS_ENTROPY = Exercise(
    name="cross_entropy",
    specification=(
        "cross_entropy(logits, target, void) takes logits (N, C, H, W), class numbers (N, H, W) and the number that "
        "means unlabelled, and gives the mean over all labelled pixels of minus the log of the true class's softmax, "
        "without F.cross_entropy."
    ),
    reference=_cross_entropy,
    cases=_cross_entropy_cases,
    without=("cross_entropy",),
    hints=(
        "Three steps: log of the softmax over the classes, pick the true class's at each pixel, average what counts.",
        "logits.log_softmax(1) survives large logits, torch.log(logits.softmax(1)) does not. `gather` picks by index; "
        "void may be no index at all, so replace it by 0, in a copy, before you pick.",
        "keep = target != void; safe = target.where(keep, 0); logits.log_softmax(1).gather(1, safe[:, None])[:, 0] "
        "holds one number a pixel: minus the mean of those in `keep`.",
    ),
    tolerance=1e-5,
)


def _pooled_accuracy(batches: list[tuple[Tensor, Tensor]], void: int) -> float:
    correct = sum(int(((prediction == target) & (target != void)).sum()) for prediction, target in batches)
    return correct / sum(int((target != void).sum()) for _, target in batches)


def _pooled_accuracy_cases(generator: torch.Generator) -> Iterator[tuple]:
    for classes, sides in [(3, (2, 1)), (4, (3, 2)), (4, (3, 4, 2)), (12, (8, 8, 3))]:
        batches = []
        for side in sides:
            target = _integers(generator, classes, 2, side, side)
            guess = _integers(generator, classes, 2, side, side)
            target[0, 0, 0] = classes - 1
            target[1, 0, 0] = guess[1, 0, 0] = 0
            guess[0, 0, 0] = classes - 1  # void met with void is no success
            batches.append((guess.where(torch.rand(guess.shape, generator=generator) < 0.5, target), target))
        yield batches, classes - 1
    target = _integers(generator, 2, 1, 3, 3)
    yield [(target, target), (target.flip(1), torch.full_like(target, 2))], 2  # nothing in the last batch is labelled
    target = torch.arange(9).remainder(3).reshape(1, 3, 3)
    yield [(target.flip(1), target)], 0


POOLED_ACCURACY = Exercise(
    name="pooled_accuracy",
    specification=(
        "pooled_accuracy(batches, void) takes a list of pairs (prediction, target), both (N, H, W) class numbers, and "
        "gives the share of right predictions among all labelled pixels of all batches together."
    ),
    reference=_pooled_accuracy,
    cases=_pooled_accuracy_cases,
    hints=(
        "Batches differ in how many labelled pixels they hold, so the mean of their accuracies is another number.",
        "Keep two running counts, right pixels and labelled pixels, and divide once at the end.",
        "A pixel is labelled if its *target* is not void; it is right if it is labelled and prediction == target.",
    ),
    tolerance=1e-6,
)


def _iou_from_confusion(confusion: Tensor) -> Tensor:
    intersection = confusion.diagonal().double()
    return intersection / (confusion.sum(0) + confusion.sum(1) - confusion.diagonal())


def _iou_cases(generator: torch.Generator) -> Iterator[tuple]:
    for classes in (2, 3, 4, 12):
        yield (_integers(generator, 50, classes, classes),)
    absent = _integers(generator, 9, 4, 4)
    absent[2] = absent[:, 2] = 0  # neither there nor predicted
    absent[3] = 0  # predicted, but never there
    yield (absent,)
    yield (torch.tensor([[5, 0], [3, 0]]),)  # there, but never predicted


IOU_FROM_CONFUSION = Exercise(
    name="iou_from_confusion",
    specification=(
        "iou_from_confusion(confusion) takes a (C, C) table of pixel counts, truth in rows and prediction in columns, "
        "and gives C numbers: intersection over union of each class, nan where a class is in neither."
    ),
    reference=_iou_from_confusion,
    cases=_iou_cases,
    hints=(
        "The diagonal holds the intersections. A row sums to the pixels of a class, a column to its predictions.",
        "The union is row sum plus column sum, but that counts the intersection twice.",
        "confusion.diagonal() / (confusion.sum(0) + confusion.sum(1) - confusion.diagonal()); 0 / 0 is nan by itself.",
    ),
    tolerance=1e-6,
)


def _receptive_field(layers: list[tuple[int, int]]) -> int:
    side = 1
    for kernel_size, stride in reversed(layers):
        side = (side - 1) * stride + kernel_size
    return side


def _receptive_field_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield ([],)
    yield ([(3, 1)],)
    yield ([(3, 2), (3, 1)],)
    yield ([(1, 1), (1, 2), (3, 1)],)
    yield ([(7, 2), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1)],)  # how a ResNet begins
    for depth in (2, 3, 5, 8):
        kernels, strides = _integers(generator, 5, depth) + 1, _integers(generator, 3, depth) + 1
        yield (list(zip(kernels.tolist(), strides.tolist(), strict=True)),)


RECEPTIVE_FIELD = Exercise(
    name="receptive_field",
    specification=(
        "receptive_field(layers) takes a list of (kernel_size, stride), first layer first, and gives the side in input "
        "pixels of the smallest square that holds every input pixel which one output pixel sees; a stride larger than "
        "its kernel leaves gaps in it."
    ),
    reference=_receptive_field,
    cases=_receptive_field_cases,
    hints=(
        "With no layer at all an output pixel is an input pixel: the side is 1. What does one more layer add?",
        "A kernel reaches kernel_size - 1 steps further; how many input pixels is a step, after all strides so far?",
        "Start with side, step = 1, 1; for each layer first side += (kernel_size - 1) * step, then step *= stride.",
    ),
)


SEGMENTATION_EXERCISES = (REMAP_MASK, CROSS_ENTROPY, POOLED_ACCURACY, IOU_FROM_CONFUSION, RECEPTIVE_FIELD)
