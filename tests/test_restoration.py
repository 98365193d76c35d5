"""Degradations: deterministic in their seed, in range and shape, and each does what its name says."""

import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.io import decode_jpeg, encode_jpeg

from course_utils.experiments.photographs import patches
from course_utils.metrics import psnr
from course_utils.pictures import luminance
from course_utils.restoration import (
    BrushNoise,
    Compose,
    Crappify,
    CutOut,
    Grayscale,
    Jpeg,
    LowerResolution,
    Overprint,
    Sketch,
)

ALL = (
    LowerResolution(3),
    Jpeg(),
    Overprint(2),
    Crappify(),
    Grayscale(),
    CutOut(2),
    CutOut(2, fill="smooth"),
    Sketch(),
    BrushNoise(),
    Compose([CutOut(), Grayscale()]),
)
PICTURES = patches(["chelsea", "coffee", "rocket"], 64, 3, short_side=150) / 255


def name(value):
    return type(value).__name__


@settings(deadline=None, max_examples=12)
@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**40))
def test_any_size_keeps_shape_and_range(n, height, width, seed):
    x = torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed % 1000))
    before = x.clone()
    for degradation in ALL:
        y = degradation(x, seed)
        assert y.shape == x.shape and y.dtype == x.dtype and y.min() >= 0 and y.max() <= 1, name(degradation)
    assert torch.equal(x, before)


@pytest.mark.parametrize("degradation", ALL, ids=name)
def test_the_seed_decides_and_nothing_else(degradation):
    first = degradation(PICTURES, 5)
    torch.manual_seed(99)
    assert torch.equal(first, degradation(PICTURES, 5))
    if not isinstance(degradation, (LowerResolution, Grayscale, Sketch)):
        assert not torch.equal(first, degradation(PICTURES, 6))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jpeg_is_torchvisions():
    made = Jpeg((30, 30))(PICTURES, 0)
    for one, damaged in zip(PICTURES, made, strict=True):
        theirs = decode_jpeg(encode_jpeg((one * 255).round().byte(), 30)) / 255
        assert (damaged - theirs).abs().mean() < 0.01


def test_lower_quality_and_resolution_do_more_damage():
    for make in (lambda s: Jpeg((s, s)), lambda s: LowerResolution(100 / s)):
        quality = [psnr(make(s)(PICTURES, 0), PICTURES) for s in (10, 30, 90)]
        assert quality == sorted(quality) and quality[0] < quality[-1] - 3


def test_a_factor_of_one_changes_nothing():
    assert torch.equal(LowerResolution(1)(PICTURES), PICTURES)


def test_text_is_white_and_only_brightens():
    printed = Overprint(1, 0.25)(PICTURES, 3)
    changed = printed - PICTURES
    assert (changed >= -1e-6).all()
    assert ((printed == 1).all(1).flatten(1).sum(1) > 20).all()
    assert ((changed > 0.05).any(1).float().mean((1, 2)) < 0.2).all()


def test_crappify_prints_in_the_upper_left_quarter():
    black = torch.zeros(8, 3, 64, 64)
    printed = Crappify(1, None)(black, 0)
    rows, columns = (printed.sum(1).amax(axis) > 0.1 for axis in (2, 1))
    assert rows.any(1).all() and not rows[:, 40:].any() and not columns[:, 52:].any()
    first = [int(row.nonzero()[0]) for row in rows]
    assert max(first) <= 28 and len(set(first)) > 3


def test_the_leak_prints_the_quality_and_can_be_stopped():
    black = torch.zeros(1, 3, 64, 64)
    told = [Crappify(1, (q, q), height=0.3)(black, 0) for q in (40, 41)]
    assert (told[0] - told[1]).abs().max() > 0.5
    quiet = [Crappify(1, (40, 41), leak=leak, height=0.3)(black.expand(16, -1, -1, -1), 3) for leak in (True, False)]
    assert not torch.equal(*quiet)


def test_grey_is_pillows_luminance():
    theirs = Image.fromarray((PICTURES[0] * 255).byte().permute(1, 2, 0).numpy()).convert("L")
    ours = Grayscale()(PICTURES)[0]
    assert (ours[0] - torch.from_numpy(np.array(theirs)) / 255).abs().max() < 0.006
    assert torch.equal(ours[0], ours[1]) and torch.equal(ours, luminance(PICTURES)[0].expand(3, -1, -1))


