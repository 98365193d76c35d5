"""Ablations from the command line: what they record, that they go on where they stopped, and what they refuse."""

import dataclasses
import json

import pytest
import torch

from course_utils import ablate_camvid
from course_utils.fast_convolution import FastConv2d
from tests.two_halves import write_two_halves

SMALL = ["--size", "32", "32", "--batch-size", "2", "--frozen-epochs", "1", "--epochs", "1", "--random"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_two_halves(tmp_path_factory.mktemp("data") / "scenes")


def run(root, out, *options: str) -> int:
    return ablate_camvid.main(["--data", str(root), "--out", str(out), "--device", "cpu", *SMALL, *options])


def runs_in(out) -> list[tuple[str, int]]:
    return [(run["variant"], run["seed"]) for run in json.loads(out.read_text())["runs"]]


def test_the_same_command_twice_at_once_counts_each_run_once(root, tmp_path, monkeypatch):
    out, real = tmp_path / "record.json", ablate_camvid.train_and_score

    def meanwhile(*arguments):
        monkeypatch.setattr(ablate_camvid, "train_and_score", real)
        assert run(root, out, "--variants", "recipe", "--seeds", "0") == 0
        return real(*arguments)

    monkeypatch.setattr(ablate_camvid, "train_and_score", meanwhile)
    assert run(root, out, "--variants", "recipe", "--seeds", "0") == 0
    assert runs_in(out) == [("recipe", 0)]


def test_the_record_says_what_the_numbers_depend_on_and_the_recipe_always_runs(root, tmp_path, capsys):
    out = tmp_path / "record.json"
    assert run(root, out, "--variants", "skip-none", "--seeds", "0", "1") == 0
    assert runs_in(out) == [("recipe", 0), ("skip-none", 0), ("recipe", 1), ("skip-none", 1)]
    record = json.loads(out.read_text())
    assert {"date", "hardware", "threads", "versions", "command"} <= set(record)
    assert record["settings"]["data"] == {"name": "scenes", "train": 4, "val": 2}
    assert record["settings"]["size"] == [32, 32] and record["settings"]["pretrained"] is False
    assert "--seeds 0 1" in record["command"] and "--variants skip-none" in record["command"]
    assert str(tmp_path) not in out.read_text() and str(root) not in out.read_text()
    assert all(0 <= run[metric] <= 1 for run in record["runs"] for metric in ("accuracy", "mean_iou", "boundary_error"))
    said = capsys.readouterr().out
    assert "no skips" in said and "recipe" in said

    before = out.read_text()
    assert run(root, out, "--variants", "skip-none", "--seeds", "0", "1", "--cost", "--cost-steps", "2") == 0
    record = json.loads(out.read_text())
    assert set(record["cost"]["seconds_per_step"]) == {"recipe", "skip-none"}
    assert "--cost" in record["cost"].pop("command") and {"hardware", "threads", "date"} <= set(record.pop("cost"))
    assert record == json.loads(before)


@pytest.mark.parametrize("options", [(), ("--winograd",)])
def test_fast_convolutions_are_an_option(root, tmp_path, monkeypatch, options):
    seen = []

    def look(model, *_):
        seen.append(any(isinstance(module, FastConv2d) for module in model.modules()))
        return {"accuracy": 0.5, "mean_iou": 0.5, "boundary_error": 0.5, "train_loss": 1.0}

    monkeypatch.setattr(ablate_camvid, "train_and_score", look)
    assert run(root, tmp_path / "record.json", "--variants", "recipe", "--seeds", "0", *options) == 0
    assert seen == [bool(options)]


def test_a_stopped_grid_goes_on_and_repeats_what_it_would_have_given(root, tmp_path, monkeypatch, capsys):
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    grid = ("--variants", "skip-add", "--seeds", "0")
    assert run(root, whole, *grid) == 0

    original, calls = ablate_camvid.train_and_score, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(ablate_camvid, "train_and_score", interrupted)
    assert run(root, parts, *grid) == 130
    assert "keeps every finished run" in capsys.readouterr().err
    assert runs_in(parts) == [("recipe", 0)]
    assert run(root, parts, *grid) == 0
    assert len(calls) == 3  # one finished, one stopped, one more: the finished one is not run again
    assert json.loads(parts.read_text()) == json.loads(whole.read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "is missing, so nowhere is no prepared data set"),
        (["--out", "no/such/folder/x.json"], "is no folder"),
        (["--out", "."], "is a folder"),
        (["--encoder", "resnet35"], "resnet35"),
        (["--size", "16", "64"], "too small"),
        (["--epochs", "0", "--frozen-epochs", "0"], "no amount of training"),
        (["--batch-size", "1"], "batch_size=1"),
        (["--batch-size", "5"], "--batch-size 5 is more than"),
        (["--lr", "-1", "1e-3"], "positive learning rates"),
        (["--seeds", "1", "1"], "--seeds 1 1 names one twice"),
        (["--variants", "resblock", "resblock"], "names one twice"),
        (["--seeds", str(2**70)], "take less than 2**63"),
        (["--seeds", "0", "-1"], "seed -1 is negative"),
        (["--cost-steps", "0"], "--cost-steps 0"),
        (["--device", "tpu9"], "tpu9"),
    ],
)
def test_refusals_are_one_sentence_before_any_training(root, tmp_path, options, message, capsys, monkeypatch):
    monkeypatch.setattr(ablate_camvid, "train_and_score", None)
    assert run(root, tmp_path / "record.json", *options) == 1
    said = capsys.readouterr().err
    assert message in said and said.strip().count("\n") == 0
    assert not (tmp_path / "record.json").exists()


