"""Which data set the notebooks get: real CamVid before painted scenes, and these on the spot."""

import pytest

from course_utils.data_layout import LAYOUT, is_prepared
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
    assert line.count("\n") == 1 and "painted street scenes, from data/street_scenes" in line
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
