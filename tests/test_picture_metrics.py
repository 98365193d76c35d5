"""PSNR and SSIM of pictures against their formulas and against scikit-image."""

import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from course_utils.experiments.photographs import patches
from course_utils.metrics import psnr, ssim


def noisy_pair():
    target = patches(["chelsea", "coffee"], 48, 3) / 255
    noise = 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    return (target + noise).clamp(0, 1), target


def arrays(pair):
    return [[picture.permute(1, 2, 0).numpy() for picture in pictures] for pictures in pair]


def test_psnr_is_scikit_images_mean_over_pictures():
    pair = noisy_pair()
    theirs = [peak_signal_noise_ratio(b, a, data_range=1) for a, b in zip(*arrays(pair), strict=True)]
    assert psnr(*pair) == pytest.approx(sum(theirs) / len(theirs), abs=1e-4)


def test_psnr_by_hand_and_at_equality():
    target = torch.rand(2, 3, 12, 12) * 0.5
    assert psnr(target + 0.1, target) == pytest.approx(20, abs=1e-4)  # a mean squared error of 0.01
    assert math.isinf(psnr(target, target))


def test_ssim_is_scikit_images():
    pair = noisy_pair()
    theirs = [
        structural_similarity(
            a, b, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for a, b in zip(*arrays(pair), strict=True)
    ]
    assert ssim(*pair) == pytest.approx(sum(theirs) / len(theirs), abs=0.01)  # they leave out the border
    assert ssim(pair[1], pair[1]) == pytest.approx(1)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_refusals(metric):
    picture = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="of one shape"):
        metric(picture, picture[..., :15])
    with pytest.raises(ValueError, match="of one shape"):
        metric(picture[0], picture[0])
    with pytest.raises(ValueError, match=r"torch\.uint8"):
        metric((picture * 255).byte(), picture)
    with pytest.raises(ValueError, match="an object of type ndarray"):
        metric(picture, picture.numpy())


def test_ssim_needs_room_for_its_window():
    with pytest.raises(ValueError, match="10"):
        ssim(torch.rand(1, 3, 10, 30), torch.rand(1, 3, 10, 30))


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_half_precision_is_calculated_in_full(metric):
    prediction, target = (picture.bfloat16() for picture in noisy_pair())
    assert metric(prediction, target) == pytest.approx(metric(prediction.double(), target.double()), abs=1e-4)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_mixed_precision_around_it_changes_nothing(metric):
    """`fit` scores inside of autocast, where a convolution would be calculated in half precision."""
    pair = noisy_pair()
    with torch.autocast("cpu", torch.bfloat16):
        inside = metric(*pair)
    assert inside == metric(*pair)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_pictures_that_cannot_be_judged(metric):
    picture = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="the prediction holds values that are not finite"):
        metric(picture * torch.nan, picture)
    with pytest.raises(ValueError, match="the target holds values that are not finite"):
        metric(picture, picture * torch.inf)
    with pytest.raises(ValueError, match="hold no picture"):
        metric(picture[:0], picture[:0])
    with pytest.raises(ValueError, match="rescale"):
        metric(picture * 255, picture * 255)


@pytest.mark.filterwarnings("error")
def test_pictures_that_still_have_a_graph_are_judged_without_a_warning():
    one, other = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = psnr(one, other), ssim(one, other)
    assert (psnr(one.clone().requires_grad_(), other), ssim(one, other.clone().requires_grad_())) == expected