def test_an_unknown_variant_is_refused_with_the_names_that_there_are(root, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(root, tmp_path / "record.json", "--variants", "resnet")
    said = capsys.readouterr().err
    assert "resnet" in said and "skip-none" in said


def test_a_record_of_another_budget_or_machine_is_not_mixed_with(root, tmp_path, capsys, monkeypatch):
    out = tmp_path / "record.json"
    monkeypatch.setattr(ablate_camvid, "train_and_score", lambda *a: dict(accuracy=0.5, mean_iou=0.2, boundary_error=1))
    some = ("--variants", "nearest", "--seeds", "0")
    assert run(root, out, *some) == 0
    before = out.read_bytes()
    assert run(root, out, *some, "--epochs", "2") == 1
    assert "settings.epochs differ" in capsys.readouterr().err
    provenance = ablate_camvid.provenance
    monkeypatch.setattr(ablate_camvid, "provenance", lambda device: provenance(device) | {"hardware": "another"})
    assert run(root, out, *some) == 1
    assert "hardware differ" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_a_val_split_without_boundaries_is_refused_before_training_and_leaves_no_file(
    root, tmp_path, capsys, monkeypatch
):
    load = ablate_camvid.load_split

    def one_class(where, split, size, device):
        found = load(where, split, size, device)
        return dataclasses.replace(found, masks=torch.zeros_like(found.masks))

    monkeypatch.setattr(ablate_camvid, "load_split", one_class)
    monkeypatch.setattr("course_utils.experiments.ablations.train_in_stages", None)
    out = tmp_path / "record.json"
    assert run(root, out, "--variants", "recipe", "--seeds", "0") == 1
    assert "no two classes touch in val" in capsys.readouterr().err and not out.exists()


def test_a_file_that_two_commands_filled_names_the_one_command_for_both(root, tmp_path, monkeypatch):
    monkeypatch.setattr(ablate_camvid, "train_and_score", lambda *a: dict(accuracy=0.5, mean_iou=0.2, boundary_error=1))
    out = tmp_path / "record.json"
    for name in ("nearest", "bilinear"):
        assert run(root, out, "--variants", name, "--seeds", "0") == 0
    before = out.read_bytes()
    assert run(root, out, "--variants", "nearest", "--seeds", "0") == 0
    assert out.read_bytes() == before, "nothing was run, so nothing is said"
    assert " --variants nearest bilinear --seeds 0 " in json.loads(before)["command"]