def test_a_seed_may_be_one_of_numpys():
    assert torch.equal(CutOut()(PICTURES, np.int64(3)), CutOut()(PICTURES, 3))
    assert torch.equal(Overprint()(PICTURES, np.int32(3)), Overprint()(PICTURES, 3))
    largest = np.int32(2**31 - 1)  # to which nothing can be added
    for degradation in (Overprint(), Crappify(), Compose([CutOut(), Jpeg()])):
        with warnings.catch_warnings(action="error"):
            assert torch.equal(degradation(PICTURES, largest), degradation(PICTURES, int(largest)))


def test_holes_are_where_the_masks_say():
    cut = CutOut(2, (0.2, 0.3), fill=0.25)
    masks = cut.masks(3, 64, 64, seed=4)
    damaged = cut(PICTURES, 4)
    assert torch.equal(damaged, torch.where(masks, 0.25, PICTURES))
    shares = masks.float().mean((1, 2, 3))
    assert (shares >= 0.2**2 - 0.01).all() and (shares <= 2 * 0.3**2 + 0.02).all()


def test_a_sketch_is_white_where_nothing_changes_and_dark_at_edges():
    step = torch.full((1, 3, 40, 40), 0.8)
    step[..., 20:] = 0.3
    drawn = Sketch()(step)[0, 0]
    assert drawn[:, :10].min() > 0.99 and drawn[:, 30:].min() > 0.99
    assert drawn[:, 20].max() < 0.7
    assert drawn[:, 19].min() == 1  # the bright side of an edge stays paper


def test_brush_noise_is_as_strong_as_asked_and_longer_than_high():
    grey = torch.full((2, 3, 200, 200), 0.5)
    noise = BrushNoise(0.1, length=9, height=3)(grey, 1) - grey
    assert noise.std() == pytest.approx(0.1, rel=0.05) and noise.mean() == pytest.approx(0, abs=0.01)

    def likeness(down, across):
        a, b = noise[..., : 200 - down, : 200 - across].flatten(), noise[..., down:, across:].flatten()
        return (a * b).mean() / noise.var()

    assert likeness(0, 4) > 0.5 > likeness(3, 0) > likeness(6, 0) > -0.1 and likeness(0, 17) < 0.1
    weights = np.convolve(np.ones(9) / 9, np.ones(9) / 9)  # two averages of nine in a row
    expected = (weights[4:] * weights[:-4]).sum() / (weights**2).sum()
    assert likeness(0, 4) == pytest.approx(expected, abs=0.05)
    assert torch.equal(BrushNoise(0)(PICTURES, 1), PICTURES)


def test_composed_steps_draw_apart():
    holes = Compose([CutOut(fill=0.0), CutOut(fill=1.0)])(torch.full((1, 3, 64, 64), 0.5), 0)
    assert (holes == 0).any() and (holes == 1).any()


def test_composing_again_is_composing_once_longer():
    holes = [CutOut(1, fill=fill) for fill in (0.0, 0.3, 1.0)]
    once = Compose(holes)(PICTURES, 2)
    assert torch.equal(Compose([Compose(holes[:2]), holes[2]])(PICTURES, 2), once)
    assert torch.equal(Compose([holes[0], Compose(holes[1:])])(PICTURES, 2), once)
    masks = [(Compose([Compose([Grayscale(), hole]), hole])(PICTURES, 2) == 0).all(1) for hole in holes[:1]]
    assert masks[0].sum() > (holes[0](PICTURES, 2 + 7919) == 0).all(1).sum()  # two holes, not one cut twice


@pytest.mark.parametrize("degradation", ALL, ids=name)
def test_an_empty_batch_stays_empty_and_half_precision_is_kept(degradation):
    assert degradation(PICTURES[:0], 1).shape == (0, 3, 64, 64)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        damaged = degradation(PICTURES.to(dtype), 1)
        assert damaged.dtype == dtype
        assert (damaged.float() - degradation(PICTURES.to(dtype).float(), 1)).abs().mean() < 0.01


