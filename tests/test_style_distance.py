"""How far pictures are from a painting's style: against SciPy, by what it must forget, and by what it must see."""

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import nn

from course_utils.experiments.feature_network import FeatureNetwork
from course_utils.experiments.style_distance import GramDistance, Neighbourhoods, PatchDistance, repeated_distance
from course_utils.losses import FeatureStack


def judge():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2, padding=1))
    return FeatureNetwork(FeatureStack(body, (1, 2)), (1.0, 1.0), 1.0, "a small one")


def pictures(seed, n=2, side=16):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def both(painting):
    return GramDistance(judge(), painting), PatchDistance(painting, side=3, levels=2)


PAINTING = pictures(9, n=1)[0]


def test_along_one_direction_it_is_the_wasserstein_distance_of_scipy():
    """On patches of one pixel in a picture of one grey: the direction's sum is all that is left of it."""
    painting = torch.rand(1, 120, 120, generator=torch.Generator().manual_seed(1)).expand(3, -1, -1)
    shown = torch.rand(1, 1, 120, 120, generator=torch.Generator().manual_seed(2)).square().expand(-1, 3, -1, -1)
    found = PatchDistance(painting, side=1, levels=1, directions=1)(shown, seed=5)
    direction = nn.functional.normalize(torch.randn(1, 3, generator=torch.Generator().manual_seed(5)))
    expected = wasserstein_distance(shown[0, 0].flatten(), painting[0].flatten()) * direction.sum().abs()
    assert found == pytest.approx(expected.item(), rel=0.05)  # of the painting's pixels only a draw takes part


def test_the_mean_over_directions_of_a_step_in_brightness():
    """Patches all shifted by `d` move by `d` times the sum of a random unit vector: on average 0.8 d."""
    painting = 0.5 * pictures(3, n=1, side=96)[0]
    distance = PatchDistance(painting, directions=2000)
    plain = distance(painting[None], seed=1)
    assert distance(painting[None] + 0.4, seed=1) == pytest.approx(0.8 * 0.4, rel=0.05)
    assert plain < 0.01


def test_sorting_with_and_without_places_gives_the_same():
    distance = PatchDistance(pictures(3, n=1, side=96)[0])
    plain = pictures(4, side=64)
    with_places = distance(plain.clone().requires_grad_(), seed=1)
    assert distance(plain, seed=1) == with_places
    assert distance(plain.double(), seed=1).item() == pytest.approx(with_places.item(), abs=1e-6)


@pytest.mark.parametrize("kind", [0, 1])
def test_style_forgets_where_things_are(kind):
    painting = pictures(3, n=1, side=96)[0]
    distance = both(painting)[kind]
    moved = painting.roll((40, 24), (1, 2))[None]
    assert distance(moved) < 0.1 * distance(0.5 * moved)


@pytest.mark.parametrize("kind", [0, 1])
def test_a_mesh_of_single_pixels_is_seen(kind):
    smooth = nn.functional.interpolate(pictures(4, n=1, side=6), (48, 48), mode="bilinear")
    distance = both(smooth[0])[kind]
    mesh = 0.1 * (torch.arange(48) % 2 * 2.0 - 1)
    assert distance(smooth + mesh * mesh[:, None] * 10) > 1.3 * distance(smooth) + (0.1, 0)[kind]


def test_only_patches_tell_two_mixtures_with_the_same_gram_matrix_apart():
    """Brightness 0.1 or 0.9 by halves, and 0.5 with rare 0 and 1: mean and mean square agree, the pictures do not."""
    generator = torch.Generator().manual_seed(0)
    draw = torch.rand(1, 1, 64, 64, generator=generator)
    halves = torch.where(draw < 0.5, 0.1, 0.9)
    rare = torch.where(draw < 0.32, 0.0, torch.where(draw > 0.68, 1.0, 0.5))
    assert halves.mean() == pytest.approx(rare.mean().item(), abs=0.01)
    assert halves.square().mean() == pytest.approx(rare.square().mean().item(), rel=0.02)
    halves, rare = halves.expand(-1, 3, -1, -1), rare.expand(-1, 3, -1, -1)
    grams, patches = Neighbourhoods()(halves)[0], Neighbourhoods()(rare)[0]
    a, b = ((x.flatten(2) @ x.flatten(2).transpose(1, 2)) / x[0, 0].numel() for x in (grams, patches))
    assert (a - b).abs().mean() < 0.02 * a.mean()
    distance = PatchDistance(halves[0], side=1, levels=1)
    assert distance(rare, seed=0) > 5 * distance(halves, seed=0)


def test_the_gram_distance_is_the_formula():
    found, network = pictures(1), judge()

    def style(features):
        total = 0.0
        for f, p in zip(features(found), features(PAINTING[None]), strict=True):
            grams = [torch.einsum("nchw,ndhw->ncd", x, x) / x[0].numel() for x in (f, p)]
            total += (grams[0] - grams[1]).abs().mean() / grams[1].abs().mean() / len(features.layers)
        return total

    expected = style(network.features) + 2 * style(Neighbourhoods())
    torch.testing.assert_close(GramDistance(network, PAINTING)(found), expected)
    assert GramDistance(network, PAINTING)(PAINTING[None]) == pytest.approx(0, abs=1e-6)


