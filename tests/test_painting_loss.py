"""The painting's loss: what it is made of, and that a network leaves its start under it."""

import math

import pytest
import torch
from torch import nn

from course_utils.experiments.painting_loss import BLUR, PaintingLoss


class Half(nn.Module):
    """A distance with a value that is easy to say."""

    def forward(self, pictures):
        return (pictures - 0.5).square().mean()


def pictures(seed, n=2, side=16):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def blurred_brightness(picture):
    """By SciPy, which reflects without repeating the border under the name "mirror"."""
    from scipy.ndimage import gaussian_filter

    y = 0.299 * picture[0] + 0.587 * picture[1] + 0.114 * picture[2]
    return torch.from_numpy(gaussian_filter(y.double().numpy(), BLUR, mode="mirror", radius=7))


def test_the_value_is_the_formula():
    found, photograph = pictures(1), pictures(2)
    loss = PaintingLoss(Half(), content=2, style=3, smooth=5)
    pairs = [(blurred_brightness(f), blurred_brightness(p)) for f, p in zip(found, photograph, strict=True)]
    content = sum(((a - b) ** 2).mean() for a, b in pairs) / len(pairs)
    steps = (found[..., 1:] - found[..., :-1]).abs().mean() + (found[..., 1:, :] - found[..., :-1, :]).abs().mean()
    expected = 2 * content.item() + 3 * ((found - 0.5) ** 2).mean().item() + 5 * steps.item()
    assert loss(found, photograph).item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(sum(loss.parts(found, photograph).values()), loss(found, photograph))


def test_content_sees_light_and_shade_and_not_colour():
    loss = PaintingLoss(Half(), content=1, style=0, smooth=0)
    photograph = pictures(2, side=32)
    other_colour = photograph + torch.tensor([0.587, -0.299, 0.0]).view(3, 1, 1)
    assert loss(photograph, photograph) == 0
    assert loss(other_colour, photograph) == pytest.approx(0, abs=1e-10)
    assert loss(photograph + 0.1, photograph) == pytest.approx(0.01, rel=1e-4)


def test_content_has_no_kink_at_the_photograph():
    """A kink would hold a network that starts as the identity where it is, however strong the style."""
    photograph = pictures(2)
    loss = PaintingLoss(Half(), style=0, smooth=0)
    near, nearer = (loss(photograph + step, photograph) for step in (2e-2, 1e-2))
    assert near / nearer == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PaintingLoss(Half(), style=-1), "style=-1 is not a number of at least 0"),
        (lambda: PaintingLoss(Half(), content=math.nan), "content=nan is not a number"),
        (lambda: PaintingLoss(Half(), smooth=math.inf), "smooth=inf is not a number"),
        (lambda: PaintingLoss(Half(), smooth="0"), "smooth='0' is not a number"),
        (lambda: PaintingLoss(None), "distance=None is no measure of pictures"),
        (lambda: PaintingLoss(Half), "is no measure of pictures"),
        (lambda: PaintingLoss(Half())(pictures(1), (255 * pictures(1)).byte()), "uint8"),
        (lambda: PaintingLoss(Half())(pictures(1, side=7), pictures(1, side=7)), "take 8 pixels or more"),
        (lambda: PaintingLoss(Half())(pictures(1, n=1), pictures(1)), "differ in shape"),
        (lambda: PaintingLoss(Half())(pictures(1), pictures(1, side=15)), "differ in shape"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