@pytest.mark.parametrize("degradation", ALL, ids=name)
def test_layout_copies_and_seeds_of_any_size(degradation):
    expected = degradation(PICTURES, 7)
    for same in (
        degradation(PICTURES.contiguous(memory_format=torch.channels_last), 7),
        degradation(PICTURES.clone().requires_grad_(), 7).detach(),
        pickle.loads(pickle.dumps(degradation))(PICTURES, 7),
    ):
        torch.testing.assert_close(same, expected)
    for seed in (-1, -(2**80), 2**64 - 1, 2**80):
        assert torch.equal(degradation(PICTURES, seed), degradation(PICTURES, seed))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LowerResolution(0.5), "factor=0.5"),
        (lambda: LowerResolution(float("nan")), "factor=nan"),
        (lambda: LowerResolution("2"), "factor='2'"),
        (lambda: Jpeg(30), "quality=30 is not"),
        (lambda: Jpeg((True, 70)), "quality="),
        (lambda: Jpeg()(PICTURES, 1.5), "seed=1.5 is not a whole number"),
        (lambda: CutOut()(PICTURES, True), "seed=True"),
        (lambda: Compose([Jpeg()])(PICTURES, True), "seed=True"),
        (lambda: Compose([Jpeg()])(PICTURES, "a"), "seed='a'"),
        (lambda: CutOut(fill=Fraction(1, 2)), "fill="),
        (lambda: luminance(PICTURES.byte()), "uint8"),
        (lambda: CutOut(1, 0.3), "share=0.3"),
        (lambda: CutOut(1, (0.1, 0.2, 0.3)), "share="),
        (lambda: CutOut(1, (0.1, float("nan"))), r"share=\(0.1, nan\)"),
        (lambda: Overprint(1, float("nan")), "height=nan"),
        (lambda: Compose([Jpeg]), "with its brackets"),
        (lambda: Compose(Jpeg()), "is no list of degradations"),
        (lambda: Grayscale()(PICTURES.numpy()), "an object of type ndarray"),
        (lambda: Jpeg()(PICTURES[..., :0], 0), "hold no pixels"),
        (lambda: Jpeg((0, 70)), r"quality=\(0, 70\)"),
        (lambda: Jpeg((70, 10)), r"quality=\(70, 10\)"),
        (lambda: Jpeg((10.5, 70)), "whole numbers from 1 to 100"),
        (lambda: Overprint(0), "count=0"),
        (lambda: Overprint(1, 1.5), "height=1.5"),
        (lambda: Crappify(quality=(5, 200)), r"quality=\(5, 200\)"),
        (lambda: Crappify(text="no"), "text='no' is not True or False"),
        (lambda: Crappify(leak=0), "leak=0 is not True or False"),
        (lambda: CutOut(0), "holes=0"),
        (lambda: BrushNoise(1.5), "strength=1.5 is not a number from 0 to 1"),
        (lambda: BrushNoise(True), "strength=True"),
        (lambda: BrushNoise(length=0), "length=0 is not a whole number of at least 1"),
        (lambda: BrushNoise(height=2.5), "height=2.5"),
        (lambda: CutOut(1, (0.5, 0.2)), r"share=\(0.5, 0.2\)"),
        (lambda: CutOut(1, fill=2), "fill=2"),
        (lambda: CutOut(1, fill="flat"), "fill=.flat. is neither"),
        (lambda: Sketch(0), "radius=0"),
        (lambda: Sketch(strength=-1), "strength=-1"),
        (lambda: Grayscale()(torch.rand(3, 8, 8)), r"\(3, 8, 8\), not floats \(N, 3, H, W\)"),
        (lambda: Jpeg()(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 0), "torch.uint8"),
        (lambda: Crappify()(torch.full((1, 3, 8, 8), 200.0), 0), "from 200 to 200, not from 0"),
        (lambda: CutOut()(torch.full((1, 3, 8, 8), float("nan")), 0), "from nan to nan"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CutOut().masks(-1, 8, 8, 0), "n=-1"),
        (lambda: CutOut().masks(1, 3.5, 8, 0), r"height=3\.5"),
        (lambda: CutOut().masks(1, 8, 0, 0), "width=0"),
        (lambda: Compose([]), r"steps=\[\] is no list of degradations, one at least"),
    ],
)
def test_nothing_to_do_and_no_place_for_it_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_pictures_have_no_holes():
    assert CutOut().masks(0, 8, 9, 0).shape == (0, 1, 8, 9)
