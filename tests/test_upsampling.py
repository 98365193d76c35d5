"""Each way of enlarging the grid: exact sizes, agreement with torch, and what ICNR promises."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.upsampling import (
    UPSAMPLERS,
    InterpolateConv,
    PixelShuffleICNR,
    TransposedConv,
    checkerboard_energy,
    icnr_,
    make_upsampler,
)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", UPSAMPLERS)
def test_sizes_are_exact(name, scale):
    assert make_upsampler(name, 8, 6, scale)(torch.randn(2, 8, 5, 7)).shape == (2, 6, 5 * scale, 7 * scale)


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5])
def test_every_kernel_of_a_transposed_convolution_doubles_exactly(kernel_size):
    assert TransposedConv(4, 3, kernel_size)(torch.randn(1, 4, 5, 6)).shape == (1, 3, 10, 12)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("scale", [2, 3])
def test_icnr_starts_as_nearest_upsampling_of_one_convolution(scale, kernel_size):
    up = PixelShuffleICNR(5, 4, scale, act_cls=None, kernel_size=kernel_size)
    conv = up[0][0]
    assert conv.weight.shape == (4 * scale**2, 5, kernel_size, kernel_size) and not conv.bias.any()
    x = torch.randn(2, 5, 6, 7)
    small = F.conv2d(x, conv.weight[:: scale**2], padding=kernel_size // 2)
    torch.testing.assert_close(up(x), F.interpolate(small, scale_factor=scale, mode="nearest"))


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_a_shuffle_is_convolution_then_torchs_shuffle(kernel_size):
    up = make_upsampler("pixel_shuffle", 5, 4, 3, icnr=False, kernel_size=kernel_size)
    conv = up[0][0]
    nn.init.normal_(conv.bias)
    x = torch.randn(2, 5, 6, 7)
    channels = F.conv2d(x, conv.weight, conv.bias, padding=kernel_size // 2)
    torch.testing.assert_close(up(x), F.pixel_shuffle(channels.relu(), 3))


def test_kernels_of_1_are_the_default_and_even_ones_are_refused():
    assert PixelShuffleICNR(4)[0][0].kernel_size == (1, 1)
    for size, message in ((2, "kernel_size=2 is even"), (0, "kernel_size=0"), ("3", "kernel_size='3'")):
        with pytest.raises(ValueError, match=message):
            PixelShuffleICNR(4, kernel_size=size)


def test_without_icnr_neighbours_differ_and_with_blur_they_are_averaged():
    x = torch.randn(1, 5, 6, 7)
    torch.manual_seed(0)
    y = PixelShuffleICNR(5, 4, icnr=False, act_cls=None)(x)
    assert (y[..., ::2, ::2] - y[..., 1::2, 1::2]).abs().mean() > 0.1
    torch.manual_seed(0)
    blurred = PixelShuffleICNR(5, 4, icnr=False, blur=True, act_cls=None)(x)
    squares = y[..., 1:, 1:] + y[..., :-1, 1:] + y[..., 1:, :-1] + y[..., :-1, :-1]
    torch.testing.assert_close(blurred[..., 1:, 1:], squares / 4)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_interpolation_then_convolution_is_torchs(mode):
    up = InterpolateConv(3, 2, mode=mode, act_cls=None)
    x = torch.randn(1, 3, 5, 6)
    conv = up.conv[0]
    large = nn.Upsample(scale_factor=2, mode=mode)(x)
    torch.testing.assert_close(up(x), F.conv2d(large, conv.weight, conv.bias, padding=1))


@pytest.mark.parametrize("scale", [0, -1, 2.5])
@pytest.mark.parametrize("name", UPSAMPLERS)
def test_scales_are_whole_and_positive(name, scale):
    with pytest.raises(ValueError, match=f"scale={scale}"):
        make_upsampler(name, 8, 6, scale)


def test_other_refusals():
    with pytest.raises(ValueError, match="divisible by scale"):
        icnr_(torch.empty(6, 3, 1, 1))
    with pytest.raises(ValueError, match="smaller than stride=2"):
        TransposedConv(3, 3, kernel_size=1)
    with pytest.raises(ValueError, match="upsample='cubic'"):
        make_upsampler("cubic", 3, 3)
    with pytest.raises(ValueError, match="mode='cubic'"):
        InterpolateConv(3, 3, mode="cubic")


def by_hand(x, scale):
    """Variances of blocks and of all, channel by channel, in plain loops."""
    within, total = [], []
    for plane in x.reshape(-1, *x.shape[-2:]).double().numpy():
        rows, columns = (side // scale * scale for side in plane.shape)
        kept = plane[:rows, :columns]
        total.append(kept.var(ddof=1))
        within += [
            kept[i : i + scale, j : j + scale].var(ddof=1)
            for i in range(0, rows, scale)
            for j in range(0, columns, scale)
        ]
    return sum(within) / len(within) / (sum(total) / len(total))


@pytest.mark.parametrize(("shape", "scale"), [((2, 3, 8, 10), 2), ((5, 7), 2), ((1, 2, 9, 10), 3), ((1, 8, 8), 4)])
def test_checkerboard_energy_is_variance_within_blocks(shape, scale):
    x = torch.randn(shape)
    assert checkerboard_energy(x, scale) == pytest.approx(by_hand(x, scale))


def test_checkerboard_energy_of_known_pictures():
    torch.manual_seed(0)
    small = torch.randn(1, 3, 20, 20)
    assert checkerboard_energy(F.interpolate(small, scale_factor=2)) == 0
    assert checkerboard_energy(torch.randn(1, 3, 200, 200)) == pytest.approx(1, abs=0.02)
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="ij")
    assert checkerboard_energy(((rows + columns) % 2).float()) == pytest.approx(4 / 3, abs=0.01)
    assert checkerboard_energy(rows.float()) < 0.01  # a ramp: neighbours are alike
    assert checkerboard_energy(torch.full((6, 6), 0.3)) == 0


def test_checkerboard_energy_knows_neither_brightness_nor_contrast():
    x = torch.rand(1, 3, 16, 16)
    assert checkerboard_energy(5 * x - 2) == pytest.approx(checkerboard_energy(x))


@pytest.mark.parametrize("scale", [2, 3])
def test_icnr_starts_without_checkerboard_and_random_weights_with_one(scale):
    torch.manual_seed(0)
    x = torch.randn(2, 16, 24, 24)
    assert checkerboard_energy(PixelShuffleICNR(16, 8, scale)(x), scale) < 1e-12
    assert checkerboard_energy(PixelShuffleICNR(16, 8, scale, icnr=False)(x), scale) > 0.8


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(4, 4, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(1, 4), r"\(1, 4\)"),
        (torch.zeros(4), r"\(4,\)"),
        (torch.full((4, 4), float("nan")), "not finite"),
        (torch.zeros(4, 4).numpy(), "type ndarray"),
    ],
)
def test_checkerboard_energy_refuses(x, message):
    with pytest.raises(ValueError, match=message):
        checkerboard_energy(x)


@pytest.mark.parametrize("value", [200 / 255, 0.1, 1e-6])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_rounding_is_no_checkerboard(value, mode):
    flat = F.interpolate(torch.full((1, 3, 12, 12), value), scale_factor=3, mode=mode)
    assert checkerboard_energy(flat) == 0 and checkerboard_energy(flat, 3) == 0


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_truth_values_and_texts_are_no_scale(name):
    for scale in (True, "2", None):
        with pytest.raises(ValueError, match="scale="):
            make_upsampler(name, 4, 4, scale)


def test_more_refusals():
    with pytest.raises(ValueError, match=r"\(3, 8, 8\) is not \(N, C, H, W\)"):
        InterpolateConv(3, 3)(torch.rand(3, 8, 8))
    with pytest.raises(ValueError, match="kernel_size=4 is even"):
        TransposedConv(2, 3, kernel_size=4, stride=1)
    with pytest.raises(ValueError, match="kernel_size='3'"):
        TransposedConv(2, 3, kernel_size="3")
    with pytest.raises(ValueError, match="holds no pixels"):
        checkerboard_energy(torch.zeros(0, 3, 8, 8))
    with pytest.raises(ValueError, match="not finite"):
        checkerboard_energy(torch.full((1, 4, 4), torch.nan), 1)


@pytest.mark.parametrize("cls", [PixelShuffleICNR, InterpolateConv, TransposedConv])
def test_channels_are_whole_and_positive_and_activations_are_made(cls):
    for channels in ((0, 4), (4, 0), ("4", 4), (4, 2.0)):
        with pytest.raises(ValueError, match="channels="):
            cls(*channels)
    with pytest.raises(ValueError, match="makes no activations"):
        cls(4, 4, act_cls=nn.ReLU())


@pytest.mark.parametrize("flag", [{"icnr": "no"}, {"blur": "yes"}], ids=str)
def test_a_word_is_no_flag(flag):
    with pytest.raises(ValueError, match="is not True or False"):
        PixelShuffleICNR(4, **flag)


def test_icnr_takes_initialisers_that_return_nothing():
    def fill(kernel):
        kernel.copy_(torch.arange(kernel.numel()).view_as(kernel))

    assert icnr_(torch.empty(8, 1, 1, 1), init=fill).flatten().tolist() == [0] * 4 + [1] * 4
    assert icnr_(torch.empty(4, 1, 1, 1), init=nn.init.ones_).flatten().tolist() == [1] * 4


@pytest.mark.parametrize("weight", [torch.tensor(1.0), torch.zeros(4, 1, 1, 1).long(), None])
def test_icnr_refuses_what_is_no_weight(weight):
    with pytest.raises(ValueError, match=r"weight is .*, not floats \(out_channels, in_channels, kH, kW\)"):
        icnr_(weight)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nearest", {"kernel_size": 3}, "upsample='nearest' takes no kernel_size, only norm_type, act_cls"),
        ("bilinear", {"mode": "nearest"}, "upsample='bilinear' takes no mode, only"),
        ("transposed", {"blur": True}, "upsample='transposed' takes no blur, only kernel_size, act_cls"),
        ("pixel_shuffle", {"stride": 2}, "upsample='pixel_shuffle' takes no stride, only blur, icnr"),
    ],
)
def test_an_option_of_another_scheme_is_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_upsampler(name, 4, 4, **options)
