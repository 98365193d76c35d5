"""Oklab against the table of its author, its own inverse, and what grey means."""

import pytest
import torch

from course_utils.experiments.oklab import oklab_to_rgb, rgb_to_oklab

PUBLISHED = {  # sRGB primaries, as CSS Color 4 and others list them
    (1.0, 1.0, 1.0): (1.0, 0.0, 0.0),
    (1.0, 0.0, 0.0): (0.62796, 0.22486, 0.12585),
    (0.0, 1.0, 0.0): (0.86644, -0.23389, 0.17950),
    (0.0, 0.0, 1.0): (0.45201, -0.03246, -0.31153),
    (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
}


@pytest.mark.parametrize(("rgb", "lab"), PUBLISHED.items())
def test_the_primaries_are_where_others_find_them(rgb, lab):
    found = rgb_to_oklab(torch.tensor(rgb).view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(found, torch.tensor(lab), atol=2e-4, rtol=0)


def test_there_and_back():
    pictures = torch.rand(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(oklab_to_rgb(rgb_to_oklab(pictures)), pictures, atol=1e-6, rtol=0)


def test_grey_has_no_colour():
    grey = torch.linspace(0, 1, 50).view(1, 1, 5, 10).expand(1, 3, 5, 10)
    lab = rgb_to_oklab(grey)
    assert lab[:, 1:].abs().max() < 1e-3
    assert (lab[0, 0].flatten().diff() > 0).all()


def test_half_precision_and_autocast_keep_the_colours():
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    coarse = pictures.bfloat16()
    there = rgb_to_oklab(coarse)
    torch.testing.assert_close(there, rgb_to_oklab(coarse.float()).bfloat16())
    torch.testing.assert_close(oklab_to_rgb(there), oklab_to_rgb(there.float()).bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        inside = rgb_to_oklab(pictures)
        back = oklab_to_rgb(inside)
    assert torch.equal(inside, rgb_to_oklab(pictures)) and torch.equal(back, oklab_to_rgb(inside))


def test_gradients_are_finite_at_black_too():
    pictures = torch.tensor([0.0, 1 / 255, 0.5, 1.0]).view(1, 1, 2, 2).repeat(1, 3, 1, 1).requires_grad_()
    rgb_to_oklab(pictures).square().sum().backward()
    assert pictures.grad.isfinite().all() and (pictures.grad[..., 1:, :] != 0).all()
    lab = torch.zeros(1, 3, 2, 2, requires_grad=True)
    oklab_to_rgb(lab).sum().backward()
    assert lab.grad.isfinite().all()


@pytest.mark.parametrize("wrong", [torch.zeros(3, 4, 4), torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 4).byte(), [1]])
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(ValueError, match="got"):
        rgb_to_oklab(wrong)
