"""Predictions, scores and the two baselines, against loops over pixels."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from course_utils.averaged_views import AveragedViews
from course_utils.camvid import Batches, CachedSplit
from course_utils.segmentation import (
    count_confusion,
    cross_entropy,
    iou_by_class,
    most_common_by_colour_and_position,
    most_common_by_position,
    most_common_class,
    predict,
    scores,
    segment_photograph,
)

CODES = ("Sky", "Road", "Void")
VOID = 2


def random_split(n: int = 6, seed: int = 0) -> CachedSplit:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, 8, 10), generator=generator, dtype=torch.uint8)
    masks = torch.randint(0, 3, (n, 8, 10), generator=generator, dtype=torch.uint8)
    return CachedSplit(images, masks, [str(i) for i in range(n)], CODES, VOID)


def test_predict_is_argmax_in_eval_mode_and_restores_the_mode():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5))
    batches = Batches(random_split(), 4)
    found = predict(model, batches)
    assert model.training and model[1].training
    model[1].eval()  # a frozen batch norm must not wake up
    predict(model, batches)
    assert model.training and not model[1].training
    expected = torch.cat([model.eval()(images).argmax(1) for images, _ in batches])
    assert found.dtype == torch.uint8 and torch.equal(found.long(), expected)


def test_scores_count_labelled_pixels_only():
    split = random_split()
    prediction = torch.randint(0, 2, split.masks.shape, dtype=torch.uint8)
    pairs = [(int(p), int(t)) for p, t in zip(prediction.flatten(), split.masks.flatten(), strict=True) if t != VOID]
    found = scores(prediction, split)
    assert found["accuracy"] == pytest.approx(sum(p == t for p, t in pairs) / len(pairs))
    iou = [sum(p == t == c for p, t in pairs) / sum(c in (p, t) for p, t in pairs) for c in (0, 1)]
    assert found["mean_iou"] == pytest.approx(np.mean(iou))
    assert iou_by_class(prediction, split) == pytest.approx({"Sky": iou[0], "Road": iou[1]})


def test_loss_leaves_void_out():
    logits, target = torch.randn(1, 3, 2, 2), torch.tensor([[[0, 2], [1, 2]]])
    by_hand = -(logits.log_softmax(1)[0, 0, 0, 0] + logits.log_softmax(1)[0, 1, 1, 0]) / 2
    torch.testing.assert_close(cross_entropy(VOID)(logits, target), by_hand)


def test_baselines_agree_with_counting():
    train, other = random_split(9, seed=1), random_split(2, seed=2)
    labelled = Counter(train.masks[train.masks != VOID].tolist())
    assert set(most_common_class(train, other).unique().tolist()) == {labelled.most_common(1)[0][0]}
    found = most_common_by_position(train, other)
    assert found.shape == other.masks.shape
    for row in range(8):
        for column in range(10):
            seen = [code for code in train.masks[:, row, column].tolist() if code != VOID]
            expected = max((0, 1), key=lambda code: (seen.count(code), -code))
            assert found[0, row, column] == expected == found[1, row, column]


def test_the_baseline_of_colour_and_place_agrees_with_counting():
    generator = torch.Generator().manual_seed(3)
    splits = []
    for count in (6, 2):  # two values in each channel, 2 × 2 pixels in each part
        images = 30 + 5 * torch.randint(0, 2, (count, 3, 24, 32), generator=generator, dtype=torch.uint8)
        masks = torch.randint(0, 3, (count, 24, 32), generator=generator, dtype=torch.uint8)
        splits.append(CachedSplit(images, masks, [str(i) for i in range(count)], CODES, VOID))
    train, other = splits
    seen = {}
    for n, row, column in np.ndindex(*train.masks.shape):
        if train.masks[n, row, column] != VOID:
            key = (row // 2, column // 2, *(train.images[n, :, row, column] // 32).tolist())
            seen.setdefault(key, Counter())[int(train.masks[n, row, column])] += 1
    found, fallback = most_common_by_colour_and_position(train, other), most_common_by_position(train, other)
    unseen = 0
    for n, row, column in np.ndindex(*other.masks.shape):
        counts = seen.get((row // 2, column // 2, *(other.images[n, :, row, column] // 32).tolist()))
        unseen += counts is None
        expected = max((0, 1), key=lambda code: (counts[code], -code)) if counts else fallback[n, row, column]
        assert found[n, row, column] == expected
    assert found.dtype == torch.uint8 and unseen > 0


@pytest.mark.parametrize("kind", ["array", "picture", "path"])
def test_a_photograph_of_any_kind_and_shape(kind, tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    picture = Image.fromarray(array)
    picture.save(tmp_path / "photo.png")
    photograph = {"array": array, "picture": picture, "path": tmp_path / "photo.png"}[kind]
    small, codes = segment_photograph(nn.Conv2d(3, 4, 1), photograph, (64, 80))
    assert small.shape == (64, 96, 3) and codes.shape == (64, 96) and codes.max() < 4


def test_a_photograph_taken_with_the_camera_turned_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # its rows run from the bottom up, its columns are rows
    Image.new("RGB", (80, 40), "red").save(tmp_path / "photo.jpg", exif=exif)
    for photograph in (tmp_path / "photo.jpg", Image.open(tmp_path / "photo.jpg")):
        small, codes = segment_photograph(nn.Conv2d(3, 4, 1), photograph, (64, 80))
        assert small.shape == (64, 32, 3) and codes.shape == (64, 32)


def test_grey_and_transparent_photographs_are_taken():
    for mode in ("L", "RGBA", "P"):
        small, _ = segment_photograph(nn.Conv2d(3, 4, 1), Image.new(mode, (40, 40)), (32, 32))
        assert small.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("photograph", "size", "message"),
    [
        (Image.new("RGB", (20000, 1)), (32, 32), "20000 × 1 pixels"),
        (Image.new("RGB", (5, 0)), (32, 32), "no pixels"),
        (Image.new("RGB", (40, 40)), (0, 0), r"size=\(0, 0\)"),
        (Image.new("RGB", (40, 40)), 32, "size=32"),
    ],
)
def test_what_cannot_be_segmented_is_one_sentence(photograph, size, message):
    with pytest.raises(ValueError, match=message):
        segment_photograph(nn.Conv2d(3, 4, 1), photograph, size)


def test_no_batch_is_one_sentence():
    with pytest.raises(ValueError, match="batches is empty"):
        predict(nn.Conv2d(3, 4, 1), [])


def test_one_channel_has_no_class_to_choose():
    model = nn.Conv2d(3, 1, 1)
    for ask in (
        lambda: predict(model, [(torch.zeros(1, 3, 8, 8), None)]),
        lambda: count_confusion(model, [(torch.zeros(1, 3, 8, 8), torch.zeros(1, 8, 8).long())], 2),
        lambda: AveragedViews(model)(torch.zeros(1, 3, 8, 8)),
    ):
        with pytest.raises(ValueError, match=r"a single channel, .* n_out=2"):
            ask()


def test_pictures_of_two_sizes_are_no_one_tensor():
    model = nn.Conv2d(3, 2, 1)
    with pytest.raises(ValueError, match=r"\(8, 8\) and \(8, 9\) pixels make no one tensor"):
        predict(model, [(torch.zeros(1, 3, 8, width), None) for width in (8, 9)])


def test_void_is_given_to_no_pixel_if_asked_so():
    model = nn.Conv2d(3, 4, 1)
    with torch.no_grad():
        model.bias[3] = 100  # likeliest everywhere
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    _, with_void = segment_photograph(model, photograph, (40, 50))
    _, without = segment_photograph(model, photograph, (40, 50), 3)
    assert set(np.unique(with_void)) == {3} and 3 not in without
    with torch.no_grad():
        model.bias[3] = -100
    assert np.array_equal(without, segment_photograph(model, photograph, (40, 50))[1])


def test_nan_is_no_class():
    """`max` takes nan for the largest, so that its place would be the class."""
    model = nn.Conv2d(3, 4, 1)
    with torch.no_grad():
        model.bias[0] = float("nan")
    batches = [(torch.zeros(1, 3, 8, 8), torch.zeros(1, 8, 8).long())]
    photograph = Image.new("RGB", (40, 40))
    for ask in (lambda: predict(model, batches), lambda: segment_photograph(model, photograph, (32, 32))):
        with pytest.raises(ValueError, match="the network gives nan"):
            ask()
    with torch.no_grad():
        model.bias[0] = float("inf")
    assert not predict(model, batches).any()


@pytest.mark.parametrize("void", [4, 99, -1, 1.5])
def test_a_void_that_the_network_has_not_is_named(void):
    with pytest.raises(ValueError, match=f"void={void} is none of the network's classes, 0 to 3"):
        segment_photograph(nn.Conv2d(3, 4, 1), Image.new("RGB", (40, 40)), (32, 32), void)
