"""Augmentation moves picture and mask together, is reproducible, and is the identity where every range is zero."""

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as VF

from course_utils.augment import Augment

BAD_RANGES = [
    {"zoom": (0.0, 1.0)},
    {"zoom": (1.2, 1.0)},
    {"zoom": (1.0, float("inf"))},
    {"flip": 1.5},
    {"degrees": float("nan")},
    {"degrees": 1e300},
    {"brightness": -0.1},
    {"brightness": 1e300},
    {"contrast": 1.1},
    {"saturation": float("nan")},
    {"zoom": (1e-300, 1.0)},
    {"zoom": (1.0, 1e300)},
]
STILL = {"flip": 0.0, "degrees": 0.0, "zoom": (1.0, 1.0), "brightness": 0.0, "contrast": 0.0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 4, height: int = 24, width: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    masks = torch.randint(0, 11, (n, height, width), generator=generator(1), dtype=torch.uint8)
    # The picture spells the mask, so that what happens to one can be read off the other.
    return (masks * 20).unsqueeze(1).expand(-1, 3, -1, -1).contiguous(), masks


def test_no_change_is_the_identity():
    images, masks = batch()
    moved, moved_masks = Augment(**STILL)(images, masks, generator())
    torch.testing.assert_close(moved, images.float(), atol=1e-2, rtol=0)
    assert torch.equal(moved_masks, masks)


def test_a_flip_is_a_flip():
    images, masks = batch()
    moved, moved_masks = Augment(**{**STILL, "flip": 1.0})(images, masks, generator())
    torch.testing.assert_close(moved, images.flip(-1).float(), atol=1e-2, rtol=0)
    assert torch.equal(moved_masks, masks.flip(-1))


def test_half_of_many_are_flipped():
    images, masks = batch(n=400, height=4, width=6)
    _, moved = Augment(**{**STILL, "flip": 0.5})(images, masks, generator())
    share = (moved == masks.flip(-1)).flatten(1).all(1).float().mean()
    assert 0.4 < share < 0.6


def test_rotation_agrees_with_torchvision():
    """Every rotation drawn is one torchvision rotation, also on a picture that is not square."""
    image = VF.resize(torch.rand(1, 3, 6, 8, generator=generator(2)) * 255, [48, 64])
    mask = torch.zeros(1, 48, 64, dtype=torch.uint8)
    moved, _ = Augment(**{**STILL, "degrees": 10.0})(image, mask, generator(3))
    inner = (..., slice(12, -12), slice(12, -12))
    differences = [
        (VF.rotate(image, angle, InterpolationMode.BILINEAR)[inner] - moved[inner]).abs().mean().item()
        for angle in torch.arange(-10, 10.01, 0.25).tolist()
    ]
    still = (image[inner] - moved[inner]).abs().mean().item()
    assert min(differences) < 0.05 * max(still, 1.0) + 0.5 and min(differences) < still


@pytest.mark.parametrize("settings", [{"degrees": 10.0}, {"zoom": (0.7, 1.0)}, {"zoom": (1.0, 1.6)}, {"flip": 0.5}])
def test_picture_and_mask_stay_together(settings):
    """Where the moved picture shows a pure colour, it is the colour of the moved mask's class."""
    masks = torch.zeros(3, 32, 48, dtype=torch.uint8)
    masks[:, 8:20, 10:30] = 5
    masks[:, 18:28, 28:44] = 9
    images = (masks * 20).unsqueeze(1).expand(-1, 3, -1, -1).contiguous()
    moved, moved_masks = Augment(**{**STILL, **settings})(images, masks, generator(4))
    covered = moved_masks != 11
    far = (moved[:, 0] - moved_masks.float() * 20).abs()[covered]
    assert (far < 1).float().mean() > 0.85
    assert set(moved_masks.unique().tolist()) <= {0, 5, 9, 11}


def test_outside_is_void():
    images, masks = batch()
    _, moved = Augment(**{**STILL, "zoom": (0.5, 0.5)})(images, masks, generator())
    assert (moved == 11).float().mean() == pytest.approx(0.75, abs=0.02)


def test_same_generator_same_result_and_other_generator_another():
    images, masks = batch()
    augment = Augment(saturation=0.3)
    first, again, other = (augment(images, masks, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_light_changes_pictures_within_range_and_masks_not_at_all():
    images, masks = batch()
    light = {**STILL, "brightness": 0.5, "contrast": 0.5, "saturation": 0.5}
    moved, moved_masks = Augment(**light)(images, masks, generator())
    assert torch.equal(moved_masks, masks)
    assert moved.min() >= 0 and moved.max() <= 255
    assert (moved - images).abs().mean() > 1


@pytest.mark.parametrize("bad", BAD_RANGES)
def test_bad_ranges_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Augment(**bad)


def test_shapes_that_do_not_belong_together_are_named():
    images, masks = batch()
    for wrong in ((images[0], masks[0]), (images, masks[:2]), (images, masks[:, ::2])):
        with pytest.raises(ValueError, match="are not"):
            Augment()(*wrong, generator())


@pytest.mark.parametrize("options", [{"degrees": 10.0, "zoom": (1.0, 1.0)}, {"degrees": 0.0, "zoom": (0.5, 1.0)}])
def test_a_border_needs_a_code(options):
    """A data set without Void has none: -1 would wrap to class 255 of masks without a sign."""
    images, masks = batch()
    with pytest.raises(ValueError, match="no class Void"):
        Augment(void=-1, **options)(images, masks, generator())
    moved = Augment(void=-1, **options)(images, masks.long(), generator())[1]
    assert int(moved.min()) == -1
    still = Augment(void=-1, degrees=0.0, zoom=(1.0, 1.2))(images, masks, generator())[1]
    assert int(still.max()) <= 10


@pytest.mark.parametrize(
    "bad",
    [
        {"void": "x"},
        {"void": 1.5},
        {"void": None},
        {"flip": "x"},
        {"zoom": 1.1},
        {"zoom": (1,)},
        {"zoom": "12"},
        {"zoom": (1, "2")},
        {"brightness": None},
        {"degrees": "10"},
        {"contrast": True},
    ],
    ids=str,
)
def test_what_is_no_number_is_named(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))}="):
        Augment(**bad)
