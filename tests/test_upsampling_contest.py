"""The contest is fair (same start, same batches, equal multiplications) and measures what it says."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import upsampling_contest
from course_utils.upsampling_contest import (
    SCHEMES,
    Enlarger,
    Pairs,
    Photographs,
    Result,
    all_above,
    baselines,
    contest,
    costs,
    equal_macs,
    main,
    plain_checkerboard,
    table,
    training,
    true_energy,
)


@pytest.fixture(scope="module")
def photographs():
    return Photographs.load(n_train=24, n_scored=4)


@pytest.fixture(scope="module")
def results(photographs):
    return contest(photographs, {name: 6 for name in SCHEMES}, seeds=(0, 1), steps=3)


def test_the_scored_photographs_are_not_those_trained_on(photographs):
    assert photographs.train.full.shape == (24, 3, 32, 32) and photographs.train.small.shape == (24, 3, 16, 16)
    assert photographs.sharp.full.shape == photographs.soft.full.shape == (4, 3, 144, 144)
    assert not torch.equal(photographs.sharp.full, Photographs.load("val", n_train=1, n_scored=4).sharp.full)
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
    [("transposed k3", 9 * 19 * 16 / 4), ("nearest + conv", 9 * 19 * 16), ("shuffle + ICNR + blur", 19 * 16)],
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
    for name in ("nearest + conv", "bilinear + conv", "shuffle + ICNR", "shuffle + ICNR + blur"):
        assert energies[name] < 1e-3, name
    for name in ("transposed k2", "transposed k3", "transposed k4", "shuffle"):
        assert energies[name] > 5, name


def test_plain_checkerboard_is_in_grey_levels():
    class Rows(nn.Module):
        def forward(self, x):
            x = F.interpolate(x, scale_factor=2)
            return x + torch.arange(x.shape[-2]).remainder(2)[:, None] * 6 / 255

    assert plain_checkerboard(Rows()) == pytest.approx(6 / 3**0.5, rel=1e-3)  # 0 0 6 6: variance 12, unbiased


def test_baselines(photographs):
    nearest, bicubic = baselines(photographs)
    assert nearest.after == [0] and 0 < bicubic.after[0] < 0.01
    assert 20 < nearest.psnr[0] < bicubic.psnr[0] < 40
    assert nearest.plain[0] == 0 and bicubic.plain[0] < 1e-3


def test_the_contest_measures_every_scheme_and_seed(results):
    assert [r.scheme for r in results] == list(SCHEMES)
    for r in results:
        assert all(len(values) == 2 for values in (r.psnr, r.ssim, r.before, r.after, r.plain))
        assert r.psnr[0] != r.psnr[1] and r.time >= 1 and isinstance(r.network, Enlarger)
    assert min(r.time for r in results) == 1
    start = {r.scheme: min(r.before) for r in results}
    assert start["shuffle"] > 0.5 > 0.1 > start["shuffle + ICNR"]


def test_trainings_at_the_same_time_give_what_they_give_alone(photographs):
    widths, threads = dict.fromkeys(("shuffle", "transposed k2", "nearest + conv"), 4), torch.get_num_threads()
    found = []
    try:
        for at_a_time in (1, 3):
            torch.set_num_threads(at_a_time)
            results = contest(photographs, widths, seeds=(0, 1), steps=5)
            found.append([(r.scheme, r.psnr, r.ssim, r.before, r.after, r.plain) for r in results])
            assert torch.get_num_threads() == at_a_time
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1]


def test_the_table_says_how_good_each_result_is_and_then_what_it_costs(results):
    quality, cost = (block.splitlines() for block in table([Result("no network", psnr=[30.0]), *results]).split("\n\n"))
    assert len(quality) == 2 + len(SCHEMES) and len(set(map(len, quality[2:]))) == 1
    assert quality[1].split() == ["no", "network", "30.00"]
    assert " ± " in quality[2] and quality[2].startswith("transposed k2")
    assert len(cost) == 1 + len(SCHEMES)
    assert cost[1].split()[2:5] == [f"{results[0].parameters:,}", f"{results[0].macs:,}", str(results[0].width)]
    assert max(map(len, quality + cost)) < 105, "wider lines are wrapped in JupyterLab"
    assert table([Result("no network", psnr=[30.0])]).splitlines()[1:] == [quality[1]]


def test_all_above():
    assert all_above([2, 3], [1, 1.9]) and not all_above([2, 3], [1, 2.5]) and not all_above([2], [2])


def test_unknown_schemes_are_refused():
    with pytest.raises(ValueError, match="scheme='cubic' is not one of 'transposed k2'"):
        Enlarger("cubic")


def test_the_command_line_prints_and_writes_the_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(upsampling_contest, "SCHEMES", {"shuffle": SCHEMES["shuffle"]})
    monkeypatch.setattr(upsampling_contest, "costs", lambda name, width: (1, width))
    words = ["--steps", "2", "--seeds", "0", "--width", "4", "--device", "cpu", "--json", str(tmp_path / "t.json")]
    assert main(words) == 0
    assert "\nshuffle " in capsys.readouterr().out
    written = json.loads((tmp_path / "t.json").read_text())
    assert written["steps"] == 2 and written["results"][0]["scheme"] == "shuffle"
    assert "network" not in written["results"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "tpu9"], "--device tpu9 cannot be used here"),
        (["--json", "no/such/folder/x.json"], "is no folder"),
        (["--json", "."], "is a folder"),
        (["--steps", "0"], "--steps 0"),
        (["--width", "-2"], "--width -2"),
        (["--lr", "nan"], "--lr nan"),
        (["--lr", "-1"], "--lr -1"),
        (["--seeds", "1", "1"], "--seeds 1 1 names one twice"),
        (["--seeds", "-1"], "seed -1 is negative"),
    ],
)
def test_refusals_are_one_sentence_before_any_work(options, message, capsys, monkeypatch):
    monkeypatch.setattr(upsampling_contest, "Photographs", None)
    assert main(options) == 1
    said = capsys.readouterr().err
    assert message in said and said.strip().count("\n") == 0


def test_an_interrupt_is_one_sentence(capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(upsampling_contest.Photographs, "load", interrupted)
    assert main([]) == 130
    assert capsys.readouterr().err == "upsampling_contest: stopped; nothing was written.\n"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_other_scales_and_options(scale):
    network = Enlarger("shuffle", 4, scale=scale, blur=True)
    assert network(torch.rand(1, 3, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)
    assert isinstance(network.up[-1], nn.AvgPool2d)
    assert plain_checkerboard(Enlarger("shuffle + ICNR", 4, scale=scale), scale=scale) < 1e-3
    assert plain_checkerboard(Enlarger("shuffle", 4, scale=scale), scale=scale) > 5
    assert Pairs.of(torch.rand(1, 3, 24, 12), scale).small.shape == (1, 3, 24 // scale, 12 // scale)


def test_pairs_are_halves():
    full = torch.rand(2, 3, 20, 16)
    assert Pairs.of(full).small.shape == (2, 3, 10, 8)
    assert F.mse_loss(Pairs.of(full).small, F.avg_pool2d(full, 2)) < 0.01
