"""Layers and networks switched to fast convolutions against themselves, as PyTorch calculates them."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import fast_convolution
from course_utils.encoders import create_encoder
from course_utils.fast_convolution import FastConv2d, use_fast_convolutions
from course_utils.unet import DynamicUnet

WAYS = [("winograd", "winograd"), ("matrix", "matrix"), ("torch", "matrix")]


@pytest.fixture(params=WAYS, ids="-".join)
def ways(request, monkeypatch):
    """Layers of every size go one way, where they can: output and input's gradient, gradient of the weights."""

    def chosen(conv: nn.Conv2d, x: torch.Tensor) -> tuple[str, str]:
        possible = "winograd" not in request.param or (conv.kernel_size == (3, 3) and conv.stride == (1, 1))
        return request.param if possible else ("torch", "matrix")

    monkeypatch.setattr(fast_convolution, "_ways", chosen)


@pytest.mark.parametrize(
    ("kernel_size", "stride", "in_channels", "out_channels", "side", "expected"),
    [
        (3, 1, 512, 512, 5, ("matrix", "matrix")),  # 50 pixels, weights for 512 channels
        (3, 1, 8, 225, 5, ("matrix", "matrix")),  # 50 · 9 = 2 · 225
        (3, 1, 512, 224, 5, ("torch", "matrix")),
        (3, 1, 8, 450, 15, ("torch", "matrix")),
        (3, 1, 512, 449, 15, ("torch", "torch")),
        (3, 1, 100, 100, 105, ("winograd", "winograd")),  # 2 · 105² pixels · 50²
        (3, 1, 100, 100, 104, ("torch", "torch")),
        (3, 1, 200, 300, 44, ("winograd", "winograd")),  # 2 · 44² pixels · 120²
        (3, 1, 200, 300, 43, ("torch", "torch")),
        (3, 1, 4096, 800, 12, ("winograd", "matrix")),
        (3, 1, 4096, 800, 11, ("torch", "matrix")),  # too few rows
        (3, 1, 95, 512, 199, ("torch", "torch")),  # too few channels
        (3, 1, 512, 95, 199, ("torch", "torch")),
        (3, 2, 128, 128, 99, ("torch", "torch")),
        (3, 2, 8, 225, 9, ("matrix", "matrix")),  # 5 × 5 pixels
        (1, 1, 8, 400, 20, ("matrix", "matrix")),
        (1, 1, 512, 399, 20, ("torch", "matrix")),
        (1, 2, 128, 128, 99, ("torch", "matrix")),
    ],
)
def test_pixels_decide_about_the_way(kernel_size, stride, in_channels, out_channels, side, expected, monkeypatch):
    monkeypatch.setattr(fast_convolution, "LEAST_WORK", 5.5e7)  # whatever this processor is
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, device="meta")
    assert fast_convolution._ways(conv, torch.empty(2, in_channels, side, side, device="meta")) == expected


SPEED = (Path(__file__).parent / "benchmarks/README.md").read_text(encoding="utf-8")


def ways_of_resnet34(size: tuple[int, int]) -> tuple[int, list[tuple[int, tuple[str, str]]]]:
    """Numbers in the network's weights; and in those of each convolution, in turn, with its ways for two pictures."""
    with torch.device("meta"):
        model = DynamicUnet(create_encoder("resnet34", pretrained=False), 12, size).eval()
        use_fast_convolutions(model)
        found = []
        for conv in (module for module in model.modules() if isinstance(module, FastConv2d)):
            conv.register_forward_hook(
                lambda conv, inputs, _: found.append((conv.weight.numel(), fast_convolution._ways(conv, inputs[0])))
            )
        model(torch.empty(2, 3, *size))
    return sum(parameter.numel() for parameter in model.parameters()), found


def test_the_page_on_speed_says_how_many_weights_lie_on_coarse_grids():
    everything, found = ways_of_resnet34((96, 128))
    of_weights = sum(numbers for numbers, ways in found if ways[1] == "matrix")
    of_outputs = sum(numbers for numbers, ways in found if ways[0] == "matrix")
    said = f"that is {of_weights / 1e6:.0f} and {of_outputs / 1e6:.0f} of the {everything / 1e6:.0f} million weights"
    assert said in SPEED


def test_the_page_on_speed_says_in_how_many_layers_winograds_trick_pays(monkeypatch):
    monkeypatch.setattr(fast_convolution, "LEAST_WORK", 5.5e7)  # as with AVX-512
    layers = [
        sum(ways[0] == "winograd" for _, ways in ways_of_resnet34(size)[1])
        for size in ((360, 480), (180, 240), (96, 128))
    ]
    assert layers == [10, 5, 2]
    assert "in ten of them at 360 × 480, in five at 180 × 240, in two at 96 × 128" in SPEED


