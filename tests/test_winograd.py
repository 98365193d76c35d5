"""Convolution and gradient by Winograd's trick against PyTorch's own, and a network switched to it against itself."""

import contextlib
import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from course_utils import winograd
from course_utils.encoders import create_encoder
from course_utils.unet import DynamicUnet
from course_utils.winograd import WinogradConv2d, convolve, use_winograd, weight_gradient


@pytest.fixture(autouse=True)
def every_processor_takes_it(monkeypatch):
    """Also layers as small as these, for which PyTorch's own way would be as quick."""
    monkeypatch.setattr(winograd, "FEWEST_PIXELS", 128)
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)


@pytest.fixture(params=[True, False], ids=["AVX-512", "narrower"])
def wide(request, monkeypatch):
    """Both ways to the gradient of a row's kernel, on every processor."""
    monkeypatch.setattr(winograd, "WIDE", request.param)


def expected(x: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    weight = torch.zeros(grad.shape[1], x.shape[1], 3, 3, dtype=x.dtype, requires_grad=True)
    F.conv2d(x, weight, padding=1).backward(grad)
    return weight.grad


sizes = st.integers(1, 19)


shapes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), sizes, sizes)
layouts = st.sampled_from([torch.channels_last, torch.contiguous_format])
once = [HealthCheck.function_scoped_fixture]
"""The fixture sets a constant, which holds for all examples."""


@settings(max_examples=60, deadline=None)
@given(shapes, layouts, st.booleans(), st.integers(0, 99))
def test_it_is_the_convolution_for_every_size(shape, layout, with_bias, seed):
    torch.manual_seed(seed)
    n, channels, out_channels, height, width = shape
    x = torch.randn(n, channels, height, width, dtype=torch.float64).contiguous(memory_format=layout)
    weight = torch.randn(out_channels, channels, 3, 3, dtype=torch.float64)
    bias = torch.randn(out_channels, dtype=torch.float64) if with_bias else None
    found = convolve(x, weight, bias)
    torch.testing.assert_close(found, F.conv2d(x, weight, bias, padding=1), atol=1e-10, rtol=1e-10)
    assert found.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=60, deadline=None, suppress_health_check=once)
