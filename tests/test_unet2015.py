"""The U-Net of 2015: sizes as published, arithmetic as composed by hand, and tiles that leave no seam."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import course_utils.unet
from course_utils.conv_arithmetic import conv_output_size, transposed_conv_output_size
from course_utils.hooks import Hooks
from course_utils.unet2015 import (
    MARGIN,
    SMALLEST_SIDE,
    UNet2015,
    centre_crop,
    mirror_pad,
    predict_tiled,
    unet2015_output_size,
)


def narrow(width=2, **options):
    torch.manual_seed(0)
    return UNet2015(width=width, **options).eval()


def walked_side(n):
    """The output side by the formulas of single layers; None where a pooling would drop a pixel or nothing is left."""
    skips = []
    try:
        for level in range(5):
            if level:
                if n % 2:
                    return None
                n //= 2
            n = conv_output_size(conv_output_size(n, 3), 3)
            skips.append(n)
        for skip in skips[-2::-1]:
            n = transposed_conv_output_size(n, 2, 2)
            assert n <= skip
            n = conv_output_size(conv_output_size(n, 3), 3)
    except ValueError:
        return None
    return n


def test_sizes_are_those_of_the_single_layers():
    for n in range(1, 700):
        walked = walked_side(n)
        if walked is None:
            with pytest.raises(ValueError, match=f"a side of {n} pixels"):
                unet2015_output_size(n)
        else:
            assert unet2015_output_size(n) == walked, n
    assert unet2015_output_size(572) == 388
    assert walked_side(SMALLEST_SIDE) == 4 and all(walked_side(n) is None for n in range(1, SMALLEST_SIDE))


def test_the_published_network_has_the_published_sizes_and_parameters():
    with torch.device("meta"):
        model = UNet2015()
        with Hooks([*model.down, *model.up, *model.merge, model.head]) as hooks:
            model(torch.empty(1, 1, 572, 572))
            shapes = [tuple(stored.shape[1:3]) for stored in hooks.stored]
    assert shapes == [
        *[(64, 568), (128, 280), (256, 136), (512, 64), (1024, 28)],
        *[(512, 56), (256, 104), (128, 200), (64, 392)],
        *[(512, 52), (256, 100), (128, 196), (64, 388)],
        (2, 388),
    ]
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 23
    pairs = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    pairs += [(512, 1024), (1024, 1024), (1024, 512), (512, 512), (512, 256), (256, 256)]
    pairs += [(256, 128), (128, 128), (128, 64), (64, 64)]
    by_hand = sum(9 * i * o + o for i, o in pairs)
    by_hand += sum(4 * i * i // 2 + i // 2 for i in (1024, 512, 256, 128)) + 64 * 2 + 2
    assert sum(p.numel() for p in model.parameters()) == by_hand == 31_030_658


def test_the_forward_pass_is_the_one_written_out():
    model = narrow(in_channels=3, n_classes=4)
    x = torch.randn(2, 3, 188, 204)

    def double(convs, x):
        for conv in (convs[0], convs[2]):
            x = F.relu(F.conv2d(x, conv.weight, conv.bias))
        return x

    skips = []
    y = x
    for level in range(5):
        y = double(model.down[level], F.max_pool2d(y, 2) if level else y)
        skips.append(y)
    for level in range(4):
        y = F.conv_transpose2d(y, model.up[level].weight, model.up[level].bias, stride=2)
        skip = skips[3 - level].numpy(force=True)
        cut = [(s - t) // 2 for s, t in zip(skip.shape[2:], y.shape[2:], strict=True)]
        skip = skip[:, :, cut[0] : skip.shape[2] - cut[0], cut[1] : skip.shape[3] - cut[1]]
        y = double(model.merge[level], torch.cat([torch.from_numpy(skip), y], 1))
    expected = F.conv2d(y, model.head.weight, model.head.bias)
    assert expected.shape == (2, 4, 4, 20)
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected)


def test_gradient_reaches_every_parameter_and_every_skip():
    model = narrow().train()
    with Hooks(model.down, detach=False) as hooks:
        out = model(torch.randn(1, 1, 204, 188))
        for stored in hooks.stored:
            stored.retain_grad()
        out.square().mean().backward()
        assert all(stored.grad.abs().sum() > 0 for stored in hooks.stored)
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_start_keeps_the_size_of_the_signal():
    torch.manual_seed(0)
    model = UNet2015(width=32).eval()
    with torch.no_grad(), Hooks([*model.down, *model.merge]) as hooks:
        model(torch.randn(1, 1, 188, 188))
        sizes = [stored.square().mean().sqrt().item() for stored in hooks.stored]
    assert all(0.2 < size < 5 for size in sizes), sizes


def test_it_pickles_copies_exports_and_compiles():
    model, x = narrow(), torch.randn(2, 1, 188, 188)
    with torch.no_grad():
        expected = model(x)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(twin(x), expected)
        torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), expected)
        torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x), expected)


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (570, r"a side of 570 pixels does not fit .* \(556 and 572 do\)"),
        (573, r"\(572 and 588 do\)"),
        (100, "the smallest is 188"),
        (187, "the smallest is 188"),
        (189, r"\(188 and 204 do\)"),
    ],
)
def test_a_side_that_does_not_fit_is_named_with_those_that_do(side, message):
    for size in ((side, 188), (188, side)):
        with pytest.raises(ValueError, match=message) as caught:
            narrow()(torch.zeros(1, 1, *size))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(1, 188, 188),
        torch.zeros(1, 3, 188, 188),
        torch.zeros(1, 1, 188, 188, dtype=torch.uint8),
        np.zeros((1, 1, 188, 188), np.float32),
        None,
    ],
)
def test_inputs_that_are_no_batch_of_floats_are_named(x):
    with pytest.raises(ValueError, match=r"not floats \(N, 1, H, W\)"):
        narrow()(x)


@pytest.mark.parametrize("options", [{"in_channels": 0}, {"n_classes": 1.5}, {"width": True}])
def test_numbers_of_channels_are_checked(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}=.* is not a whole number of at least 1"):
        UNet2015(**options)


def test_unet_offers_both_names():
    assert course_utils.unet.UNet2015 is UNet2015 and course_utils.unet.predict_tiled is predict_tiled


def test_crop_keeps_the_middle():
    x = torch.arange(36.0).reshape(1, 1, 6, 6)
    assert torch.equal(centre_crop(x, (2, 4)), x[..., 2:4, 1:5])
    assert torch.equal(centre_crop(x, (3, 6)), x[..., 1:4, :])
    with pytest.raises(ValueError, match="holds no middle"):
        centre_crop(x, (7, 2))


@pytest.mark.parametrize(("height", "width"), [(5, 7), (2, 3), (1, 4), (30, 1)])
def test_mirroring_is_numpys_however_far_it_goes(height, width):
    picture = torch.arange(float(height * width)).reshape(1, 1, height, width)
    mirrored = mirror_pad(picture, left=11, right=4, top=3, bottom=17)
    expected = np.pad(picture.numpy(), ((0, 0), (0, 0), (3, 17), (11, 4)), mode="reflect")
    assert np.array_equal(mirrored.numpy(), expected)


@pytest.mark.parametrize(("height", "width"), [(100, 150), (64, 64), (65, 30), (131, 97)])
@pytest.mark.parametrize("tile", [220, 252])
def test_tiles_of_the_2015_network_give_the_whole_pictures_prediction_everywhere(height, width, tile):
    model = narrow(in_channels=2).double()  # where rounding is so small that nothing can hide in it
    picture = torch.randn(1, 2, height, width, dtype=torch.float64)
    side = 188 + 16 * 12
    after = [(0, 0), (0, 0), *[(MARGIN, side - MARGIN - n) for n in (height, width)]]
    whole = torch.from_numpy(np.pad(picture.numpy(), after, mode="reflect"))
    with torch.no_grad():
        expected = model(whole)[..., :height, :width]
    tiled = predict_tiled(model, picture, tile)
    assert tiled.shape == (1, 2, height, width)
    assert expected.std() > 0.01
    torch.testing.assert_close(tiled, expected, rtol=0, atol=1e-12)


def test_tiles_as_far_apart_as_the_output_is_wide_would_leave_seams():
    """Why `predict_tiled` steps by a multiple of 16: steps of tile - 184 meet other pooling windows."""
    model, picture = narrow(width=4), torch.randn(1, 1, 128, 128)
    seamless = predict_tiled(model, picture, 252)  # 68 wide, so in steps of 64
    out_of_step = predict_tiled(model, picture, 252, stride=68)
    assert (out_of_step - seamless)[..., :68, :68].abs().max() < 1e-4
    assert (out_of_step - seamless)[..., 68:, 68:].abs().mean() > 0.1 * seamless.std()


class Padded(nn.Module):
    """A network with zero padding that halves once, and sees 10 pixels far."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Conv2d(4, 2, 3, padding=1),
        )

    def forward(self, x):
        x = F.max_pool2d(self.a(x).relu(), 2)
        return self.c(F.interpolate(self.b(x).relu(), scale_factor=2))