def test_without_matrix_products_only_those_of_pointwise_weights_are_left(monkeypatch):
    monkeypatch.setattr(fast_convolution, "COARSE", 0)
    x = torch.empty(2, 512, 3, 4, device="meta")
    found = [fast_convolution._ways(nn.Conv2d(512, 512, k, 1, k // 2, device="meta"), x) for k in (3, 1)]
    assert found == [("torch", "torch"), ("torch", "matrix")]


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_a_switched_layer_passes_gradcheck(ways, kernel_size, stride, bias):
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(3, 4, kernel_size, stride, kernel_size // 2, bias=bias)).double()
    assert use_fast_convolutions(layer) == 1
    x = torch.randn(1, 3, 8, 7, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


def test_a_switched_unet_gives_the_same_outputs_and_gradients(ways):
    torch.manual_seed(0)
    usual = DynamicUnet(create_encoder("resnet34", pretrained=False), 5, (64, 96)).double().eval()
    quick = copy.deepcopy(usual)
    state = list(quick.state_dict())
    assert use_fast_convolutions(quick) > 40 and use_fast_convolutions(quick) == 0
    assert list(quick.state_dict()) == state
    x, masks = torch.randn(2, 3, 75, 107, dtype=torch.float64), torch.randint(0, 5, (2, 75, 107))
    for model in (usual, quick):
        F.cross_entropy(model(x), masks).backward()
    torch.testing.assert_close(quick(x), usual(x))
    for (name, ours), theirs in zip(quick.named_parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-7, msg=name)
    copied = copy.deepcopy(quick)
    assert any(isinstance(module, FastConv2d) for module in copied.modules())


@pytest.mark.parametrize(
    "options",
    [
        {"stride": (1, 2)},
        {"dilation": 2},
        {"groups": 2},
        {"padding": 0},
        {"padding_mode": "reflect"},
        {"kernel_size": 5},
    ],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(options):
    layer = nn.Sequential(nn.Conv2d(4, 4, **{"kernel_size": 3, "padding": 1} | options))
    assert use_fast_convolutions(layer) == 0 and type(layer[0]) is nn.Conv2d


def test_autocast_export_and_what_holds_nothing_take_the_usual_way(monkeypatch):
    def asked(conv: nn.Conv2d, x: torch.Tensor) -> None:
        raise AssertionError("asked for a way")

    monkeypatch.setattr(fast_convolution, "_ways", asked)
    layer = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 300, 1))
    assert use_fast_convolutions(layer) == 2
    x = torch.randn(1, 3, 4, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).float().sum().backward()
    torch.export.export(layer, (x.detach(),))
    assert layer(x[0]).shape == (300, 4, 4) and layer(x[:0]).shape == (0, 300, 4, 4)
    with pytest.raises(AssertionError, match="asked for a way"):
        layer(x)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("grad", [True, False])
def test_the_output_can_be_changed_in_place(ways, kernel_size, grad):
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
        use_fast_convolutions(model)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gradients_of_gradients_are_the_usual_ones(ways, kernel_size):
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
        use_fast_convolutions(nn.Sequential(layer))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_wrong_channels_are_refused_as_usual():
    layer = nn.Conv2d(3, 4, 3, padding=1)
    use_fast_convolutions(nn.Sequential(layer))
    with pytest.raises(RuntimeError, match=r"weight of size \[4, 3, 3, 3\]"):
        layer(torch.ones(1, 5, 16, 16))


@pytest.mark.parametrize("bias", [True, False])
def test_inference_gives_the_same_and_keeps_no_graph(ways, bias):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=bias)
    x = torch.randn(1, 3, 16, 17)
    usual = layer(x)
    use_fast_convolutions(nn.Sequential(layer))
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = layer(x)
        assert not found.requires_grad
        torch.testing.assert_close(found, usual, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frozen", ["weight", "bias", "input"])
def test_what_is_frozen_gets_no_gradient_and_the_rest_the_usual_one(ways, frozen):
    torch.manual_seed(0)
    quick = nn.Conv2d(3, 4, 3, padding=1).double()
    usual = copy.deepcopy(quick)
    use_fast_convolutions(nn.Sequential(quick))
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
    [
        {"padding": 2},
        {"padding": (1, 2)},
        {"stride": (2, 1), "padding": 1},
        {"dilation": 2},
        {"padding_mode": "reflect", "padding": 1},
    ],
    ids=str,
)
def test_a_layer_built_by_hand_that_does_not_fit_takes_the_usual_way(options):
    torch.manual_seed(0)
    layer = FastConv2d(3, 4, 3, **options).double()
    usual = nn.Conv2d(3, 4, 3, **options).double()
    usual.load_state_dict(layer.state_dict())
    x = torch.randn(1, 3, 16, 20, dtype=torch.float64)
    outputs = [conv(x) for conv in (layer, usual)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, usual.weight.grad)


def test_autocast_around_backward_alone_rounds_nothing(ways):
    layer = nn.Conv2d(16, 16, 3, padding=1)
    quick = copy.deepcopy(layer)
    inputs = [torch.randn(1, 16, 16, 16, requires_grad=True)]
    inputs.append(inputs[0].detach().clone().requires_grad_())
    assert use_fast_convolutions(nn.Sequential(quick)) == 1
    for conv, x in zip((layer, quick), inputs, strict=True):
        loss = conv(x).square().sum()
        with torch.autocast("cpu", torch.bfloat16):
            loss.backward()
    torch.testing.assert_close(quick.weight.grad, layer.weight.grad, atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("kind", ["matmul", "conv"])
def test_where_products_may_round_to_bfloat16_pytorch_convolves(kind, monkeypatch):
    layer = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1))
    use_fast_convolutions(layer)
    monkeypatch.setattr(fast_convolution, "_ways", lambda conv, x: pytest.fail("a way of its own"))
    setting = getattr(torch.backends.mkldnn, kind)
    before = setting.fp32_precision
    try:
        setting.fp32_precision = "bf16"
        layer(torch.zeros(1, 8, 4, 4))
    finally:
        setting.fp32_precision = before


def test_a_bias_of_another_type_is_refused_as_by_pytorch(ways):
    layer = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1))
    use_fast_convolutions(layer)
    layer[0].bias = nn.Parameter(layer[0].bias.detach().double())
    with pytest.raises(RuntimeError, match="type"):
        layer(torch.zeros(1, 8, 16, 16))
