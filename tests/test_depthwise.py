"""Depthwise convolutions in bfloat16 with gradients in float32: against float64, and a network switched to them."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from timm.layers import Conv2dSame
from torch import nn

from course_utils import depthwise
from course_utils.depthwise import use_float32_depthwise_gradients
from course_utils.encoders import create_encoder
from course_utils.unet import DynamicUnet

BFLOAT16 = {"device_type": "cpu", "dtype": torch.bfloat16}


def plain(channels=4, **options):
    return nn.Conv2d(channels, channels, 5, padding=2, groups=channels, **options)


def switched(layer):
    assert use_float32_depthwise_gradients(nn.Sequential(layer)) == 1
    return layer


def gradients(layer, x, grad):
    layer.zero_grad()
    x = x.clone().requires_grad_()
    with torch.autocast(**BFLOAT16):
        y = layer(x)
    y.backward(grad.to(y.dtype))
    return y.detach(), x.grad, [parameter.grad for parameter in layer.parameters()]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([nn.Conv2d, Conv2dSame]),
    st.integers(2, 6),
    st.integers(1, 2),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 2),
    st.integers(1, 2),
    st.booleans(),
    st.tuples(st.integers(9, 14), st.integers(9, 14)),
    st.integers(0, 99),
)
def test_output_is_autocasts_and_gradients_are_those_of_float64(
    kind, channels, outputs, side, stride, dilation, bias, size, seed
):
    assume(side > 3 or stride > 1 or dilation > 1)
    torch.manual_seed(seed)
    layer = kind(
        channels, outputs * channels, side, stride, side // 2, dilation, groups=channels, bias=bias
    )  # Conv2dSame pads by itself whatever it is told
    x = torch.randn(2, channels, *size)
    with torch.autocast(**BFLOAT16), torch.no_grad():
        expected = layer(x)
    grad = torch.randn(expected.shape).bfloat16()
    found, of_x, of_weights = gradients(switched(copy.deepcopy(layer)), x, grad)
    assert torch.equal(found, expected)

    exact = copy.deepcopy(layer).double()
    x64 = x.bfloat16().double().requires_grad_()
    exact(x64).backward(grad.double())
    torch.testing.assert_close(of_x.double(), x64.grad, rtol=2**-8, atol=1e-5)
    for gradient, parameter in zip(of_weights, exact.parameters(), strict=True):
        torch.testing.assert_close(gradient.double(), parameter.grad, rtol=1e-4, atol=1e-4)


def test_a_network_keeps_its_logits_and_comes_no_further_from_float32():
    torch.manual_seed(0)
    encoder = create_encoder("efficientnet_lite0", pretrained=True)
    own = DynamicUnet(encoder, 12, (64, 96), norm_type="batch").eval().to(memory_format=torch.channels_last)
    quick = copy.deepcopy(own)
    assert use_float32_depthwise_gradients(quick) == 11 and use_float32_depthwise_gradients(quick) == 0
    assert quick.state_dict().keys() == own.state_dict().keys()
    x, y = torch.randn(2, 3, 64, 96), torch.randint(0, 12, (2, 64, 96))

    def run(model, in_bfloat16):
        with torch.autocast(**BFLOAT16, enabled=in_bfloat16):
            logits = model(x)
            loss = F.cross_entropy(logits, y)
        loss.backward()
        return logits.detach(), torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    logits, found = run(quick, True)
    usual_logits, usual = run(own, True)
    own.zero_grad()
    _, exact = run(own, False)
    assert torch.equal(logits, usual_logits)
    assert (found - exact).norm() < 1.05 * (usual - exact).norm() < 0.2 * exact.norm()


def test_frozen_layers_get_no_gradient_and_pass_it_on():
    layer = switched(plain())
    layer.requires_grad_(False)
    x = torch.randn(1, 4, 6, 6)
    _, of_x, of_weights = gradients(layer, x, torch.ones(1, 4, 6, 6))
    assert of_x.abs().sum() > 0 and of_weights == [None, None]
    layer.requires_grad_(True)
    with torch.autocast(**BFLOAT16):
        layer(x).sum().backward()  # x wants none
    assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("case", ["float32", "float16", "no gradients", "float64", "one picture without N"])
def test_everything_else_takes_pytorchs_own_way(monkeypatch, case):
    monkeypatch.setattr(depthwise, "_Convolution", None)  # whoever calls it fails
    layer = plain()
    x = torch.randn(2, 4, 6, 6)
    if case == "one picture without N":
        x = x[0]
    if case == "float64":
        layer, x = layer.double(), x.double()
    own = copy.deepcopy(layer)
    switched(layer)
    dtype = torch.float16 if case == "float16" else torch.bfloat16
    with torch.autocast("cpu", dtype, enabled=case != "float32"), torch.set_grad_enabled(case != "no gradients"):
        torch.testing.assert_close(layer(x), own(x))


def test_other_convolutions_stay_what_they_are():
    quick = nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 1, groups=4)
    by_name, circular = (
        nn.Conv2d(4, 4, 5, groups=4, **options) for options in ({"padding": "same"}, {"padding_mode": "circular"})
    )
    wide = nn.Conv2d(4, 4, 5), nn.Conv2d(4, 4, 5, groups=2), nn.Conv2d(1, 4, 5)
    model = nn.Sequential(*quick, by_name, circular, *wide, nn.Linear(4, 4))
    before = [type(layer) for layer in model]
    assert use_float32_depthwise_gradients(model) == 0 and [type(layer) for layer in model] == before
