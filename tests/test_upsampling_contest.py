"""The contest measures every scheme with every seed, and its command says what it found or why it did not start."""

import json

import pytest
import torch

from course_utils import upsampling_contest
from course_utils.experiments.enlarger import SCHEMES, Enlarger, SizePairs
from course_utils.experiments.enlarger_scores import Photographs, Result
from course_utils.upsampling_contest import all_above, baselines, contest, main, table


@pytest.fixture(scope="module")
def photographs():
    """Four of those to score are quicker than all."""
    loaded = Photographs.load()
    sharp, soft = (SizePairs(pairs.full[:4], pairs.small[:4]) for pairs in (loaded.sharp, loaded.soft))
    return Photographs(loaded.train, sharp, soft)


@pytest.fixture(scope="module")
def results(photographs):
    return contest(photographs, {name: 6 for name in SCHEMES}, seeds=(0, 1), steps=3)


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


def test_what_is_known_is_not_trained_again(photographs, results):
    widths = {"shuffle": 6, "transposed k2": 4, "nearest + conv": 6}
    anew, taken_over = (contest(photographs, widths, seeds=(0, 1), steps=3, known=known) for known in ((), results))
    scores = ("scheme", "width", "parameters", "macs", "psnr", "ssim", "before", "after", "plain")
    assert [[getattr(r, key) for key in scores] for r in taken_over] == [
        [getattr(r, key) for key in scores] for r in anew
    ]
    before = {r.scheme: r for r in results}
    same = {r.scheme: r.network is before[r.scheme].network for r in taken_over}
    assert same == {"shuffle": True, "transposed k2": False, "nearest + conv": True}
    assert min(r.time for r in taken_over) == 1


def test_a_rate_that_breaks_a_network_is_named(photographs):
    with pytest.raises(
        FloatingPointError, match=r"with lr=1e\+30 a network's weights became infinite or nan; lower it"
    ):
        contest(photographs, {"shuffle": 4}, seeds=(0,), steps=3, lr=1e30)


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
