"""Convolutions with channels in eights against PyTorch's own, and a network switched to them against itself."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_utils.encoders import create_encoder
from course_utils.unet import DynamicUnet
from tests.benchmarks import _aligned as aligned
from tests.benchmarks._aligned import ALIGNMENT, AlignedConv2d, use_aligned_channels


@pytest.fixture(autouse=True)
def every_device_pads(monkeypatch):
    monkeypatch.setattr(aligned, "DEVICES", ("cpu", "cuda"))


def results(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return [y.detach(), x.grad, *(parameter.grad for parameter in layer.parameters())]


channels = st.integers(1, 19)


@settings(max_examples=60, deadline=None)
@given(channels, channels, st.sampled_from([1, 3]), st.integers(1, 2), st.booleans(), st.booleans(), st.integers(0, 99))
def test_output_and_gradients_are_those_of_pytorch(n_in, n_out, side, stride, bias, last, seed):
    torch.manual_seed(seed)
    own = nn.Conv2d(n_in, n_out, side, stride, padding=side // 2, bias=bias).double()
    padded = copy.deepcopy(own)
    padded.__class__ = AlignedConv2d
    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(2, n_in, 7, 5, dtype=torch.float64).contiguous(memory_format=layout)
    for found, expected in zip(results(padded, x), results(own, x), strict=True):
        torch.testing.assert_close(found, expected)


def test_its_kernels_see_channels_in_eights(monkeypatch):
    seen = []
    conv2d = torch.nn.functional.conv2d
    monkeypatch.setattr("torch.nn.functional.conv2d", lambda x, w, *more: seen.append((x, w)) or conv2d(x, w, *more))
    layer = AlignedConv2d(99, 12, 3)
    y = layer(torch.randn(2, 99, 6, 6).contiguous(memory_format=torch.channels_last))
    [(x, weight)] = seen
    assert (x.shape[1], *weight.shape[:2]) == (104, 16, 104)
    assert x.is_contiguous(memory_format=torch.channels_last) and y.is_contiguous(memory_format=torch.channels_last)
    assert y.shape == (2, 12, 4, 4)


def test_one_picture_without_a_batch():
    torch.manual_seed(0)
    layer = AlignedConv2d(3, 5, 3)
    x = torch.randn(3, 8, 8)
    torch.testing.assert_close(layer(x), layer(x[None])[0])


def test_a_network_gives_the_same_and_keeps_its_state_dict():
    torch.manual_seed(0)
    model = DynamicUnet(create_encoder("resnet18", pretrained=False), 12, (64, 64)).double().eval()
    switched = copy.deepcopy(model)
    # The first convolution of the encoder, two of the tail on 99 channels, and the last one.
    assert use_aligned_channels(switched) == 4
    assert use_aligned_channels(switched) == 0
    assert list(switched.state_dict()) == list(model.state_dict())
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    for found, expected in zip(results(switched, x), results(model, x), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-6)


def test_groups_stay_as_they_are():
    model = nn.Sequential(nn.Conv2d(6, 6, 3, groups=3), nn.Conv2d(2 * ALIGNMENT, ALIGNMENT, 1))
    assert use_aligned_channels(model) == 0


def test_other_devices_take_pytorchs_own_way(monkeypatch):
    monkeypatch.setattr(aligned, "DEVICES", ("cuda",))
    monkeypatch.setattr(aligned.F, "pad", lambda *_: pytest.fail("it padded"))
    AlignedConv2d(3, 5, 3)(torch.randn(1, 3, 8, 8))
