"""Which data set the notebooks get: real CamVid before painted scenes, and these on the spot."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_utils.data_layout import LAYOUT, is_prepared
from data_scripts import locate
from data_scripts.locate import camvid_or_street_scenes, main

SMALL = {"n_train": 1, "n_val": 1, "n_test": 1, "height": 32, "width": 40}


def prepare(root, without=None):
    for name in LAYOUT:
        if name != without:
            (root / name).mkdir(parents=True)


def test_real_camvid_comes_first(tmp_path, capsys):
    prepare(tmp_path / "camvid")
    prepare(tmp_path / "street_scenes")
    assert camvid_or_street_scenes(tmp_path) == tmp_path / "camvid"
    assert capsys.readouterr().out == f"Data: real CamVid, from {tmp_path}/camvid.\n"


def test_the_folder_of_the_repository_is_named_from_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("data_scripts.locate.DATA_DIR", tmp_path)
    prepare(tmp_path / "camvid")
    camvid_or_street_scenes()
    assert capsys.readouterr().out == f"Data: real CamVid, from {tmp_path.name}/camvid.\n"


@pytest.mark.parametrize("missing", LAYOUT)
def test_a_half_prepared_folder_does_not_count(tmp_path, missing):
    prepare(tmp_path / "camvid", without=missing)
    prepare(tmp_path / "street_scenes")
    assert not is_prepared(tmp_path / "camvid")
    assert camvid_or_street_scenes(str(tmp_path)) == tmp_path / "street_scenes"


def test_scenes_are_painted_when_there_is_nothing_and_taken_when_they_are_there(tmp_path, capsys):
    root = camvid_or_street_scenes(tmp_path / "data", **SMALL)
    assert is_prepared(root) and len(list((root / "images").iterdir())) == 3
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and f"painted street scenes, from {tmp_path}/data/street_scenes (" in line
    marks = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert camvid_or_street_scenes(tmp_path / "data", **SMALL) == root
    assert camvid_or_street_scenes(tmp_path / "data") == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == marks


def test_other_settings_than_those_on_disk_are_refused(tmp_path):
    camvid_or_street_scenes(tmp_path, **SMALL)
    with pytest.raises(FileExistsError, match="other settings"):
        camvid_or_street_scenes(tmp_path, **{**SMALL, "n_val": 2})


def test_scenes_that_a_killed_run_had_moved_away_are_taken_as_they_are(tmp_path):
    scenes = camvid_or_street_scenes(tmp_path, **SMALL)
    (tmp_path / ".street_scenes.part").mkdir()
    scenes.rename(tmp_path / ".street_scenes.part" / "previous")
    assert camvid_or_street_scenes(tmp_path) == scenes
    assert is_prepared(scenes) and len(list((scenes / "images").iterdir())) == 3


def test_the_default_folder_is_the_repositorys():
    from data_scripts.locate import DATA_DIR

    assert DATA_DIR.name == "data" and (DATA_DIR.parent / "pyproject.toml").is_file()


def test_the_command_says_which_and_names_what_went_wrong(tmp_path, capsys):
    prepare(tmp_path / "camvid")
    assert main(["--data-dir", str(tmp_path)]) == 0
    assert "real CamVid" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert main(["--data-dir", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--data-dir" in capsys.readouterr().out


def test_ctrl_c_ends_in_one_sentence(tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(locate, "make_street_scenes", interrupt)
    assert main(["--data-dir", str(tmp_path)]) == 130
    assert capsys.readouterr() == ("", "interrupted: the data folder is as it was\n")


def test_the_handler_of_a_polite_kill_is_put_back(tmp_path):
    prepare(tmp_path / "camvid")
    before = signal.getsignal(signal.SIGTERM)
    assert main(["--data-dir", str(tmp_path)]) == 0
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
@pytest.mark.parametrize(("kind", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_ended_leaves_nothing(tmp_path, kind, status):
    command = [sys.executable, "-m", "data_scripts.locate", "--data-dir", str(tmp_path)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".street_scenes.part/scratch-*/new/labels/*.png")):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    assert process.poll() is None, "the end is meant to come in the middle"
    process.send_signal(kind)
    assert process.wait(timeout=120) == status
    assert list(tmp_path.iterdir()) == []