def test_tiles_of_a_padded_network_are_right_away_from_tile_borders():
    model, picture = Padded().eval(), torch.randn(1, 1, 96, 96)
    with torch.no_grad():
        whole = model(picture)
    tiled = predict_tiled(model, picture, tile=32, margin=0, stride=2)
    wrong = ((tiled - whole).abs() > 1e-5).any(1)[0]
    place = torch.arange(96) % 32
    near = (place < 10) | (place >= 22)
    assert wrong.any()
    assert not wrong[~near][:, ~near].any()
    with_context = predict_tiled(model, picture, tile=52, margin=10, stride=2)
    inside = (slice(None), slice(None), slice(10, -10), slice(10, -10))  # the whole picture has zeros round it
    torch.testing.assert_close(with_context[inside], whole[inside], rtol=1e-4, atol=1e-5)


def test_tiling_leaves_the_models_mode_and_no_gradient():
    model = narrow().train()
    assert not predict_tiled(model, torch.randn(1, 1, 20, 20), 188 + 16).requires_grad
    assert model.training and model.dropout.training
    model.down.eval()
    predict_tiled(model, torch.randn(1, 1, 20, 20), 188 + 16)
    assert model.training and not model.down.training and not model.down[0][0].training


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile": 188}, "take 204 or more"),
        ({"tile": 204.0}, r"tile=204\.0 is not a whole number"),
        ({"tile": 204, "margin": 92.0}, r"margin=92\.0 is not a whole number"),
        ({"tile": True}, "tile=True"),
        ({"tile": 210}, "210 pixels does not fit"),
        ({"tile": 252, "margin": 60}, "give its margin"),
        ({"tile": 252, "margin": -1}, "margin=-1"),
        ({"tile": 252, "stride": 0}, "stride=0"),
    ],
)
def test_tiles_that_cannot_be_are_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        predict_tiled(narrow(), torch.zeros(1, 1, 40, 40), **arguments)


@pytest.mark.parametrize(
    "picture",
    [torch.zeros(40, 40), torch.zeros(1, 1, 0, 4), torch.zeros(1, 1, 9, 9).byte(), np.zeros((1, 1, 9, 9), np.float32)],
)
def test_a_picture_that_is_none_is_named(picture):
    with pytest.raises(ValueError, match=r"not floats \(N, C, H, W\)"):
        predict_tiled(narrow(), picture, 204)


def test_the_side_that_is_named_for_a_tile_too_small_fits():
    with pytest.raises(ValueError, match="take 204 or more"):
        predict_tiled(narrow(), torch.zeros(1, 1, 20, 20), 188)
    assert predict_tiled(narrow(), torch.zeros(1, 1, 20, 20), 204).shape[-2:] == (20, 20)
    with pytest.raises(ValueError, match="take 22 or more"):
        predict_tiled(nn.Conv2d(1, 2, 1), torch.zeros(1, 1, 20, 20), 20, margin=10, stride=2)
