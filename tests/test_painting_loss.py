"""The painting's loss: what it is made of, what it forgets, and that a network leaves its start under it."""

import math

import pytest
import torch
from torch import nn

from course_utils.feature_network import FeatureNetwork
from course_utils.losses import FeatureStack
from course_utils.painting_loss import Neighbourhoods, PaintingLoss


def judge():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2, padding=1))
    return FeatureNetwork(FeatureStack(body, (1, 2)), (1.0, 1.0), 1.0, "a small one")


def pictures(seed, n=2, side=16):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


PAINTING = pictures(9, n=1)[0]


def test_neighbourhoods_hold_each_pixel_and_the_eight_around_it():
    x = pictures(1)
    full, half, quarter = Neighbourhoods()(x)
    assert full.shape == (2, 27, 14, 14) and half.shape == (2, 27, 6, 6) and quarter.shape == (2, 27, 2, 2)
    torch.testing.assert_close(full[1, :, 3, 4].view(3, 3, 3), x[1, :, 3:6, 4:7])
    smaller = x.view(2, 3, 8, 2, 8, 2).mean((3, 5))
    torch.testing.assert_close(half[0, :, 0, 2].view(3, 3, 3), smaller[0, :, 0:3, 2:5])


def test_the_painting_has_its_own_style_and_the_photograph_its_own_content():
    loss = PaintingLoss(judge(), PAINTING, smooth=0)
    assert loss.style_distance(PAINTING[None]) == pytest.approx(0, abs=1e-6)
    assert loss.parts(PAINTING[None], PAINTING[None])["content"] == 0
    assert loss.parts(pictures(1), pictures(1))["style"] > 0.1


def test_the_value_is_the_formula():
    found, photograph = pictures(1), pictures(2)
    network = judge()
    loss = PaintingLoss(network, PAINTING, content=2, style=3, smooth=5)

    def style(features):
        total = 0.0
        for f, p in zip(features(found), features(PAINTING[None]), strict=True):
            grams = [torch.einsum("nchw,ndhw->ncd", x, x) / x[0].numel() for x in (f, p)]
            total += (grams[0] - grams[1]).abs().mean() / grams[1].abs().mean() / len(features.layers)
        return total

    f, t = network.features(found)[-1], network.features(photograph)[-1]
    expected = 2 * ((f - t) ** 2).mean() / (t**2).mean()
    expected = expected + 3 * (style(network.features) + 2 * style(Neighbourhoods()))
    steps = (found[..., 1:] - found[..., :-1]).abs().mean() + (found[..., 1:, :] - found[..., :-1, :]).abs().mean()
    torch.testing.assert_close(loss(found, photograph), expected + 5 * steps)
    torch.testing.assert_close(sum(loss.parts(found, photograph).values()), loss(found, photograph))


def test_style_forgets_where_things_are():
    painting = pictures(3, n=1, side=96)[0]
    loss = PaintingLoss(judge(), painting)
    moved = painting.roll((40, 24), (1, 2))[None]
    assert loss.style_distance(moved) < 0.1 * loss.style_distance(0.5 * moved)


def test_a_mesh_of_single_pixels_is_seen():
    smooth = nn.functional.interpolate(pictures(4, n=1, side=6), (48, 48), mode="bilinear")
    loss = PaintingLoss(judge(), smooth[0], smooth=0)
    mesh = 0.1 * (torch.arange(48) % 2 * 2.0 - 1)
    assert loss.style_distance(smooth + mesh * mesh[:, None] * 10) > loss.style_distance(smooth) + 0.1


def test_content_has_no_kink_at_the_photograph():
    """A kink would hold a network that starts as the identity where it is, however strong the style."""
    photograph = pictures(2)
    loss = PaintingLoss(judge(), PAINTING, style=0, smooth=0)
    near, nearer = (loss(photograph + step, photograph) for step in (2e-2, 1e-2))
    assert near / nearer == pytest.approx(4, rel=0.05)


def test_gradients_reach_the_picture_and_nothing_of_the_judge():
    loss = PaintingLoss(judge(), PAINTING).train()
    prediction = pictures(1).requires_grad_()
    loss(prediction, pictures(2)).backward()
    assert prediction.grad.isfinite().all() and (prediction.grad != 0).float().mean() > 0.9
    assert not any(parameter.requires_grad for parameter in loss.parameters())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PaintingLoss(judge(), PAINTING, style=-1), "none may be negative"),
        (lambda: PaintingLoss(judge(), PAINTING, content=math.nan), "content=nan, .* negative or not finite"),
        (lambda: PaintingLoss(judge(), PAINTING, smooth=math.inf), "smooth=inf: none may be"),
        (lambda: PaintingLoss(judge(), torch.zeros(3, 16, 16)), "no style in this painting: it is black"),
        (lambda: PaintingLoss(judge(), PAINTING[:, :11]), r"\(1, 3, 11, 16\) are too small"),
        (lambda: PaintingLoss(judge(), PAINTING)(*[pictures(1, side=11)] * 2), r"\(2, 3, 11, 11\) are too small"),
        (lambda: PaintingLoss(judge(), PAINTING)(pictures(1, n=1), pictures(1)), "differ in shape"),
        (lambda: PaintingLoss(judge(), PAINTING)(pictures(1), pictures(1, side=15)), "differ in shape"),
        (lambda: PaintingLoss(judge(), PAINTING[None]), r"\(1, 3, 16, 16\), not floats"),
        (lambda: PaintingLoss(judge(), (PAINTING * 255).byte()), "torch.uint8"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
