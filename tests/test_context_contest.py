"""Networks of equal size that see one pixel or 31 × 31: what they see, and what their command keeps."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import context_contest
from course_utils.context_contest import ContextNet, main


@pytest.mark.parametrize("place", [False, True])
def test_they_see_what_they_say_and_have_about_as_many_weights(place):
    torch.manual_seed(0)
    weights = []
    for field in (1, 31):
        net, x = ContextNet(field, place, 12).eval(), torch.randn(1, 3, 41, 41, requires_grad=True)
        net(x)[0, :, 20, 20].sum().backward()
        seen = (x.grad != 0).any(1)[0].nonzero()
        assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [field, field]
        weights.append(sum(parameter.numel() for parameter in net.parameters()))
    assert max(weights) < 1.05 * min(weights)


def test_only_who_is_told_where_it_is_can_tell_equal_pixels_apart():
    torch.manual_seed(0)
    even = torch.full((1, 3, 9, 9), 0.5)
    assert ContextNet(1, False, 4).eval()(even).flatten(2).std(2).max() < 1e-6
    assert ContextNet(1, True, 4).eval()(even).flatten(2).std(2).max() > 1e-3


@pytest.fixture
def data(tmp_path):
    root, random = tmp_path / "scenes", np.random.default_rng(0)
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for stem in ("a", "b", "c", "d", "e"):
        Image.fromarray(random.integers(0, 256, (45, 60, 3), dtype=np.uint8)).save(root / f"images/{stem}.png")
        Image.fromarray(random.integers(0, 3, (45, 60), dtype=np.uint8)).save(root / f"labels/{stem}.png")
    (root / "codes.txt").write_text("Road\nSky\nVoid\n")
    (root / "train.txt").write_text("a\nb\nc\nd\n")
    (root / "val.txt").write_text("e\n")
    return root


def test_seeds_add_up_in_the_record_and_repeat_what_they_gave(data, tmp_path, capsys):
    out = tmp_path / "record.json"
    words = ["--data", str(data), "--steps", "2", "--device", "cpu", "--out", str(out), "--seeds"]
    assert main([*words, "1"]) == 0 and main([*words, "0"]) == 0
    first = json.loads(out.read_text())
    assert [(run["place"], run["field"], run["seed"]) for run in first["runs"]] == [
        (place, field, seed) for place in (False, True) for field in (1, 31) for seed in (0, 1)
    ]
    assert first["command"] == "python -m course_utils.context_contest --steps 2"
    assert main([*words, "1"]) == 0
    again = json.loads(out.read_text())
    assert [run["accuracy"] for run in again["runs"]] == [run["accuracy"] for run in first["runs"]]
    assert "31 × 31 and place, seed 1: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps 0 is not a whole number"),
        (["--seeds", "1", "1"], "names one twice"),
        (["--out", "no/such/folder/x.json"], "is no folder"),
        (["--device", "tpu9"], "--device tpu9 cannot be used here"),
    ],
)
def test_refusals_are_one_sentence_before_any_work(options, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(context_contest, "load_split", None)
    assert main(["--out", str(tmp_path / "r.json"), *options]) == 1
    said = capsys.readouterr().err
    assert message in said and said.strip().count("\n") == 0


def test_runs_with_other_settings_are_not_mixed(data, tmp_path, capsys):
    words = ["--data", str(data), "--seeds", "0", "--device", "cpu", "--out", str(tmp_path / "r.json"), "--steps"]
    assert main([*words, "1"]) == 0
    before = (tmp_path / "r.json").read_bytes()
    assert main([*words, "2"]) == 1
    assert "holds runs with other settings" in capsys.readouterr().err and (tmp_path / "r.json").read_bytes() == before
