"""Pairs against what they are made of: the same seed, the damage itself, and nothing shared between splits."""

import itertools

import pytest
import torch

from course_utils.experiments.photographs import PHOTOGRAPHS
from course_utils.experiments.restoration_tasks import photograph_patches
from course_utils.pictures import luminance
from course_utils.restoration import LowerResolution, Overprint
from course_utils.restoration_pairs import Pairs

PICTURES = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_inputs_are_the_damaged_targets_in_whole_batches():
    pairs = list(Pairs(PICTURES, LowerResolution(2), 3))
    assert len(pairs) == 3  # the tenth picture is left out
    for x, y in pairs:
        torch.testing.assert_close(x, LowerResolution(2)(y))


def test_the_same_epoch_gives_the_same_pairs_and_another_epoch_others():
    first, second = Pairs(PICTURES, Overprint(), 4, seed=3), Pairs(PICTURES, Overprint(), 4, seed=3)
    for a, b in zip(itertools.chain(*first), itertools.chain(*second), strict=True):
        assert torch.equal(a, b)
    second.set_epoch(1)
    assert not torch.equal(next(iter(first))[0], next(iter(second))[0])


def test_the_targets_are_all_pictures_or_their_mirror_images():
    known = {picture.numpy().tobytes(): i % 10 for i, picture in enumerate(torch.cat([PICTURES, PICTURES.flip(-1)]))}
    targets = torch.cat([y for _, y in Pairs(PICTURES, LowerResolution(2), 5)])
    as_bytes = (targets * 255).round().to(torch.uint8).contiguous()
    assert sorted(known[one.numpy().tobytes()] for one in as_bytes) == list(range(10))


def test_a_target_of_ones_own():
    x, y = next(iter(Pairs(PICTURES, LowerResolution(1), 2, target=luminance)))
    torch.testing.assert_close(y, luminance(x))


@pytest.mark.parametrize("wrong", [0, 11, 2.0, True])
def test_a_wrong_batch_size_is_named(wrong):
    with pytest.raises(ValueError, match="batch_size="):
        Pairs(PICTURES, LowerResolution(2), wrong)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pictures": PICTURES.float()}, "not uint8"),
        ({"pictures": PICTURES.numpy()}, "an object of type ndarray"),
        ({"degrade": LowerResolution}, "no degradation; give one such as"),
        ({"degrade": None}, "degrade=None"),
        ({"target": 3}, "target=3"),
        ({"seed": -1}, "seed=-1 is not a whole number of at least 0"),
        ({"seed": 1.5}, "seed=1.5"),
    ],
)
def test_what_makes_no_pairs_is_named_at_once(changed, message):
    with pytest.raises(ValueError, match=message):
        Pairs(**{"pictures": PICTURES, "degrade": LowerResolution(2), "batch_size": 2, **changed})


def test_two_passes_at_once_do_not_disturb_each_other():
    pairs = Pairs(PICTURES, Overprint(), 4)
    for (x, y), (again, also) in zip(pairs, pairs, strict=True):
        assert torch.equal(x, again) and torch.equal(y, also)


def test_no_photograph_is_in_two_splits_and_no_patch_either():
    names = [name for split in PHOTOGRAPHS.values() for name in split]
    assert len(names) == len(set(names)) == 6
    patches = {split: photograph_patches(split, 9) for split in PHOTOGRAPHS}
    for a, b in itertools.combinations(PHOTOGRAPHS, 2):
        together = torch.cat([patches[a], patches[b]]).flatten(1)
        assert len(together.unique(dim=0)) == len(patches[a].flatten(1).unique(dim=0)) + len(
            patches[b].flatten(1).unique(dim=0)
        )
