"""The command that trains restorers: it records, continues, and refuses before it trains."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from course_utils import restore_photographs
from course_utils.experiments.painting_file import read_painting
from course_utils.experiments.restoration_tasks import SIZE
from course_utils.restore_photographs import load_patches, load_record, main, table
from course_utils.restorer import make_restorer
from data_scripts.painting import paint_lily_pond
from tests.small_camvid import write_prepared

JPEG = ["--tasks", "jpeg", "--seeds", "0", "--steps", "1", "--device", "cpu"]
RESULTS = Path(__file__).resolve().parents[1] / "notebooks" / "results"
RESTORATIONS = sorted(path for path in RESULTS.glob("*.json") if path.stem.rpartition("_")[2].isdigit())
"""Their names end with the number of steps."""


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


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("pixel", [(5, "mse_loss")]),
        ("absolute", [(5, "l1_loss")]),
        ("feature", [(5, "FeatureLoss")]),
        ("pixel+feature", [(3, "mse_loss"), (2, "FeatureLoss")]),
    ],
)
def test_each_loss_trains_with_what_its_name_says(tmp_path, monkeypatch, loss, expected):
    phases = []

    def spy(task, pictures, *, loss_fn, model, batch_size, **options):
        phases.append((len(pictures) // batch_size, getattr(loss_fn, "__name__", type(loss_fn).__name__), model))
        return make_restorer()

    monkeypatch.setattr(restore_photographs, "train_restorer", spy)
    command = ["--tasks", "text", "--losses", loss, "--seeds", "0", "--steps", "5", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "out.json")]) == 0
    assert [phase[:2] for phase in phases] == expected
    assert [phase[2] is None for phase in phases] == [True, False][: len(phases)], "the second goes on with the model"


def test_the_painting_has_losses_of_its_own_and_is_judged_by_its_style(tmp_path, capsys):
    Image.fromarray(paint_lily_pond(128, 160)).save(tmp_path / "pond.png")
    out = tmp_path / "out.json"
    command = ["--tasks", "monet", "--seeds", "0", "--steps", "1", "--out", str(out)]
    assert main([*command, "--painting", str(tmp_path / "pond.png"), "--device", "cpu"]) == 0
    (only,) = load_record(out)["runs"]
    assert only["loss"] == "patches" and set(only["scores"]) == {"nothing", "mean colour", "noise in it", "network"}
    assert all(scores["style"] > 0 and scores["gram"] > 0 for scores in only["scores"].values())
    assert "from the style, by patches" in capsys.readouterr().out
    command += ["--losses", "gram", "patches"]
    assert main([*command, "--painting", str(tmp_path / "pond.png"), "--device", "cpu"]) == 0
    patches, gram = load_record(out)["runs"]
    assert gram["loss"] == "gram" and gram["scores"]["nothing"] == patches["scores"]["nothing"]


def test_a_painting_stands_upright(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright: turn the picture by 90 degrees
    Image.fromarray(paint_lily_pond(128, 160)).save(tmp_path / "pond.png", exif=turned)
    assert read_painting(tmp_path / "pond.png").shape == (3, 160, 128)


def test_a_painting_is_reduced_to_half_a_thousand_pixels(tmp_path):
    for width, height in ((160, 128), (1024, 512)):
        Image.fromarray(paint_lily_pond(height, width)).save(tmp_path / "pond.png")
        assert read_painting(tmp_path / "pond.png").shape == (3, min(height, 256), min(width, 512))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tasks", "monet", "--painting", "nowhere.png"], "python -m data_scripts.painting"),
        (["--tasks", "monet", "--painting", __file__], "no picture"),
        (["--tasks", "jpeg", "monet", "--painting", "black.png"], "black.png is black"),
        (["--tasks", "monet", "--painting", "line.png"], "line.png is smaller than 96 pixels"),
        (["--tasks", "monet", "--painting", "panorama.png"], "panorama.png is too narrow"),
        (["--tasks", "monet", "--painting", "deep.png"], "deep.png is grey with more than 8 bits"),
        (["--tasks", "text", "sketch", "colour", "--losses", "feature"], "feature fits --tasks sketch colour"),
        (["--tasks", "text", "--losses", "gram"], "none of --losses gram fits --tasks text: add --losses pixel"),
        (["--tasks", "text", "--losses", "pixel", "gram"], "--losses gram fits none of --tasks text: leave it out"),
        (["--batch-size", "99999999"], "14999999850 patches"),
        (["--device", "meta"], "take --device cpu"),
        (["--data", "photographs"], "photographs: a record calls the packaged pictures so"),
        (["--steps", "0"], "--steps 0"),
        (["--batch-size", "-1"], "--batch-size -1"),
        (["--data", "nowhere"], "no folder"),
        (["--pictures", "nowhere"], "no folder"),
        (["--device", "nonsense"], "device"),
    ],
)
def test_bad_settings_end_with_one_sentence_and_no_file(tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(restore_photographs, "train_restorer", None)
    Image.new("RGB", (200, 200)).save("black.png")
    Image.new("RGB", (1, 300), "red").save("line.png")
    Image.new("RGB", (3000, 96), "red").save("panorama.png")
    Image.new("I;16", (128, 128), 3000).save("deep.png")
    (tmp_path / "photographs").mkdir()
    out = tmp_path / "out.json"
    assert main(["--out", str(out), *words]) == 1
    message = capsys.readouterr().err
    assert said in message and message.count("\n") == 1
    assert not out.exists()


def test_patches_of_a_prepared_folder_come_from_the_split_named(tmp_path):
    write_prepared(tmp_path)
    found = {split: load_patches(tmp_path, split, 5, 0) for split in ("train", "val", "test")}
    assert all(patches.shape == (5, 3, SIZE, SIZE) and patches.dtype == torch.uint8 for patches in found.values())
    assert not torch.equal(found["train"], found["test"])


def test_what_is_scored_is_spread_over_its_split(monkeypatch):
    """The first test pictures of CamVid follow a few seconds after training pictures, in the same clip."""
    numbered = torch.arange(9, dtype=torch.uint8).view(9, 1, 1, 1).expand(9, 3, 192, 256)
    monkeypatch.setattr(restore_photographs, "_pictures", lambda root, split: numbered)
    scored, trained = (load_patches(Path("any"), split, n, 0)[:, 0, 0, 0] for split, n in (("test", 4), ("train", 11)))
    assert scored.tolist() == [0, 2, 4, 6] and trained.tolist() == [*range(9), 0, 1]


def test_the_table_has_both_distances_of_a_painting():
    scores = {"nothing": {"style": 0.18, "gram": 2.0}, "network": {"style": 0.07, "gram": 1.2}}
    run = {"task": "monet", "loss": "patches", "seed": 0, "scores": scores}
    by_patches, by_gram = table({"runs": [run]})
    assert "nothing 0.180, network 0.070 from the style, by patches" in by_patches
    assert "nothing 2.00, network 1.20 by Gram matrices" in by_gram


def test_other_settings_are_not_mixed_into_one_file(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["--tasks", "jpeg", "--seeds", "0", "--steps", "1", "--out", str(out), "--device", "cpu"]) == 0
    assert main(["--tasks", "jpeg", "--seeds", "0", "--steps", "2", "--out", str(out), "--device", "cpu"]) == 1
    assert "other settings (steps 1)" in capsys.readouterr().err


def _quickly(monkeypatch):
    """Train nothing."""

    def untrained(task, *arguments, **options):
        return make_restorer(SIZE, n_out=task.n_out, residual=task.residual, **task.options)

    monkeypatch.setattr(restore_photographs, "train_restorer", untrained)


def test_runs_of_two_paintings_judges_or_data_sets_are_not_mixed(tmp_path, capsys, monkeypatch):
    _quickly(monkeypatch)
    out, ponds = str(tmp_path / "out.json"), [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    for path, width in zip(ponds, (128, 128, 160), strict=True):
        Image.fromarray(paint_lily_pond(96, width)).save(path)
    monet = ["--tasks", "monet", *JPEG[2:], "--out", out]
    assert main([*monet, "--painting", ponds[0]]) == main([*monet, "--painting", ponds[1]]) == 0
    assert main([*monet, "--painting", ponds[2]]) == 1
    assert "other settings (painting " in capsys.readouterr().err
    assert main([*JPEG, "--out", out]) == 0  # needs no painting
    judge = restore_photographs.feature_network()
    monkeypatch.setattr(restore_photographs, "feature_network", lambda: dataclasses.replace(judge, said="another"))
    assert main([*JPEG, "--out", out]) == 1
    assert f"(judge {judge.said})" in capsys.readouterr().err
    monkeypatch.undo()
    _quickly(monkeypatch)
    first, second = (write_prepared(tmp_path / place / "scenes") for place in "12")
    (second / "train.txt").write_text((first / "train.txt").read_text().splitlines()[0])
    assert main([*JPEG, "--out", str(tmp_path / "scenes.json"), "--data", str(first)]) == 0
    assert main([*JPEG, "--out", str(tmp_path / "scenes.json"), "--data", str(second)]) == 1
    assert "other settings (train_pictures 3)" in capsys.readouterr().err


def test_a_run_elsewhere_says_so_and_leaves_what_is_said_of_the_others(tmp_path, monkeypatch):
    _quickly(monkeypatch)
    out = tmp_path / "out.json"
    assert main([*JPEG, "--out", str(out)]) == 0
    before = load_record(out)
    facts = {name: before[name] for name in ("date", "hardware", "threads", "versions")}
    monkeypatch.setattr(restore_photographs, "provenance", lambda device: facts | {"hardware": "abacus"})
    assert main([*JPEG, "--out", str(out), "--seeds", "1"]) == 0
    after = load_record(out)
    assert {name: after[name] for name in facts} == facts
    assert after["runs"][0] == before["runs"][0] and "hardware" not in after["runs"][0]
    assert after["runs"][1]["hardware"] == "abacus" and "date" not in after["runs"][1]


def test_two_commands_at_once_keep_each_others_runs(tmp_path, monkeypatch):
    _quickly(monkeypatch)
    out = tmp_path / "out.json"
    real, other = restore_photographs.run, [*JPEG, "--out", str(out), "--seeds", "1"]

    def meanwhile(*arguments):
        monkeypatch.setattr(restore_photographs, "run", real)
        assert main(other) == 0
        return real(*arguments)

    monkeypatch.setattr(restore_photographs, "run", meanwhile)
    assert main([*JPEG, "--out", str(out)]) == 0
    record = load_record(out)
    assert [one["seed"] for one in record["runs"]] == [1, 0]
    assert record["command"].split("--seeds")[1].split()[:2] == ["1", "0"]


def test_the_same_command_twice_at_once_counts_each_run_once(tmp_path, monkeypatch):
    _quickly(monkeypatch)
    out = tmp_path / "out.json"
    real = restore_photographs.run

    def meanwhile(*arguments):
        monkeypatch.setattr(restore_photographs, "run", real)
        assert main([*JPEG, "--out", str(out)]) == 0
        return real(*arguments)

    monkeypatch.setattr(restore_photographs, "run", meanwhile)
    assert main([*JPEG, "--out", str(out)]) == 0
    assert [one["seed"] for one in load_record(out)["runs"]] == [0]


def test_pictures_of_runs_that_are_kept_are_missed_aloud(tmp_path, monkeypatch, capsys):
    _quickly(monkeypatch)
    command = [*JPEG, "--out", str(tmp_path / "out.json"), "--pictures", str(tmp_path)]
    assert main(command) == 0
    assert "name a new file" not in capsys.readouterr().err
    assert main([*command, "--seeds", "0", "1"]) == 0
    assert "out.json holds jpeg already; name a new file to get pictures of it." in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), FloatingPointError("the loss is nan")])
def test_what_goes_wrong_in_training_is_one_sentence(tmp_path, monkeypatch, capsys, error):
    def fails(*arguments, **options):
        raise error

    monkeypatch.setattr(restore_photographs, "train_restorer", fails)
    assert main([*JPEG, "--out", str(tmp_path / "out.json")]) == 1
    assert capsys.readouterr().err.endswith(f"restore_photographs: {error}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", RESTORATIONS, ids=lambda path: path.name)
def test_a_record_in_the_repository_can_be_gone_on_with(path, tmp_path, monkeypatch):
    monkeypatch.setattr(restore_photographs, "run", None)  # nothing is missing in it
    monkeypatch.chdir(tmp_path)
    shutil.copy(path, "out.json")
    _, _, _, *words = load_record(path)["command"].split()
    if "monet" in words:
        Image.fromarray(paint_lily_pond()).save("pond.png")  # the record knows it by its pixels
        words += ["--painting", "pond.png"]
    if "--data" in words:
        root = write_prepared(tmp_path / "data" / "camvid")
        settings = load_record(path)["settings"]
        for split in {"train", settings["split"]} if "train_pictures" in settings else ():
            (root / f"{split}.txt").write_text("".join(f"p{i}\n" for i in range(settings[f"{split}_pictures"])))
    assert main([*words, "--out", "out.json"]) == 0


def test_a_file_of_something_else_is_refused(tmp_path):
    for text in ("{", "[]", '{"format": "x"}'):
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


def test_a_patch_that_needs_no_restoring_is_refused_before_training(tmp_path, monkeypatch, capsys):
    """Its PSNR is infinite, which no record can hold."""
    white = torch.full((4, 3, SIZE, SIZE), 255, dtype=torch.uint8)
    monkeypatch.setattr(restore_photographs, "load_patches", lambda *a, **options: white)
    monkeypatch.setattr(restore_photographs, "train_restorer", None)
    out = tmp_path / "out.json"
    assert main(["--tasks", "super-resolution", "--seeds", "0", "--steps", "1", "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "equals the target without any training" in said and not out.exists()