def test_neighbourhoods_hold_each_pixel_and_the_eight_around_it():
    x = pictures(1)
    full, half, quarter = Neighbourhoods()(x)
    assert full.shape == (2, 27, 14, 14) and half.shape == (2, 27, 6, 6) and quarter.shape == (2, 27, 2, 2)
    torch.testing.assert_close(full[1, :, 3, 4].view(3, 3, 3), x[1, :, 3:6, 4:7])
    smaller = x.view(2, 3, 8, 2, 8, 2).mean((3, 5))
    torch.testing.assert_close(half[0, :, 0, 2].view(3, 3, 3), smaller[0, :, 0:3, 2:5])


@pytest.mark.parametrize("kind", [0, 1])
def test_gradients_reach_the_picture_and_nothing_else(kind):
    distance = both(PAINTING)[kind].train()
    prediction = pictures(1).requires_grad_()
    distance(prediction).backward()
    assert prediction.grad.isfinite().all() and (prediction.grad != 0).float().mean() > 0.9
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_the_gradient_of_the_patches_agrees_with_finite_differences():
    distance = PatchDistance(PAINTING, side=3, levels=2, directions=3)
    x = pictures(1, n=1, side=8).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda y: distance(y, seed=2), x, eps=1e-7)


def test_a_seed_repeats_the_directions_and_without_one_they_change():
    distance, x = PatchDistance(PAINTING, side=3, levels=2), pictures(1)
    assert distance(x, seed=3) == distance(x, seed=3) != distance(x, seed=4)
    assert distance(x) != distance(x)
    again = PatchDistance(PAINTING, side=3, levels=2)
    assert PatchDistance(PAINTING, side=3, levels=2)(x) == again(x)


def test_repeated_distances_are_single_ones_and_their_mean_is_that_of_many_directions():
    painting, x = pictures(3, n=1, side=48)[0], 0.7 * pictures(1, side=48)
    few, many = PatchDistance(painting, directions=4), PatchDistance(painting, directions=4000)
    found = repeated_distance(few, x.requires_grad_(), draws=100)
    assert found.shape == (100,) and not found.requires_grad
    assert torch.equal(found[7], few(x, seed=7)) and torch.equal(found[:10], repeated_distance(few, x))
    expected = many(x, seed=0).item()
    assert found.mean() == pytest.approx(expected, abs=3 * found.std().item() / 10)
    assert found.std() > 0.01 * expected


def test_the_patches_kept_are_the_paintings():
    small = PatchDistance(PAINTING, side=3, levels=2)
    for level, picture in enumerate((PAINTING[None], nn.functional.avg_pool2d(PAINTING[None], 2))):
        every, kept = nn.functional.unfold(picture, 3)[0].T, getattr(small, f"patches_{level}")
        assert len(kept) == len(every)  # few enough, in another order
        assert torch.equal(kept[kept[:, 0].argsort()], every[every[:, 0].argsort()])


def test_any_whole_seed_will_do():
    import numpy as np

    distance, x = PatchDistance(PAINTING, side=3, levels=2), pictures(1)
    assert distance(x, seed=np.int64(3)) == distance(x, seed=3)
    assert distance(x, seed=2**70).isfinite() and distance(x, seed=-1).isfinite()


def test_the_judge_stays_its_own():
    network = judge()
    GramDistance(network, PAINTING).half()
    assert all(parameter.dtype == torch.float32 for parameter in network.features.parameters())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GramDistance(judge(), torch.zeros(3, 16, 16)), "no style in this painting: it is black"),
        (lambda: GramDistance(judge(), PAINTING[:, :11]), r"\(1, 3, 11, 16\) are too small"),
        (lambda: GramDistance(judge(), PAINTING)(pictures(1, side=11)), r"\(2, 3, 11, 11\) are too small"),
        (lambda: GramDistance(judge(), PAINTING[None]), r"\(1, 3, 16, 16\), not floats"),
        (lambda: GramDistance(judge(), (PAINTING * 255).byte()), "torch.uint8"),
        (lambda: PatchDistance(PAINTING), r"\(3, 16, 16\) are too small: patches of 7 pixels at 3 scales need 28 × 28"),
        (lambda: both(PAINTING)[1](pictures(1, side=5)), r"\(2, 3, 5, 5\) are too small: .* need 6 × 6"),
        (lambda: both(PAINTING)[1](pictures(1)[:0]), "hold no pixels"),
        (lambda: both(PAINTING)[0](pictures(1)[:0]), "hold no pixels"),
        (lambda: both(PAINTING)[0](None), "an object of type NoneType"),
        (lambda: GramDistance(None, PAINTING), "judge is an object of type NoneType, not what feature_network"),
        (lambda: GramDistance(judge(), 1e-5 * PAINTING), "black or nearly so"),
        (lambda: PatchDistance("pond.png"), "the painting is 'pond.png', not floats"),
        (lambda: PatchDistance(2 * PAINTING), "not from 0"),
        (lambda: PatchDistance(PAINTING, side=0), "side=0 is not a whole number of at least 1"),
        (lambda: PatchDistance(PAINTING, levels=1.5), "levels=1.5"),
        (lambda: PatchDistance(PAINTING, directions=True), "directions=True"),
        (lambda: repeated_distance(both(PAINTING)[1], pictures(1), draws=0), "draws=0 is not a whole number"),
        (lambda: both(PAINTING)[1](pictures(1), seed=0.5), "seed=0.5 is not a whole number"),
        (lambda: both(PAINTING)[1]((pictures(1) * 255).byte()), "not floats"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
