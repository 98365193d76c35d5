"""Test-time views: a network that does not care about a view gains nothing, others get the mean by hand."""

import pytest
import torch
from torch import nn

from course_utils.averaged_views import AveragedViews


class Blind(nn.Module):
    """Scores each pixel by its colour alone, so that mirror images give mirrored scores."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.conv(x)


class Leaning(nn.Module):
    """Scores a pixel by its left neighbour, which a mirror image shows on the right."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, (1, 3), padding=(0, 1))

    def forward(self, x):
        return self.conv(x)


def test_a_network_that_flips_with_the_picture_says_the_same():
    model, x = Blind(), torch.randn(2, 3, 8, 9)
    torch.testing.assert_close(AveragedViews(model)(x), model(x).log_softmax(1))


def test_a_mirror_image_counts_half():
    model, x = Leaning(), torch.randn(2, 3, 8, 9)
    mirrored = model(torch.flip(x, [3])).softmax(1).flip(3)
    torch.testing.assert_close(AveragedViews(model)(x).exp(), (model(x).softmax(1) + mirrored) / 2)
    assert not torch.allclose(AveragedViews(model)(x), model(x).log_softmax(1), atol=1e-3)


@pytest.mark.parametrize("flip", [False, True])
def test_one_view_is_the_network(flip):
    x = torch.randn(1, 3, 8, 9)
    x = x + x.flip(-1)
    model = Blind()
    torch.testing.assert_close(AveragedViews(model, flip)(x), model(x).log_softmax(1))


def test_scales_see_other_sizes_and_answer_at_the_pictures_own():
    seen = []

    class Spy(Blind):
        def forward(self, x):
            seen.append(tuple(x.shape[-2:]))
            return super().forward(x)

    x = torch.ones(1, 3, 64, 80) * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    model = Spy()
    found = AveragedViews(model, flip=False, scales=(0.75, 1, 1.5, 0.1))(x)
    assert seen == [(48, 60), (64, 80), (96, 120), (32, 32)]
    # A picture of one colour looks the same at every size.
    torch.testing.assert_close(found, model(x).log_softmax(1))


def test_a_confident_network_loses_neither_its_loss_nor_its_gradient():
    """What it thinks impossible has a probability of e⁻¹²⁰, which single precision rounds to zero."""
    logits = torch.tensor([120.0, 0.0]).view(1, 2, 1, 1).repeat(1, 1, 4, 4).requires_grad_()
    views = AveragedViews(nn.Identity())(logits)
    torch.testing.assert_close(views, logits.log_softmax(1))
    nn.functional.nll_loss(views, torch.ones(1, 4, 4, dtype=torch.long)).backward()
    torch.testing.assert_close(logits.grad.sum((0, 2, 3)), torch.tensor([1.0, -1.0]))


def test_nor_does_it_at_another_scale():
    logits = torch.tensor([120.0, 0.0]).view(1, 2, 1, 1).repeat(1, 1, 32, 32).requires_grad_()
    views = AveragedViews(nn.Identity(), scales=(1, 2))(logits)
    views.sum().backward()
    assert views.isfinite().all() and logits.grad.isfinite().all()


def test_double_precision_stays_and_half_precision_is_averaged_in_single():
    x = torch.randn(1, 3, 40, 40, dtype=torch.float64)
    model = Leaning().double()
    by_hand = torch.stack([model(x).softmax(1), model(x.flip(3)).flip(3).softmax(1)]).mean(0).log()
    torch.testing.assert_close(AveragedViews(model)(x), by_hand, atol=1e-14, rtol=1e-14)
    half = AveragedViews(Leaning().bfloat16(), scales=(1, 1.5))(x.bfloat16())
    assert half.dtype == torch.float32 and half.shape == (1, 4, 40, 40)


def test_scales_may_come_one_by_one():
    x = torch.randn(1, 3, 8, 9)
    model = Blind()
    assert torch.equal(AveragedViews(model, scales=(s for s in (1.0,)))(x), AveragedViews(model)(x))


@pytest.mark.parametrize("scales", [(), (0,), (1, float("inf")), 1.0, None, ("1",)])
def test_bad_scales(scales):
    with pytest.raises(ValueError, match="not positive shares"):
        AveragedViews(Blind(), scales=scales)


def test_a_word_is_no_flag():
    with pytest.raises(ValueError, match="flip='no'"):
        AveragedViews(nn.Identity(), "no")
