"""Schemes that learn nothing: exact sizes, agreement with torch, and properties that hold for any picture."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.experiments.enlargement import (
    SCHEMES,
    bilinear_kernel,
    cut_to,
    enlarge_again,
    enlarge_by_kernel,
    names_of,
    reduce,
    rings,
)
from course_utils.upsampling import checkerboard_energy

FACTORS = (2, 3, 4)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", SCHEMES)
def test_sizes_are_exact_and_the_input_is_left_alone(name, factor):
    x = torch.rand(3, 5, 7)
    before = x.clone()
    assert SCHEMES[name](x, factor).shape == (3, 5 * factor, 7 * factor)
    assert torch.equal(x, before)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", sorted(set(SCHEMES) - {"zeros between", "transposed, equal", "transposed, random"}))
def test_interpolations_keep_a_constant(name, factor):
    torch.testing.assert_close(
        SCHEMES[name](torch.full((1, 4, 5), 0.3), factor), torch.full((1, 4 * factor, 5 * factor), 0.3)
    )


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", ["zeros between", "transposed, equal", "transposed, random"])
def test_the_others_keep_its_mean(name, factor):
    made = SCHEMES[name](torch.full((1, 8 * factor, 8 * factor), 0.3), factor)
    assert made.mean().item() == pytest.approx(0.3, rel=0.03)
    assert made.std() > 0.01


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(1, 7), st.integers(0, 1000))
def test_bilinear_is_a_transposed_convolution(factor, height, width, seed):
    x = torch.randn(2, height, width, generator=torch.Generator().manual_seed(seed))
    expected = F.interpolate(x[None], scale_factor=factor, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(enlarge_by_kernel(x, bilinear_kernel(factor), factor), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", FACTORS)
def test_nearest_is_a_transposed_convolution_with_a_kernel_of_ones(factor):
    x = torch.randn(2, 4, 5)
    expected = F.interpolate(x[None], scale_factor=factor, mode="nearest")[0]
    torch.testing.assert_close(enlarge_by_kernel(x, torch.ones(factor, factor), factor), expected)


def test_reducing_is_the_mean_of_blocks():
    picture = torch.rand(3, 7, 9)
    small = reduce(picture, 2)
    assert small.shape == (3, 3, 4)
    torch.testing.assert_close(small[:, 1, 2], picture[:, 2:4, 4:6].mean((1, 2)))


def test_an_enlargement_is_judged_against_what_was_reduced():
    original = torch.rand(3, 13, 12)
    made = enlarge_again(original, SCHEMES["nearest"], 4)
    truth = cut_to(original, 4)
    assert made.picture.shape == truth.picture.shape == (3, 12, 12)
    assert torch.equal(truth.picture, original[:, :12])
    assert made.psnr == pytest.approx(-10 * math.log10((made.picture - truth.picture).square().mean().item()))
    assert made.checkerboard == 0 and truth.checkerboard == checkerboard_energy(original[:, :12], 4)
    assert made.milliseconds > 0 and math.isinf(truth.psnr)


def test_random_weights_are_the_same_every_time():
    x = torch.rand(3, 5, 5)
    assert torch.equal(SCHEMES["transposed, random"](x, 2), SCHEMES["transposed, random"](x, 2))


def test_rings_have_every_frequency_at_its_place():
    side = 256
    middle = rings(side)[0, side // 2 - 1]
    turns = (middle - 0.5).sign().diff().ne(0).nonzero().flatten().float()
    periods = 2 * turns.diff()
    at = (turns[1:] + turns[:-1]) / 2 - (side - 1) / 2
    frequency = at.abs() / side
    far = frequency.gt(0.05) & frequency.lt(0.25)
    assert far.sum() > 20
    assert ((1 / periods - frequency).abs() / frequency)[far].mean() < 0.15


def test_rings_lie_round_the_middle():
    plate = rings(64)
    assert torch.equal(plate, plate.flip(1)) and torch.equal(plate, plate.flip(2))
    assert plate[:, 31:33, 31:33].min() > 0.99, "no frequency, so nothing but white"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reduce(torch.rand(3, 1, 8), 2), r"\(1, 8\) pixels has no block of 2"),
        (lambda: reduce(torch.zeros(3, 8, 8, dtype=torch.uint8), 2), "torch.uint8"),
        (lambda: reduce(torch.rand(3, 8, 8), 0), "factor=0"),
        (lambda: enlarge_again(torch.rand(3, 8, 8), lambda x, factor: x, 2), r"the scheme made \(3, 4, 4\) of"),
        (lambda: names_of({"one": lambda x, factor: x}), "nothing to compare"),
        (lambda: bilinear_kernel(0), "factor=0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("side", [2, 5, 8, 12])
def test_a_large_kernel_gives_the_border_as_much_as_the_inside(side):
    made = enlarge_by_kernel(torch.ones(1, 6, 6), torch.ones(side, side) * 4 / side**2, 2)
    inner = enlarge_by_kernel(torch.ones(1, 30, 30), torch.ones(side, side) * 4 / side**2, 2)[:, 24:36, 24:36]
    torch.testing.assert_close(made, inner)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: enlarge_by_kernel(torch.arange(16).reshape(1, 4, 4), torch.ones(2, 2), 2), "torch.int64"),
        (lambda: enlarge_by_kernel(torch.rand(1, 4, 4), torch.ones(2, 3), 2), r"\(2, 3\) is not \(K, K\)"),
        (lambda: enlarge_by_kernel(torch.rand(1, 4, 4), torch.ones(1, 1), 2), "at least factor=2"),
        (lambda: SCHEMES["nearest"](torch.rand(1, 3, 4, 4), 2), r"\(1, 3, 4, 4\), not a picture"),
        (lambda: SCHEMES["nearest"](torch.rand(3, 4, 4), 1.5), "factor=1.5"),
        (lambda: enlarge_again(torch.rand(3, 8, 8), lambda x, factor: None, 2), "returned NoneType"),
        (
            lambda: enlarge_again(torch.rand(3, 8, 8), lambda x, factor: torch.full((3, 8, 8), torch.inf), 2),
            "not finite",
        ),
        (lambda: names_of({"": len, "b": len}), "no function with a name"),
        (lambda: names_of({"a": None, "b": len}), "scheme 'a': None"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
