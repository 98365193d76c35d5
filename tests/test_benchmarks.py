"""The helpers of the benchmarks, on work whose cost is known; no other library is needed."""

import json
import time
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from tests.benchmarks import compare_networks, data_stall, floor, gradient_format, optimizer_step, sort_or_count
from tests.benchmarks._networks import Contender, Runner, difference
from tests.benchmarks._timing import ratios, seconds_of, spread, take_turns
from tests.benchmarks._worker import ContenderEndedError, ask_all, warm_up

CPU = torch.device("cpu")


def test_everyone_has_a_turn_in_each_round_and_every_other_round_goes_backwards():
    turns = []
    works = {name: lambda name=name: turns.append(name) or {"wall": len(turns)} for name in "abc"}
    samples = take_turns(works, rounds=2, warm_up=1)
    assert "".join(turns) == "cba" + "abc" + "cba"
    assert [sample["wall"] for sample in samples["a"]] == [4, 9]


def test_ratios_are_taken_within_a_round():
    """The machine is ten times slower in the second round, which says nothing about who is faster."""
    samples = {
        "slow": [{"wall": 4.0}, {"wall": 40.0}, {"wall": 4.0}],
        "quick": [{"wall": 2.0}, {"wall": 20.0}, {"wall": 1.0}],
    }
    found = ratios(samples, "slow", "wall")
    assert found["slow"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert found["quick"] == {"median": 2.0, "low": 2.0, "high": 3.0}
    assert spread([7.0]) == {"median": 7.0, "low": 7.0, "high": 7.0}


def test_sleeping_takes_wall_time_and_no_processor_time():
    found = seconds_of(lambda: time.sleep(0.05), CPU)
    assert found["wall"] >= 0.05 > 2 * found["processor"]


def test_a_ladder_changes_one_thing_at_a_time():
    for device, compile, amp in (("cpu", False, "none"), ("cuda", True, "bf16")):
        rungs = [c for c in compare_networks.ladder(device, compile, amp).values() if c.library == "course"]
        changes = [
            sum(a != b for a, b in zip(vars(one).values(), vars(two).values(), strict=True))
            for one, two in pairwise(rungs)
        ]
        assert changes == [1] * len(changes) and len(changes) >= 4
        assert rungs[0] == Contender("course")


def test_all_decoders_run_in_the_same_layouts():
    found = compare_networks.decoders("cpu", False, "none")
    full, cheap, cheapest = (
        [c for name, c in found.items() if name.split(",")[0] == kind] for kind in ("full", "cheap", "cheapest")
    )
    assert [replace(c, tail="unshuffle", block="bottleneck") for c in full] == cheap and len(full) == 3
    assert [replace(c, tail="merged", middle="bottleneck") for c in cheap] == cheapest


def test_bfloat16_is_switched_on_before_its_depthwise_gradients():
    found = list(compare_networks.bfloat16("cpu", False, "none").values())
    for single, half, mended in (found[1:4], found[4:]):
        assert (single.amp, half, mended) == ("none", replace(single, amp="bf16"), replace(half, depthwise=True))


def test_channels_last_does_the_same_maths_and_an_unshuffled_tail_is_another_network():
    plain, quick = (Runner(Contender("course", **options), (32, 64), 1) for options in ({}, {"channels_last": True}))
    found = difference(quick.fingerprint(), plain.fingerprint())
    assert 0 <= max(found.values()) < 1e-2
    assert Contender("course", fused=True).same_network and not Contender("course", tail="unshuffle").same_network


def test_macs_and_bytes_are_those_counted_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    x = torch.zeros(2, 3, 10, 12)
    assert floor.count_macs(lambda: model(x)) == 2 * 10 * 12 * 8 * 3 * 9
    assert floor.activation_bytes(model, x) == 2 * (2 * 8 * 10 * 12) * 4
    floors = floor.floor_of(
        100, 60, {"matrix_macs_per_second": 40.0, "convolution_macs_per_second": 50.0, "bytes_per_second": 20.0}
    )
    assert floors == {"arithmetic": 2.0, "traffic": 3.0}


def test_waiting_for_data_is_told_from_work(monkeypatch):
    clock = iter([{"wall": value} for value in (9.0, 9.0, 1.0, 4.0, 2.0, 5.0)])
    monkeypatch.setattr(data_stall, "seconds_of", lambda work, device: work() or next(clock))
    seen = []
    assert data_stall.waiting(["x", "y"], seen.append, 2, CPU, "wall") == [(1.0, 4.0), (2.0, 5.0)]
    assert seen == ["x", "y", "x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["overview", "--size", "16", "64"], "too small"),
        (["overview", "--size", "32", "32", "--batch-size", "1"], "batch norm one value"),
        (["overview", "--rounds", "0"], "--rounds 0"),
        (["ladder", "--only", "magic"], "'magic' is not one of"),
        (["ladder", "--amp", "fp16", "--device", "cpu"], "needs a GPU"),
        (["bfloat16", "--compile"], "without --compile"),
        (["ladder", "--out", "no/such/folder/x.json"], "is no folder"),
        (["ladder", "--threads", "0"], "--threads 0"),
        (["ladder", "--threads", "100000"], "not from 1 to 1024"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, message, capsys):
    assert compare_networks.main([*arguments, "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


@pytest.mark.parametrize("benchmark", [floor, gradient_format])
def test_one_tiny_picture_is_refused_before_anything_is_measured(benchmark, capsys):
    assert benchmark.main(["--size", "32", "32", "--batch-size", "1", "--device", "cpu"]) == 1
    assert "raise --batch-size or --size" in capsys.readouterr().err


def test_a_comparison_with_what_is_not_installed_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr("tests.benchmarks._report.find_spec", lambda name: None)
    assert compare_networks.main(["overview", "--device", "cpu"]) == 1
    assert "[benchmarks]" in capsys.readouterr().err


def test_sorting_is_compared_with_counting(tmp_path, capsys):
    out = tmp_path / "result.json"
    arguments = ["--size", "30", "40", "--rounds", "2", "--threads", "1", "--device", "cpu"]
    assert sort_or_count.main([*arguments, "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["ways"]["sorting"]["times_faster"]["median"] == 1 and 0 < result["values_apart"] < 1e-3
    assert sort_or_count.main(["--rounds", "0"]) == 1
    assert "--rounds 0" in capsys.readouterr().err


def test_steps_of_the_optimiser_are_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(optimizer_step, "build", lambda contender, size: torch.nn.Conv2d(5, 4, 3))
    out = tmp_path / "result.json"
    assert optimizer_step.main(["--rounds", "2", "--threads", "1", "--device", "cpu", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["parameters"] == 184 and len(result["ways"]) == 6
    assert all(found["seconds"]["median"] > 0 and found["weights_apart"] < 1e-6 for found in result["ways"].values())
    assert optimizer_step.main(["--rounds", "0"]) == 1
    assert "--rounds 0" in capsys.readouterr().err


def test_matched_gradients_are_compared_with_those_that_come(tmp_path, monkeypatch, capsys):
    kept = []
    monkeypatch.setattr(gradient_format, "keep_freed_memory", lambda: kept.append(True))
    out = tmp_path / "result.json"
    arguments = ["--encoder", "efficientnet_lite0", "--norm", "batch", "--size", "32", "64", "--rounds", "2"]
    assert gradient_format.main([*arguments, "--threads", "1", "--device", "cpu", "--out", str(out)]) == 0
    assert kept and capsys.readouterr().out.count("times as fast") == 3
    assert {tuple(network["seconds"]) for network in json.loads(out.read_text())["networks"].values()} == {
        ("as they come", "matched")
    }
    for wrong in (["--size", "16", "64"], ["--rounds", "0"]):
        assert gradient_format.main(wrong) == 1
        assert wrong[0] in capsys.readouterr().err


def test_gradients_as_they_come_are_slices_or_of_another_format():
    """All batch norms before a join, and the head, get them in the format of what they returned, or none does."""
    contender = Contender("course", "efficientnet_lite0", "batch", channels_last=True, amp="bf16")
    runner, dense = Runner(contender, (64, 96), 2), []
    runner.loss_fn = lambda scores, masks: nn.functional.cross_entropy(scores.contiguous(), masks)
    watched = [runner.model.head, *(block.skip_norm for block in runner.model.blocks)]
    for module in watched:
        module.register_full_backward_pre_hook(
            lambda _, grads: dense.append(grads[0].is_contiguous(memory_format=torch.channels_last))
        )
    for matched in gradient_format.WAYS.values():
        dense.clear()
        gradient_format.step(runner, matched)
        assert dense == [matched] * len(watched)


@pytest.mark.slow
def test_a_comparison_runs_from_end_to_end(tmp_path, monkeypatch, capsys):
    """With the course's own network in the place of the reference's."""
    ours = {"fastai": Contender("course"), "course": Contender("course", channels_last=True, fused=True)}
    monkeypatch.setitem(compare_networks.SETS, "overview", lambda device, compile, amp: ours)
    out = tmp_path / "result.json"
    arguments = ["overview", "--size", "32", "32", "--batch-size", "2", "--rounds", "1", "--threads", "1"]
    arguments += ["--encoder", "efficientnet_lite0", "--norm", "batch"]
    assert compare_networks.main([*arguments, "--device", "cpu", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert set(result["contenders"]) == set(ours) and result["size"] == [32, 32]
    course = result["contenders"]["course"]
    assert (course["setting"]["encoder"], course["setting"]["norm"]) == ("efficientnet_lite0", "batch")
    assert course["difference"]["logits"] < 1e-2
    assert course["train"]["peak_bytes"] >= course["infer"]["peak_bytes"] > 0
    assert "course" in capsys.readouterr().out


def test_warming_up_asks_all_before_it_waits_for_one():
    told = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def begin(self, request):
            told.append(("begin", self.name, request))

        def finish(self, request):
            told.append(("finish", self.name, request))

    warm_up({"one": Fake("one"), "two": Fake("two")}, "train", times=2)
    order = [(what, name) for what in ("begin", "finish") for name in ("one", "two")]
    assert told == [(*pair, request) for request in ("train", "train", "forget") for pair in order]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("fails", ["begin", "finish"])
def test_a_contender_that_ends_is_left_out_and_the_others_go_on(together, fails, capsys):
    class Fake:
        def __init__(self, name):
            self.name = name

        def answer(self, step, request):
            if self.name == "bad" and step == fails:
                raise ContenderEndedError(f"ended at {request}")
            return self.name.upper()

        def begin(self, request):
            self.answer("begin", request)

        def finish(self, request):
            return self.answer("finish", request)

    workers = {name: Fake(name) for name in ("one", "bad", "two")}
    assert ask_all(workers, "versions", together) == {"one": "ONE", "two": "TWO"}
    assert list(workers) == ["one", "two"]
    assert capsys.readouterr().err == "bad is left out: ended at versions.\n"
    assert ask_all(workers, "versions", together, ["two", "bad"]) == {"two": "TWO"}


@pytest.mark.slow
def test_a_comparison_goes_on_without_a_contender_whose_process_ends(tmp_path, monkeypatch, capsys):
    ours = {"fastai": Contender("course"), "bad": Contender("course", tail="nonsense"), "course": Contender("course")}
    monkeypatch.setitem(compare_networks.SETS, "overview", lambda device, compile, amp: ours)
    out = tmp_path / "result.json"
    arguments = ["overview", "--size", "32", "32", "--rounds", "1", "--threads", "1", "--encoder", "efficientnet_lite0"]
    assert compare_networks.main([*arguments, "--device", "cpu", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert list(result["contenders"]) == ["fastai", "course"] and result["left_out"] == ["bad"]
    assert "bad is left out" in capsys.readouterr().err
