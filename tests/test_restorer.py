"""The restorer starts as the identity, trains from there, and leaves its mode alone."""

import pytest
import torch

from course_utils.encoders import create_encoder
from course_utils.restorer import Restorer, make_restorer, restore
from course_utils.training import fit
from course_utils.unet import DynamicUnet

PICTURES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def restorer():
    torch.manual_seed(0)
    return make_restorer(64, pretrained=False)


def test_untrained_it_gives_back_what_it_gets_bit_for_bit(restorer):
    assert torch.equal(restore(restorer, PICTURES), PICTURES)


def test_without_the_residual_it_gives_what_the_network_gives():
    torch.manual_seed(0)
    whole = make_restorer(64, n_out=2, residual=False, pretrained=False).eval()
    normal = (PICTURES - whole.mean) / whole.std
    torch.testing.assert_close(whole(PICTURES), whole.unet(normal))
    assert whole(PICTURES).shape == (2, 2, 64, 64)


def test_odd_sizes_come_back_at_their_own_size(restorer):
    assert restore(restorer, PICTURES[..., :45, :51]).shape == (2, 3, 45, 51)


def test_restoring_leaves_the_mode_as_it_was(restorer):
    for mode in (True, False):
        restorer.train(mode)
        restore(restorer, PICTURES)
        assert restorer.training is mode


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
