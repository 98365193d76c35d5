"""Metrics against loops written out by hand, other libraries, and properties that must hold for any masks."""

import math
import subprocess
import sys

import pytest
import torch
import torchmetrics.functional.segmentation as reference_segmentation
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

from course_utils.classes import VOID
from course_utils.metrics import (
    boundary_distance,
    boundary_error,
    class_iou,
    confusion_matrix,
    mean_iou,
    pixel_accuracy,
)

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


CODES = torch.zeros(1, 4, 4, dtype=torch.int64)


def test_the_library_that_counts_is_imported_when_it_is_needed():
    """It brings SciPy along, and takes seconds."""
    code = "import sys; import course_utils.metrics; print({'torchmetrics', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def random_pair(seed=0, shape=(3, 9, 11), n_classes=12, agreement=0.6):
    """Random masks with void, and predictions that agree with them on a known share of pixels or so."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(n_classes, shape, generator=generator)
    other = torch.randint(n_classes - 1, shape, generator=generator)
    return torch.where(torch.rand(shape, generator=generator) < agreement, target.clamp(max=10), other), target


def count_by_hand(prediction, target, n_classes, ignore_index):
    counts = [[0] * n_classes for _ in range(n_classes)]
    for p, t in zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True):
        if t != ignore_index:
            counts[t][p] += 1
    return torch.tensor(counts)


def distance_by_hand(mask, y, x, ignore_index):
    """Chessboard distance to the nearest labelled pixel of another class in a list of rows, by trying all of them."""
    others = [
        max(abs(y - v), abs(x - u))
        for v, row in enumerate(mask)
        for u, code in enumerate(row)
        if code not in (mask[y][x], ignore_index)
    ]
    return min(others, default=math.inf)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_confusion_matrix_counts_as_a_loop_does(device, dtype):
    prediction, target = random_pair()
    found = confusion_matrix(prediction.to(device, dtype), target.to(device, dtype), 12)
    expected = count_by_hand(prediction, target, 12, VOID)
    assert expected.sum() > 100
    assert torch.equal(found.cpu(), expected)
    assert found.dtype == torch.int64


def test_confusion_matrix_of_many_classes_in_8_bits_does_not_overflow():
    prediction, target = random_pair(n_classes=32)
    expected = count_by_hand(prediction, target, 32, 30)
    assert torch.equal(confusion_matrix(prediction.byte(), target.byte(), 32, ignore_index=30), expected)


def test_confusion_matrix_agrees_with_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    prediction, target = random_pair(1)
    labelled = target != VOID
    expected = sklearn_metrics.confusion_matrix(target[labelled], prediction[labelled], labels=range(11))
    assert torch.equal(confusion_matrix(prediction, target, 11), torch.from_numpy(expected))


def test_a_confusion_matrix_needs_no_table_of_pixels_by_classes_squared():
    """torchmetrics makes one where algorithms must be deterministic."""

    class Largest(TorchFunctionMode):
        size = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            self.size = max(self.size, made.numel() if isinstance(made, torch.Tensor) else 0)
            return made

    prediction, target = torch.randint(12, (2, 100, 100), dtype=torch.uint8)
    expected = [[((target == i) & (prediction == j)).sum().item() for j in range(12)] for i in range(12)]
    torch.use_deterministic_algorithms(True)
    try:
        with Largest() as largest:
            found = confusion_matrix(prediction, target, 12, ignore_index=255)
    finally:
        torch.use_deterministic_algorithms(False)
    assert found.tolist() == expected and largest.size <= prediction.numel()


def test_scores_agree_with_torchmetrics():
    prediction, target = random_pair(2, (4, 20, 20))
    confusion = confusion_matrix(prediction, target, 11)
    options = {"num_classes": 11, "ignore_index": VOID}
    accuracy = multiclass_accuracy(prediction, target, average="micro", **options)
    assert pixel_accuracy(prediction, target) == pytest.approx(accuracy.item(), abs=1e-6)
    jaccard = multiclass_jaccard_index(prediction, target, average=None, **options)
    assert class_iou(confusion).tolist() == pytest.approx(jaccard.tolist(), abs=1e-6)
    assert mean_iou(confusion) == pytest.approx(jaccard.mean().item(), abs=1e-6)


def test_iou_agrees_with_the_segmentation_metric_of_torchmetrics():
    generator = torch.Generator().manual_seed(3)
    prediction, target = torch.randint(4, (2, 1, 16, 16), generator=generator)
    expected = reference_segmentation.mean_iou(prediction, target, num_classes=4, per_class=True, input_format="index")
    assert class_iou(confusion_matrix(prediction, target, 4)).tolist() == pytest.approx(expected[0].tolist())


def test_iou_by_hand():
    confusion = torch.tensor([[3, 1, 0, 0], [2, 4, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    found = class_iou(confusion)
    assert found[:2].tolist() == [3 / 6, 4 / 7]
    assert found[2:].isnan().all()
    assert mean_iou(confusion) == pytest.approx((3 / 6 + 4 / 7) / 2)


def test_a_class_that_is_only_predicted_has_iou_zero_and_stays_out_of_the_mean():
    target = torch.tensor([0, 0, 1, 1])
    prediction = torch.tensor([0, 2, 1, 1])
    confusion = confusion_matrix(prediction, target, 3)
    assert class_iou(confusion).tolist() == [0.5, 1, 0]
    assert mean_iou(confusion) == 0.75


def test_a_predicted_void_is_an_error_and_does_not_change_the_classes_of_the_mean():
    target = torch.tensor([0, 0, VOID, 1])
    prediction = torch.tensor([0, VOID, VOID, 1])
    assert pixel_accuracy(prediction, target) == pytest.approx(2 / 3)
    assert mean_iou(confusion_matrix(prediction, target, 12)) == 0.75


def test_the_mean_of_picture_accuracies_is_not_the_pooled_accuracy():
    target = torch.full((2, 1, 4), VOID)
    target[0, 0, 0] = 3
    target[1] = 3
    prediction = torch.full((2, 1, 4), 3)
    prediction[0] = 0
    of_pictures = [pixel_accuracy(prediction[i], target[i]) for i in range(2)]
    assert of_pictures == [0, 1]
    assert pixel_accuracy(prediction, target) == 4 / 5


def test_nothing_labelled_gives_nan_not_a_crash():
    target = torch.full((1, 3, 3), VOID)
    prediction = torch.zeros_like(target)
    assert math.isnan(pixel_accuracy(prediction, target))
    assert math.isnan(mean_iou(confusion_matrix(prediction, target, 11)))
    assert boundary_distance(target).isnan().all()
    assert boundary_error(prediction, target).isnan().all()


def test_boundary_distance_takes_any_integers():
    mask = torch.tensor([[0, 0, 1]])
    for dtype in (torch.uint8, torch.int16, torch.uint16, torch.uint32):
        assert torch.equal(boundary_distance(mask.to(dtype)), boundary_distance(mask))


@pytest.mark.parametrize("device", DEVICES)
def test_boundary_distance_of_a_small_mask(device):
    mask = torch.tensor([[0, 0, 0, VOID, 1, 1]], device=device)
    expected = torch.tensor([[4.0, 3, 2, math.nan, 2, 3]], device=device)
    assert torch.equal(boundary_distance(mask).nan_to_num(-1), expected.nan_to_num(-1))
    assert torch.equal(boundary_distance(mask, 3)[0, :2], torch.tensor([math.inf, 3], device=device))


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    data=st.data(),
    void=st.integers(0, 3),
    kind=st.sampled_from("bl"),
)
def test_boundary_distance_is_what_trying_all_pixels_gives(height, width, data, void, kind):
    codes = data.draw(st.lists(st.integers(0, 3), min_size=height * width, max_size=height * width))
    mask = torch.tensor(codes).view(height, width)
    found = boundary_distance(mask.byte() if kind == "b" else mask, ignore_index=void)
    for y in range(height):
        for x in range(width):
            if mask[y, x] == void:
                assert found[y, x].isnan()
            else:
                assert found[y, x] == distance_by_hand(mask.tolist(), y, x, void)


def test_boundary_distance_of_one_class_agrees_with_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = torch.zeros(1, 40, 50, dtype=torch.uint8)
    mask[0, 10:20, 15:40] = 1
    found = boundary_distance(mask, max_distance=50)[0]
    inside = ndimage.distance_transform_cdt(mask[0].numpy(), metric="chessboard")
    outside = ndimage.distance_transform_cdt(1 - mask[0].numpy(), metric="chessboard")
    assert torch.equal(found, torch.from_numpy(inside + outside).float())


def test_boundary_error_bins_as_a_loop_does():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(4, (2, 1, 2, 3), generator=generator).float()
    target = torch.nn.functional.interpolate(coarse, scale_factor=10).long()[:, 0]
    target[:, ::7, ::5] = VOID
    prediction = torch.where(torch.rand(target.shape, generator=generator) < 0.7, target, 3)
    edges = (1, 2, 4)
    wrong, pixels = [0] * 4, [0] * 4
    for p, t in zip(prediction.tolist(), target.tolist(), strict=True):
        for y in range(len(t)):
            for x in range(len(t[0])):
                if t[y][x] != VOID:
                    i = sum(distance_by_hand(t, y, x, VOID) > edge for edge in edges)
                    pixels[i] += 1
                    wrong[i] += p[y][x] != t[y][x]
    assert min(pixels) > 0
    assert boundary_error(prediction, target, edges).tolist() == pytest.approx(
        [w / n for w, n in zip(wrong, pixels, strict=True)]
    )


masks = st.lists(st.integers(0, 4), min_size=6, max_size=60).map(torch.tensor)


@settings(max_examples=60, deadline=None)
@given(target=masks, seed=st.integers(0, 1000))
def test_properties_of_any_prediction(target, seed):
    generator = torch.Generator().manual_seed(seed)
    void = 4
    prediction = torch.randint(4, target.shape, generator=generator)
    confusion = confusion_matrix(prediction, target, 4, ignore_index=void)
    n_labelled = int((target != void).sum())
    assert int(confusion.sum()) == n_labelled
    order = torch.randperm(len(target), generator=generator)
    assert torch.equal(confusion, confusion_matrix(prediction[order], target[order], 4, ignore_index=void))
    if n_labelled == len(target):
        assert torch.equal(confusion.T, confusion_matrix(target, prediction, 4, ignore_index=void))
    if n_labelled:
        accuracy = pixel_accuracy(prediction, target, void)
        assert accuracy == pytest.approx(int(confusion.diagonal().sum()) / n_labelled)
        iou = class_iou(confusion)
        assert 0 <= mean_iou(confusion) <= 1
        recall = confusion.diagonal() / confusion.sum(1)
        there = confusion.sum(1) > 0
        assert (iou[there] <= recall[there] + 1e-12).all()
        perfect = confusion_matrix(target, target, 4, ignore_index=void)
        assert mean_iou(perfect) == 1


def test_bad_input_is_named():
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match="logits"):
        pixel_accuracy(torch.rand(1, 4, 4), target)
    with pytest.raises(ValueError, match=r"\(1, 4, 5\).*\(1, 4, 4\)"):
        pixel_accuracy(torch.zeros(1, 4, 5, dtype=torch.int64), target)
    with pytest.raises(ValueError, match="target holds codes from 0 to 12"):
        confusion_matrix(target, target + torch.arange(4) * 4, 12)
    with pytest.raises(ValueError, match="prediction holds codes"):
        confusion_matrix(target + 11, target, 11)
    for edges in ((), (0, 1), (2, 1), (1, 1)):
        with pytest.raises(ValueError, match="rising"):
            boundary_error(target, target, edges)


def test_targets_that_are_no_codes_are_refused():
    for judge in (pixel_accuracy, boundary_error):
        with pytest.raises(ValueError, match=r"target is torch\.float32, not class indices"):
            judge(torch.tensor([[1, 2]]), torch.tensor([[1.4, 2.0]]))


def test_a_code_that_the_type_cannot_hold_ignores_nothing():
    mask = torch.tensor([[0, 0, 11, 11]], dtype=torch.uint8)
    assert pixel_accuracy(mask, mask, ignore_index=256 + 11) == 1.0
    assert boundary_distance(mask, ignore_index=-1).tolist() == [[2, 1, 1, 2]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: boundary_distance(torch.tensor([[0, 0, 256, 256]]), 4, -1), "codes from 0 to 256"),
        (lambda: boundary_distance(torch.tensor([[0, -3]]), 4, -1), "codes from -3 to 0"),
        (lambda: boundary_distance(torch.rand(4, 4)), "float32 of shape"),
        (lambda: boundary_distance(torch.zeros(4, dtype=torch.uint8)), "not class indices"),
        (lambda: boundary_distance(torch.zeros(4, 4, dtype=torch.uint8), 2.5), "max_distance=2.5"),
        (lambda: boundary_error(*[torch.zeros(4, 4, dtype=torch.uint8)] * 2, (1, 2.5)), "edges="),
        (lambda: pixel_accuracy([1], [1]), "prediction is an object of type list"),
        (lambda: pixel_accuracy(torch.ones(1), torch.ones(1).long(), "x"), "prediction"),
        (lambda: pixel_accuracy(*[torch.ones(1).long()] * 2, "x"), "ignore_index='x' is not a whole number"),
        (lambda: class_iou(torch.zeros(3, 2)), r"of shape \(3, 2\), not \(C, C\)"),
        (lambda: confusion_matrix(*[torch.zeros(4, dtype=torch.uint8)] * 2, 0), "n_classes=0"),
    ],
)
def test_what_is_no_mask_or_number_of_classes_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_code_11_is_void_for_camvids_classes_and_for_no_others():
    target = torch.randint(0, 20, (1, 32, 32), generator=torch.Generator().manual_seed(0))
    wrong = torch.where(target == 11, 3, target)
    for judge in (
        lambda *void: pixel_accuracy(wrong, target, *void),
        lambda *void: confusion_matrix(wrong, target, 20, *void),
        lambda *void: boundary_distance(target, 4, *void),
        lambda *void: boundary_error(wrong, target, (1, 2), *void),
    ):
        with pytest.raises(ValueError, match=r"20 classes are more than CamVid's 12, .* give ignore_index"):
            judge()
        judge(-100)
    assert pixel_accuracy(wrong, target, -100) == pytest.approx(1 - (target == 11).float().mean().item())
    assert pixel_accuracy(wrong, target, 11) == 1
    few = target.clamp(max=11)
    assert pixel_accuracy(torch.where(few == 11, 3, few), few) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_iou(torch.zeros(3)), r"confusion is torch.float32 of shape \(3,\), not \(C, C\)"),
        (lambda: mean_iou(torch.zeros(3, 3).numpy()), "an object of type ndarray"),
        (lambda: class_iou(torch.zeros(3, 3).numpy()), "an object of type ndarray"),
        (lambda: class_iou(torch.zeros(3, 3, dtype=torch.complex64)), "confusion is torch.complex64"),
        (lambda: boundary_error(CODES, CODES, 5), "edges=5 is no list of rising distances"),
        (lambda: boundary_error(CODES, CODES, torch.tensor([1, 2])), r"edges=tensor\(\[1, 2\]\) is no list"),
        (lambda: boundary_error(CODES, CODES, "12"), "edges='12' is no list"),
        (lambda: pixel_accuracy(CODES * 1j, CODES), "prediction is torch.complex64, not class indices"),
        (lambda: pixel_accuracy(CODES, CODES * 1j), "target is torch.complex64, not class indices"),
        (lambda: boundary_distance(CODES * 1j), "mask is torch.complex64"),
    ],
)
def test_what_cannot_be_counted_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