@given(shapes, layouts, st.integers(0, 99))
def test_it_is_the_gradient_for_every_size(wide, shape, layout, seed):
    torch.manual_seed(seed)
    n, channels, out_channels, height, width = shape
    x = torch.randn(n, channels, height, width, dtype=torch.float64)
    grad = torch.randn(n, out_channels, height, width, dtype=torch.float64)
    found = weight_gradient(x.contiguous(memory_format=layout), grad.contiguous(memory_format=layout))
    torch.testing.assert_close(found, expected(x, grad), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("chunk", [1, 5_000, 10**9])
def test_chunks_change_nothing(monkeypatch, chunk):
    monkeypatch.setattr(winograd, "CHUNK_BYTES", chunk)
    torch.manual_seed(0)
    x, grad = torch.randn(2, 5, 23, 14, dtype=torch.float64), torch.randn(2, 7, 23, 14, dtype=torch.float64)
    weight = torch.randn(7, 5, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(weight_gradient(x, grad), expected(x, grad), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(convolve(x, weight), F.conv2d(x, weight, padding=1), atol=1e-10, rtol=1e-10)


def test_in_single_precision_the_gradient_errs_no_more_than_ten_times_as_much_as_pytorch(wide):
    torch.manual_seed(0)
    x, grad = torch.randn(2, 99, 60, 80), torch.randn(2, 99, 60, 80)
    exact = expected(x.double(), grad.double())
    error, usual = ((found - exact).abs().max() for found in (weight_gradient(x, grad), expected(x, grad)))
    assert error < 10 * usual and error < 1e-4 * exact.abs().max()


def test_a_large_column_at_the_edge_costs_no_precision(wide):
    torch.manual_seed(0)
    x, grad = torch.randn(2, 8, 32, 33), torch.randn(2, 8, 32, 33)
    grad[..., -1] = 1e4 * (1 + torch.rand(2, 8, 32))
    x[..., -2:] = 0  # so nothing of that column reaches the weights
    exact = expected(x.double(), grad.double())
    assert (weight_gradient(x, grad) - exact).abs().max() < 1e-5 * exact.abs().max()


def test_in_single_precision_the_convolution_errs_by_a_few_millionths():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 99, 60, 80), torch.randn(99, 99, 3, 3)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    assert (convolve(x, weight) - exact).abs().max() < 1e-5 * exact.abs().max()


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_a_switched_layer_passes_gradcheck(wide, kernel_size, bias):
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(3, 4, kernel_size, padding=kernel_size // 2, bias=bias)).double()
    assert use_winograd(layer) == 1
    x = torch.randn(1, 3, 8, 16, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


def test_a_switched_unet_gives_the_same_outputs_and_gradients():
    torch.manual_seed(0)
    usual = DynamicUnet(create_encoder("resnet34", pretrained=False), 5, (64, 96)).double().eval()
    quick = copy.deepcopy(usual)
    state = list(quick.state_dict())
    assert use_winograd(quick) > 40 and use_winograd(quick) == 0
    assert list(quick.state_dict()) == state
    x, masks = torch.randn(2, 3, 75, 107, dtype=torch.float64), torch.randint(0, 5, (2, 75, 107))
    for model in (usual, quick):
        F.cross_entropy(model(x), masks).backward()
    torch.testing.assert_close(quick(x), usual(x))
    for (name, ours), theirs in zip(quick.named_parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-7, msg=name)
    copied = copy.deepcopy(quick)
    assert any(isinstance(module, WinogradConv2d) for module in copied.modules())


@pytest.mark.parametrize(
    "options",
    [{"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": 0}, {"padding_mode": "reflect"}, {"kernel_size": 5}],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(options):
    layer = nn.Sequential(nn.Conv2d(4, 4, **{"kernel_size": 3, "padding": 1} | options))
    assert use_winograd(layer) == 0 and type(layer[0]) is nn.Conv2d


def test_autocast_export_and_what_is_too_small_take_the_usual_way(monkeypatch):
    monkeypatch.setattr(winograd, "convolve", None)  # whoever calls it fails
    layer = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
    use_winograd(layer)
    x = torch.randn(1, 3, 16, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).float().sum().backward()
    torch.export.export(layer, (x.detach(),))
    layer(x[..., :8, :8]).sum().backward()
    layer(x[0])
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 4)
    layer(x).sum().backward()


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("grad", [True, False])
def test_the_output_can_be_changed_in_place(kernel_size, grad):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, kernel_size, padding=kernel_size // 2), nn.ReLU(inplace=True)).double()
    x = torch.randn(1, 3, 16, 17, dtype=torch.float64)
    found = []
    for _ in range(2):
        model.zero_grad()
        model.requires_grad_(grad)
        out = model(x)
        if grad:
            out.square().sum().backward()
        out = model(x).detach()
        out += torch.ones(1, requires_grad=True)
        found.append([out.detach(), *(p.grad for p in model.parameters() if grad)])
        use_winograd(model)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gradients_of_gradients_are_the_usual_ones(kernel_size):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, kernel_size, padding=kernel_size // 2).double()
    x = torch.randn(1, 3, 16, 17, dtype=torch.float64, requires_grad=True)
    found = []
    for _ in range(2):
        layer.zero_grad()
        out = layer(x)
        (grad,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        (grad.square().sum() + out.square().sum()).backward()
        found.append([layer.weight.grad, layer.bias.grad])
        use_winograd(nn.Sequential(layer))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("x", "weight", "bias"),
    [
        (torch.ones(1, 2, 8, 8), torch.ones(4, 2, 3, 5), None),
        (torch.ones(1, 2, 8, 8), torch.ones(4, 3, 3, 3), None),
        (torch.ones(1, 2, 8, 8).long(), torch.ones(4, 2, 3, 3).long(), None),
        (torch.ones(1, 2, 8, 8), torch.ones(4, 2, 3, 3).double(), None),
        (torch.ones(0, 2, 8, 8), torch.ones(4, 2, 3, 3), None),
        (torch.ones(2, 8, 8), torch.ones(4, 2, 3, 3), None),
    ],
)
def test_a_convolution_that_does_not_fit_is_refused(x, weight, bias):
    with pytest.raises(ValueError, match=r"x is torch\..* and weight torch\..* both float32 or both float64"):
        convolve(x, weight, bias)


def test_wrong_channels_are_refused_as_usual():
    layer = nn.Conv2d(3, 4, 3, padding=1)
    use_winograd(nn.Sequential(layer))
    with pytest.raises(RuntimeError, match=r"weight of size \[4, 3, 3, 3\]"):
        layer(torch.ones(1, 5, 16, 16))


@pytest.mark.parametrize("bias", [True, False])
def test_inference_gives_the_same_and_keeps_no_graph(bias):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=bias)
    x = torch.randn(1, 3, 16, 17)
    usual = layer(x)
    use_winograd(nn.Sequential(layer))
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = layer(x)
        assert not found.requires_grad
        torch.testing.assert_close(found, usual, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frozen", ["weight", "bias", "input"])
def test_what_is_frozen_gets_no_gradient_and_the_rest_the_usual_one(frozen):
    torch.manual_seed(0)
    quick = nn.Conv2d(3, 4, 3, padding=1).double()
    usual = copy.deepcopy(quick)
    use_winograd(nn.Sequential(quick))
    found = []
    for layer in (quick, usual):
        x = torch.arange(3 * 16 * 17.0).sin().double().view(1, 3, 16, 17).requires_grad_(frozen != "input")
        if frozen != "input":
            getattr(layer, frozen).requires_grad_(False)
        layer(x).square().sum().backward()
        found.append([x.grad, layer.weight.grad, layer.bias.grad])
    for ours, theirs in zip(*found, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    "options",
    [{"padding": 2}, {"padding": (1, 2)}, {"stride": 2}, {"dilation": 2}, {"padding_mode": "reflect", "padding": 1}],
    ids=str,
)
def test_a_layer_built_by_hand_that_does_not_fit_takes_the_usual_way(options):
    torch.manual_seed(0)
    layer = WinogradConv2d(3, 4, 3, **options).double()
    usual = nn.Conv2d(3, 4, 3, **options).double()
    usual.load_state_dict(layer.state_dict())
    x = torch.randn(1, 3, 16, 20, dtype=torch.float64)
    outputs = [conv(x) for conv in (layer, usual)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, usual.weight.grad)


def test_a_meta_tensor_leaves_nothing_behind():
    with torch.device("meta"), contextlib.suppress(RuntimeError):
        weight_gradient(torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8))
    x, grad = torch.randn(1, 2, 8, 8), torch.randn(1, 2, 8, 8)
    torch.testing.assert_close(weight_gradient(x, grad), expected(x, grad), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("empty", ["n", "channels", "out_channels", "height", "width"])
def test_the_gradient_of_nothing_is_zero(empty):
    n, channels, out_channels, height, width = (
        0 if name == empty else 8 for name in ("n", "channels", "out_channels", "height", "width")
    )
    found = weight_gradient(torch.rand(n, channels, height, width), torch.rand(n, out_channels, height, width))
    assert found.shape == (out_channels, channels, 3, 3) and not found.any()


@pytest.mark.parametrize(
    ("x", "grad"),
    [
        (torch.ones(1, 2, 8, 8).long(), torch.ones(1, 2, 8, 8).long()),
        (torch.ones(1, 2, 8, 8).bfloat16(), torch.ones(1, 2, 8, 8).bfloat16()),
        (torch.ones(1, 2, 8, 8), torch.ones(1, 2, 8, 8).double()),
        (torch.ones(1, 2, 8, 8), torch.ones(1, 2, 10, 10)),
        (torch.ones(2, 2, 8, 8), torch.ones(1, 2, 8, 8)),
        (torch.ones(2, 8, 8), torch.ones(2, 8, 8)),
    ],
)
def test_what_does_not_belong_together_is_refused(x, grad):
    with pytest.raises(ValueError, match=r"x is torch\..* and grad torch\..* both float32 or both float64"):
        weight_gradient(x, grad)


def test_autocast_around_backward_alone_rounds_nothing():
    layer = nn.Conv2d(16, 16, 3, padding=1)
    quick = copy.deepcopy(layer)
    x = torch.randn(1, 16, 16, 16)
    assert use_winograd(nn.Sequential(quick)) == 1
    for conv in (layer, quick):
        loss = conv(x).square().sum()
        with torch.autocast("cpu", torch.bfloat16):
            loss.backward()
    torch.testing.assert_close(quick.weight.grad, layer.weight.grad, atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("bias", [torch.zeros(3), torch.zeros(4, dtype=torch.float64)], ids=["three", "double"])
def test_a_bias_that_does_not_fit_is_one_sentence(bias):
    with pytest.raises(ValueError, match=r"it must be \(D,\) of the same type"):
        convolve(torch.zeros(1, 2, 8, 8), torch.zeros(4, 2, 3, 3), bias)
