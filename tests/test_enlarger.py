"""The contest is fair (same start, same batches, equal multiplications), and each score measures what it says."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.experiments.enlarger import SCHEMES, Enlarger, SizePairs, costs, equal_macs, training
from course_utils.experiments.enlarger_scores import Photographs, plain_checkerboard, true_energy


@pytest.fixture(scope="module")
def photographs():
    return Photographs.load()


def test_the_scored_photographs_are_not_those_trained_on(photographs):
    assert photographs.train.full.shape == (600, 3, 32, 32) and photographs.train.small.shape == (600, 3, 16, 16)
    assert photographs.sharp.full.shape == photographs.soft.full.shape == (12, 3, 144, 144)
    assert not torch.equal(photographs.sharp.full, Photographs.load("val").sharp.full)
    with pytest.raises(ValueError, match="split='train'"):
        Photographs.load("train")


def test_soft_photographs_have_next_to_no_checkerboard_of_their_own(photographs):
    sharp = true_energy(Photographs(photographs.train, photographs.sharp, photographs.sharp))
    assert true_energy(photographs) < 0.005 < sharp


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_doubles_and_starts_from_the_same_convolutions(scheme):
    network, reference = Enlarger(scheme, 6, seed=3), Enlarger("nearest + conv", 6, seed=3)
    assert network(torch.rand(2, 3, 10, 12)).shape == (2, 3, 20, 24)
    assert torch.equal(network.features[0].weight, reference.features[0].weight)
    assert torch.equal(network.to_rgb.weight, reference.to_rgb.weight)
    assert not torch.equal(network.to_rgb.weight, Enlarger(scheme, 6, seed=4).to_rgb.weight)


def test_the_batches_depend_on_the_seed_alone(photographs):
    def batches(scheme, seed):
        seen = []
        network = Enlarger(scheme, 4)
        network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
        assert list(training(network, photographs.train, steps=2, seed=seed)) == [1, 2]
        return torch.stack(seen)

    assert torch.equal(batches("shuffle", 0), batches("transposed k4", 0))
    assert not torch.equal(batches("shuffle", 0), batches("shuffle", 1))


def test_training_brings_the_enlargement_nearer(photographs):
    network, pairs = Enlarger("shuffle + ICNR", 8), photographs.train
    before = F.mse_loss(network(pairs.small), pairs.full).item()
    assert len(list(training(network, pairs, steps=30))) == 30
    assert F.mse_loss(network(pairs.small), pairs.full).item() < before / 4


@pytest.mark.parametrize(
    ("scheme", "upsampler"),
    [
        ("transposed k3", 9 * 19 * 16 / 4),
        ("nearest + conv", 9 * 19 * 16),
        ("shuffle + ICNR + blur", 19 * 16),
        ("shuffle 3 × 3 + ICNR", 9 * 19 * 16),
    ],
)
def test_costs_are_those_of_the_formula(scheme, upsampler):
    parameters, macs = costs(scheme, 16)
    assert macs == upsampler + 27 * 16 / 4 + 27 * 16
    assert parameters == sum(p.numel() for p in Enlarger(scheme, 16).parameters())


def test_equal_macs_are_equal_to_a_few_percent():
    widths = equal_macs(3000)
    assert set(widths) == set(SCHEMES)
    assert all(costs(name, width)[1] == pytest.approx(3000, rel=0.04) for name, width in widths.items())


def test_plain_colours_stay_plain_where_nothing_tells_the_four_pixels_apart():
    energies = {name: plain_checkerboard(Enlarger(name)) for name in SCHEMES}
    for name in (
        "nearest + conv",
        "bilinear + conv",
        "shuffle + ICNR",
        "shuffle + ICNR + blur",
        "shuffle 3 × 3 + ICNR",
    ):
        assert energies[name] < 1e-3, name
    for name in ("transposed k2", "transposed k3", "transposed k4", "shuffle"):
        assert energies[name] > 5, name


def test_plain_checkerboard_is_in_grey_levels():
    class Rows(nn.Module):
        def forward(self, x):
            x = F.interpolate(x, scale_factor=2)
            return x + torch.arange(x.shape[-2]).remainder(2)[:, None] * 6 / 255

    assert plain_checkerboard(Rows()) == pytest.approx(6 / 3**0.5, rel=1e-3)  # 0 0 6 6: variance 12, unbiased


def test_unknown_schemes_are_refused():
    with pytest.raises(ValueError, match="scheme='cubic' is not one of 'transposed k2'"):
        Enlarger("cubic")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_other_scales_and_options(scale):
    network = Enlarger("shuffle", 4, scale=scale, blur=True)
    assert network(torch.rand(1, 3, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)
    assert isinstance(network.up[-1], nn.AvgPool2d)
    assert plain_checkerboard(Enlarger("shuffle + ICNR", 4, scale=scale), scale=scale) < 1e-3
    assert plain_checkerboard(Enlarger("shuffle", 4, scale=scale), scale=scale) > 5
    assert SizePairs.of(torch.rand(1, 3, 24, 12), scale).small.shape == (1, 3, 24 // scale, 12 // scale)


def test_pairs_are_halves():
    full = torch.rand(2, 3, 20, 16)
    assert SizePairs.of(full).small.shape == (2, 3, 10, 8)
    assert F.mse_loss(SizePairs.of(full).small, F.avg_pool2d(full, 2)) < 0.01


def test_what_is_printed_first_runs_first():
    ran = []
    network = Enlarger("shuffle", 4)
    for name, part in network.named_children():
        part.register_forward_hook(lambda module, inputs, output, name=name: ran.append(name))
    network(torch.rand(1, 3, 6, 6))
    assert ran == [name for name, _ in network.named_children()] == ["features", "up", "to_rgb"]
