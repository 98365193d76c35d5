"""Picture losses: zero at equality in value and gradient, right gradients, and nothing kept alive."""

import gc
import math
import weakref

import pytest
import torch
from torch import nn

from course_utils.encoders import create_encoder
from course_utils.losses import FeatureLoss, FeatureStack, StyleLoss, gram_matrix


def small_body():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.Tanh(),
    )


@pytest.fixture
def loss():
    return FeatureLoss(FeatureStack(small_body(), (1, 4)), (5, 2), gram=50).double()


def pictures(seed, n=2, side=8):
    return torch.rand(n, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_a_gram_matrix_by_hand():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    for n in range(2):
        for i in range(3):
            for j in range(3):
                by_hand = sum(x[n, i, r, c] * x[n, j, r, c] for r in range(4) for c in range(5)) / 60
                torch.testing.assert_close(gram_matrix(x)[n, i, j], by_hand)


def test_a_gram_matrix_neither_overflows_nor_rounds_where_numbers_are_half_as_long():
    """The sum over the grid leaves the range of float16 long before the mean does; `fit` calls losses in autocast."""
    x = 50 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for dtype in (torch.float16, torch.bfloat16):
        torch.testing.assert_close(gram_matrix(x.to(dtype)), gram_matrix(x), rtol=1e-3, atol=0)
        with torch.autocast("cpu", dtype):
            inside = gram_matrix(x)
        assert torch.equal(inside, gram_matrix(x))


def test_a_gram_matrix_forgets_where_things_are():
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(gram_matrix(x), gram_matrix(x.flip(3).transpose(2, 3)))


def test_equal_pictures_cost_nothing_and_pull_nowhere(loss):
    target = pictures(0)
    prediction = target.clone().requires_grad_()
    value = loss(prediction, target)
    value.backward()
    assert value == 0 and torch.equal(prediction.grad, torch.zeros_like(target))


def test_the_gradient_is_that_of_finite_differences(loss):
    prediction = pictures(1, n=1, side=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, pictures(2, n=1, side=5)), prediction, eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_of_the_embedded_encoder_too_in_any_memory_layout(layout):
    """`fit` may make the prediction channels-last, while the target is not: equal pictures are equal still."""
    loss = FeatureLoss(FeatureStack(create_encoder("efficientnet_lite0", pretrained=True), (1, 3, 4)), (1, 2, 3))
    target = torch.rand(1, 3, 48, 40, generator=torch.Generator().manual_seed(0))
    prediction = target.clone(memory_format=layout).requires_grad_()
    value = loss(prediction, target)
    value.backward()
    assert value == 0 and not prediction.grad.any()
    away, target = pictures(1, n=1, side=32).clone(memory_format=layout).requires_grad_(), pictures(2, n=1, side=32)
    loss = loss.double()
    assert torch.autograd.gradcheck(lambda p: loss(p, target), away, eps=1e-7, atol=1e-3, rtol=1e-3, fast_mode=True)


def test_the_value_is_the_formula_layer_by_layer(loss):
    prediction, target = pictures(1), pictures(2)
    body = small_body().double().eval()
    mean, std = loss.features.mean, loss.features.std
    expected = (prediction - target).abs().mean()
    with torch.no_grad():
        for weight, stop in zip((5, 2), (2, 5), strict=True):
            f, t = (body[:stop]((x - mean) / std) for x in (prediction, target))
            expected = expected + weight * (f - t).abs().mean()
            expected = expected + 50 * weight**2 * (gram_matrix(f) - gram_matrix(t)).abs().mean()
    torch.testing.assert_close(loss(prediction, target), expected)
    torch.testing.assert_close(sum(loss.parts(prediction, target).values()), expected)


def test_no_activation_outlives_the_loss(loss):
    seen = []

    def note(module, arguments, output):
        seen.append(weakref.ref(output))

    for layer in loss.features.body:
        layer.register_forward_hook(note)
    prediction = pictures(1).requires_grad_()
    loss(prediction, pictures(2)).backward()
    gc.collect()
    assert len(seen) == 10 and not any(reference() is not None for reference in seen)


def test_the_body_given_stays_as_it_is_and_the_copy_never_trains():
    body = small_body().train()
    loss = FeatureLoss(FeatureStack(body, (4,)), (1,)).train()
    assert body.training and body[1].inplace and all(p.requires_grad for p in body.parameters())
    assert not any(module.training for module in loss.features.modules())
    assert not any(p.requires_grad for p in loss.parameters())
    before = loss.features.body[3].running_mean.clone()
    loss(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8))
    assert torch.equal(loss.features.body[3].running_mean, before)


