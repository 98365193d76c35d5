"""Photographs that need no download: there, whole, apart from each other, and cut reproducibly."""

import pytest
import torch

from course_utils.experiments.photographs import PHOTOGRAPHS, patches, photograph

NAMES = [name for names in PHOTOGRAPHS.values() for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_photographs_are_colour_pictures(name):
    picture = photograph(name)
    assert picture.dtype == torch.uint8 and picture.shape[0] == 3 and min(picture.shape[1:]) >= 300
    assert picture.float().std() > 30


def test_no_photograph_is_in_two_splits():
    assert len(set(NAMES)) == len(NAMES)
    sizes = [(*photograph(name).shape, int(photograph(name).sum())) for name in NAMES]
    assert len(set(sizes)) == len(sizes)


def test_patches_are_pieces_of_their_photographs_and_follow_the_seed():
    cut = patches(["chelsea", "coffee"], 24, 4, seed=3)
    assert cut.shape == (4, 3, 24, 24)
    assert torch.equal(cut, patches(["chelsea", "coffee"], 24, 4, seed=3))
    assert not torch.equal(cut, patches(["chelsea", "coffee"], 24, 4, seed=4))
    for patch, name in zip(cut, ["chelsea", "coffee"] * 2, strict=True):
        places = photograph(name).unfold(1, 24, 1).unfold(2, 24, 1)  # (3, H - 23, W - 23, 24, 24)
        first = (places[..., 0, 0] == patch[:, 0, 0, None, None]).all(0).nonzero()
        assert any(torch.equal(places[:, row, column], patch) for row, column in first.tolist())


def test_a_reduced_photograph_is_all_in_a_patch():
    whole = patches(["astronaut"], 64, 1, short_side=64)[0].float()
    blocks = torch.nn.functional.avg_pool2d(photograph("astronaut").float(), 8)
    assert (whole - blocks).abs().mean() < 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["dog"], 8, 1), "photograph='dog' is not one of 'astronaut'"),
        ((["chelsea"], 301, 1), "size=301 does not fit into chelsea, 300 × 451"),
        ((["chelsea"], 0, 1), "size=0 is not a whole"),
        (([], 8, 1), "no photograph"),
        ((["chelsea"], 8, 0), "n=0 is not a whole"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        patches(*arguments)
