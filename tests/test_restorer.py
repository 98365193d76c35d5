"""The restorer starts as the identity, trains from there, and leaves its mode alone."""

import copy

import pytest
import torch

from course_utils.encoders import create_encoder
from course_utils.layers import NORM_TYPES
from course_utils.restorer import Restorer, make_restorer, restore
from course_utils.training import fit
from course_utils.unet import DynamicUnet

NORMS = [{"norm_type": norm} for norm in NORM_TYPES[1:4]]
PICTURES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def restorer():
    torch.manual_seed(0)
    return make_restorer(64, pretrained=False)


def test_untrained_it_gives_back_what_it_gets_bit_for_bit(restorer):
    assert torch.equal(restore(restorer, PICTURES), PICTURES)


@pytest.mark.parametrize("options", [*NORMS, {"y_range": (-3, 3)}, {"tail": "unshuffle"}], ids=str)
def test_so_it_does_with_every_norm_and_learns_from_there(options):
    """Weight norm and a range from -3 to 3 are what the lecture takes."""
    torch.manual_seed(0)
    model = make_restorer(64, pretrained=False, **options)
    assert torch.equal(restore(model, PICTURES), PICTURES)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    target = PICTURES + 0.1
    losses = []
    for _ in range(4):
        loss = (model(PICTURES) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_what_cannot_start_as_the_identity_is_refused():
    with pytest.raises(ValueError, match="norm_type='spectral' cannot be silent"):
        make_restorer(64, pretrained=False, norm_type="spectral")
    with pytest.raises(ValueError, match=r"y_range=\(0, 1\) .* would add 0.5"):
        make_restorer(64, pretrained=False, y_range=(0, 1))
    for options in ({"norm_type": "spectral"}, {"y_range": (0, 1)}):
        whole = make_restorer(64, pretrained=False, residual=False, **options)
        assert restore(whole, PICTURES).isfinite().all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (PICTURES[0], "not floats"),
        (PICTURES[:, :1], r"\(2, 1, 64, 64\), not floats \(N, 3"),
        ((255 * PICTURES).byte(), "uint8"),
        (PICTURES.numpy(), "an object of type ndarray"),
        (255 * PICTURES, "not from 0"),
        (torch.nan * PICTURES, "nan"),
    ],
)
def test_what_is_no_picture_is_refused(restorer, wrong, message):
    with pytest.raises(ValueError, match=message):
        restore(restorer, wrong)


def test_double_precision_is_refused_unless_the_network_has_it(restorer):
    with pytest.raises(ValueError, match=r"float64 of .* for a network of torch.float32; pass pictures.float\(\)"):
        restore(restorer, PICTURES.double())
    assert restore(copy.deepcopy(restorer).double(), PICTURES.double()).dtype == torch.float64


@pytest.mark.parametrize("depth", [2.5, 0, True, "6"])
def test_a_depth_that_is_none_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth={depth!r} is neither a whole number of at least 1 nor None"):
        make_restorer(64, pretrained=False, depth=depth)


def test_bytes_are_refused_in_training_too(restorer):
    with pytest.raises(ValueError, match="uint8"):
        restorer((255 * PICTURES).byte())


def test_without_the_residual_it_gives_what_the_network_gives():
    torch.manual_seed(0)
    whole = make_restorer(64, n_out=2, residual=False, pretrained=False).eval()
    normal = (PICTURES - whole.mean) / whole.std
    torch.testing.assert_close(whole(PICTURES), whole.unet(normal))
    assert whole(PICTURES).shape == (2, 2, 64, 64)


def test_odd_sizes_come_back_at_their_own_size(restorer):
    assert restore(restorer, PICTURES[..., :45, :51]).shape == (2, 3, 45, 51)


@pytest.mark.parametrize("size", [(64, 64), (45, 51)])
def test_a_frame_is_reflected_and_cut_off_again(size):
    torch.manual_seed(0)
    framed = make_restorer(64, pretrained=False, residual=False, frame=8).eval()
    picture = PICTURES[..., : size[0], : size[1]]
    columns = torch.cat([picture[..., 1:9].flip(-1), picture, picture[..., -9:-1].flip(-1)], -1)
    larger = torch.cat([columns[..., 1:9, :].flip(-2), columns, columns[..., -9:-1, :].flip(-2)], -2)
    expected = Restorer(framed.unet, residual=False).eval()(larger)[..., 8:-8, 8:-8]
    torch.testing.assert_close(framed(picture), expected)


def test_untrained_with_a_frame_it_gives_back_what_it_gets():
    framed = make_restorer(64, pretrained=False, frame=16)
    assert torch.equal(restore(framed, PICTURES), PICTURES)
    with pytest.raises(ValueError, match="16 × 40 pixels are too few to reflect a frame of 16"):
        restore(framed, PICTURES[..., :16, :40])
    for size in (0, -32, 16, True, "a", None):
        with pytest.raises(ValueError, match=f"size={size!r} is not a whole number of at least 17"):
            make_restorer(size, pretrained=False, frame=16)
    for frame in (-1, 2.5, True):
        with pytest.raises(ValueError, match=f"frame={frame} is not a whole number of at least 0"):
            make_restorer(64, pretrained=False, frame=frame)


def test_pictures_come_to_the_network_and_the_result_back_to_them(restorer):
    """The meta device stands for a GPU; from there nothing can come back."""
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        restore(copy.deepcopy(restorer).to("meta"), PICTURES)


def test_restoring_leaves_the_mode_as_it_was(restorer):
    for mode in (True, False):
        restorer.train(mode)
        restore(restorer, PICTURES)
        assert restorer.training is mode
    restorer.train().unet.encoder.eval()
    restore(restorer, PICTURES)
    assert restorer.unet.training and not restorer.unet.encoder[1].training
    restorer.train()


def test_it_leaves_the_start_in_the_direction_of_the_target():
    torch.manual_seed(0)
    model = make_restorer(64, pretrained=False)
    target = (PICTURES + 0.2).clamp(0, 1)
    before = (restore(model, PICTURES) - target).square().mean()
    fit(
        model,
        [(PICTURES, target)] * 40,
        epochs=1,
        lr=(1e-3, 1e-2),
        loss_fn=torch.nn.functional.mse_loss,
        progress=False,
    )
    assert (restore(model, PICTURES) - target).square().mean() < 0.3 * before


def test_a_residual_of_two_channels_is_refused():
    unet = DynamicUnet(create_encoder("resnet18", False), 2, (64, 64))
    with pytest.raises(ValueError, match="gives 2"):
        Restorer(unet)