def test_features_of_the_embedded_encoder_tell_blur_from_sharpness():
    encoder = create_encoder("efficientnet_lite0", pretrained=True)
    loss = FeatureLoss(FeatureStack(encoder, (2, 3, 4)), (1, 1, 1), pixel=0, gram=0)
    sharp = torch.rand(1, 3, 64, 64)
    blurred = nn.functional.avg_pool2d(nn.functional.pad(sharp, [1] * 4, mode="replicate"), 3, stride=1)
    noisy = (sharp + 0.001 * torch.randn_like(sharp)).clamp(0, 1)
    assert loss(blurred, sharp) > 10 * loss(noisy, sharp) > 0


def test_style_is_zero_for_the_painting_itself_in_any_order_of_rows():
    painting = pictures(3, n=1)[0]
    style = StyleLoss(FeatureStack(small_body(), (1, 4)).double(), painting, (1, 3))
    assert style(painting[None].repeat(2, 1, 1, 1)) == pytest.approx(0, abs=1e-12)
    other = pictures(4, n=1).requires_grad_()
    style(other).backward()
    assert style(other) > 0 and other.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FeatureStack(small_body(), (1, 5)), r"layers=\(1, 5\) are not rising positions from 0 to 4"),
        (lambda: FeatureStack(small_body(), (3, 1)), "rising"),
        (lambda: FeatureStack(small_body(), ()), "rising"),
        (lambda: FeatureLoss(FeatureStack(small_body(), (1,)), (1, 2)), "2 weights for 1 layers"),
        (lambda: FeatureLoss(FeatureStack(small_body(), (1,)), (-1,)), "numbers of at least 0"),
        (lambda: FeatureLoss(FeatureStack(small_body(), (1,)), (math.nan,)), r"weights=\(nan,\) is no list"),
        (lambda: FeatureLoss(FeatureStack(small_body(), (1,)), (1,), gram=math.inf), "gram=inf: both must be"),
        (lambda: StyleLoss(FeatureStack(small_body(), (1,)), torch.rand(3, 8, 8), (-1,)), "numbers of at least 0"),
        (lambda: StyleLoss(FeatureStack(small_body(), (1,)), 255 * torch.ones(3, 8, 8), (1,)), "255, not from 0"),
        (lambda: StyleLoss(FeatureStack(small_body(), (1,)), torch.ones(3, 8, 8).byte(), (1,)), "uint8"),
        (lambda: FeatureStack(small_body(), (1,))(torch.ones(1, 3, 8, 8).byte()), "uint8 .* not floats"),
        (lambda: FeatureStack(small_body(), (1,))(torch.rand(1, 1, 8, 8)), r"\(1, 1, 8, 8\), not floats"),
        (lambda: FeatureStack(small_body(), (0.5, 1)), r"layers=\(0.5, 1\) are not rising positions"),
        (lambda: FeatureStack(small_body(), (True,)), "are not rising positions"),
        (lambda: FeatureStack(small_body(), 1), "layers=1 are not rising positions"),
        (lambda: FeatureLoss(FeatureStack(small_body(), (1,)), ("5",)), r"weights=\('5',\) is no list of numbers"),
        (lambda: FeatureLoss(FeatureStack(small_body(), (1,)), None), "weights=None is no list of numbers"),
        (lambda: FeatureLoss(FeatureStack(small_body(), (1,)), (1,), pixel="a"), "pixel='a'"),
        (lambda: StyleLoss(FeatureStack(small_body(), (1,)), None, (1,)), "the painting is an object of type NoneType"),
        (
            lambda: StyleLoss(FeatureStack(small_body(), (1,)), torch.rand(3, 8, 8), (1,))(torch.rand(0, 3, 8, 8)),
            r"\(0, 3, 8, 8\) hold no pixels",
        ),
        (lambda: gram_matrix(torch.rand(1, 3, 0, 4)), r"of shape \(1, 3, 0, 4\)"),
        (lambda: gram_matrix(torch.rand(3, 4, 4)), r"of shape \(3, 4, 4\)"),
        (lambda: gram_matrix(torch.ones(1, 3, 4, 4, dtype=torch.uint8)), "torch.uint8"),
        (
            lambda: FeatureLoss(FeatureStack(small_body(), (1,)), (1,))(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9)),
            "differ in shape",
        ),
        (lambda: FeatureStack(small_body(), (1,))(pictures(0)), "for a network of torch.float32"),
        (
            lambda: FeatureLoss(FeatureStack(small_body(), (1,)), (1,))(*[torch.rand(0, 3, 8, 8)] * 2),
            r"\(0, 3, 8, 8\) hold no pixels",
        ),
        (lambda: StyleLoss(FeatureStack(small_body(), (1,)), pictures(0)[0], (1,)), "for a network of torch.float32"),
        (lambda: FeatureStack(nn.Conv2d(3, 6, 3), (0,)), "the body is a Conv2d, not an nn.Sequential"),
        (lambda: FeatureLoss(small_body(), (1,)), r"features is .* Sequential; give FeatureStack\(body, layers\)"),
        (lambda: FeatureLoss(FeatureStack(small_body(), (1,)), (1,))(pictures(0), None), "target is .* NoneType"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
