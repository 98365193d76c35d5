"""The command that trains restorers: it records, continues, and refuses before it trains."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from course_utils import restore_photographs
from course_utils.restoration_tasks import SIZE
from course_utils.restore_photographs import load_painting, load_patches, load_record, main, table
from course_utils.restorer import make_restorer
from data_scripts.painting import paint_lily_pond
from tests.small_camvid import write_prepared

RESULTS = Path(__file__).resolve().parents[1] / "notebooks" / "results"


def test_a_run_is_recorded_and_not_repeated(tmp_path, capsys):
    out = tmp_path / "out.json"
    command = ["--tasks", "text", "--seeds", "0", "--steps", "1", "--out", str(out), "--device", "cpu"]
    assert main([*command, "--pictures", str(tmp_path)]) == 0
    first = json.loads(out.read_text())
    assert [run["task"] for run in first["runs"]] == ["text"]
    assert set(first["runs"][0]["scores"]) == {"nothing", "bicubic", "network"}
    assert (tmp_path / "restored_text_pixel.jpg").exists()
    assert main(command) == 0
    assert json.loads(out.read_text())["runs"] == first["runs"]
    assert "text" in capsys.readouterr().out
    assert str(tmp_path) not in first["command"]


def test_a_file_that_two_commands_filled_names_the_one_command_for_both(tmp_path):
    out = tmp_path / "out.json"
    for seed in "01":
        assert main(["--tasks", "jpeg", "--seeds", seed, "--steps", "1", "--out", str(out), "--device", "cpu"]) == 0
    assert load_record(out)["command"].endswith("--tasks jpeg --seeds 0 1 --steps 1")


def test_ctrl_c_is_one_sentence_and_keeps_what_is_done(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.json"
    command = ["--tasks", "jpeg", "--seeds", "0", "1", "--steps", "1", "--out", str(out), "--device", "cpu"]
    real = restore_photographs.run

    def interrupted(name, loss, seed, *rest):
        if seed == 1:
            raise KeyboardInterrupt
        return real(name, loss, seed, *rest)

    monkeypatch.setattr(restore_photographs, "run", interrupted)
    assert main(command) == 130
    assert "the same command continues" in capsys.readouterr().err
    assert [one["seed"] for one in load_record(out)["runs"]] == [0]


def test_pixel_and_feature_share_the_steps_and_the_model(tmp_path, monkeypatch):
    phases = []

    def spy(task, pictures, *, loss_fn, model, batch_size, **options):
        phases.append((len(pictures) // batch_size, getattr(loss_fn, "__name__", type(loss_fn).__name__), model))
        return make_restorer()

    monkeypatch.setattr(restore_photographs, "train_restorer", spy)
    command = ["--tasks", "text", "--losses", "pixel+feature", "--seeds", "0", "--steps", "5", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "out.json")]) == 0
    assert [phase[:2] for phase in phases] == [(3, "mse_loss"), (2, "FeatureLoss")]
    assert phases[0][2] is None and phases[1][2] is not None


def test_the_painting_has_one_loss_and_is_judged_by_its_style(tmp_path, capsys):
    Image.fromarray(paint_lily_pond(128, 160)).save(tmp_path / "pond.png")
    out = tmp_path / "out.json"
    command = ["--tasks", "monet", "--losses", "pixel", "feature", "--seeds", "0", "--steps", "1", "--out", str(out)]
    assert main([*command, "--painting", str(tmp_path / "pond.png"), "--device", "cpu"]) == 0
    (only,) = load_record(out)["runs"]
    assert only["loss"] == "painting" and set(only["scores"]) == {"nothing", "network"}
    assert all(scores["style"] > 0 for scores in only["scores"].values())
    assert "from the style" in capsys.readouterr().out
    assert load_painting(tmp_path / "pond.png").shape == (3, 64, 80)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tasks", "monet", "--painting", "nowhere.png"], "python -m data_scripts.painting"),
        (["--tasks", "monet", "--painting", __file__], "no picture"),
        (["--steps", "0"], "--steps 0"),
        (["--batch-size", "-1"], "--batch-size -1"),
        (["--data", "nowhere"], "no folder"),
        (["--pictures", "nowhere"], "no folder"),
        (["--device", "nonsense"], "device"),
    ],
)
def test_bad_settings_end_with_one_sentence_and_no_file(tmp_path, capsys, words, said):
    out = tmp_path / "out.json"
    assert main(["--out", str(out), *words]) == 2
    message = capsys.readouterr().err
    assert said in message and message.count("\n") == 1
    assert not out.exists()


def test_patches_of_a_prepared_folder_come_from_the_split_named(tmp_path):
    write_prepared(tmp_path)
    found = {split: load_patches(tmp_path, split, 5, 0, progress=False) for split in ("train", "val", "test")}
    assert all(patches.shape == (5, 3, SIZE, SIZE) and patches.dtype == torch.uint8 for patches in found.values())
    assert not torch.equal(found["train"], found["test"])


def test_other_settings_are_not_mixed_into_one_file(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["--tasks", "jpeg", "--seeds", "0", "--steps", "1", "--out", str(out), "--device", "cpu"]) == 0
    assert main(["--tasks", "jpeg", "--seeds", "0", "--steps", "2", "--out", str(out), "--device", "cpu"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_a_file_of_something_else_is_refused(tmp_path):
    one_run = json.dumps({"format": restore_photographs.FORMAT, "runs": [1]})
    for text in ("{", "[]", '{"format": "x"}', one_run):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ValueError, match="name another"):
            load_record(tmp_path / "x.json")


@pytest.mark.parametrize("path", sorted(RESULTS.glob("restorations_*.json")), ids=lambda path: path.name)
def test_what_is_recorded_beats_doing_nothing_and_bicubic(path):
    record = load_record(path)
    assert {"command", "date", "hardware", "versions", "settings"} <= set(record)
    assert table(record)
    for run in record["runs"]:
        if run["loss"] == "pixel" and run["task"] in ("super-resolution", "jpeg", "text"):
            scores = {kind: values["psnr"] for kind, values in run["scores"].items()}
            assert scores["network"] > max(scores["nothing"], scores["bicubic"])
