"""What the command lines share: commands that give the same settings again, files written whole, usable devices."""

import argparse
import os
import shlex
from concurrent.futures import ThreadPoolExecutor

import pytest

from course_utils import command_line
from course_utils.command_line import check_files, command_again, usable_device
from course_utils.data_layout import LAYOUT


def parser():
    parse = argparse.ArgumentParser(prog="python -m something")
    parse.add_argument("kind", choices=("one", "two"))
    parse.add_argument("--only", nargs="+")
    parse.add_argument("--size", type=int, nargs=2, default=[72, 96])
    parse.add_argument("--fast", action="store_true")
    parse.add_argument("--out")
    return parse


def test_only_prepared_data_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(command_line, "DATA_DIR", tmp_path)
    (tmp_path / "camvid").mkdir()
    with pytest.raises(FileNotFoundError, match="no data set is prepared"):
        command_line.find_data(None)
    for name in LAYOUT:
        (tmp_path / "street_scenes" / name).mkdir(parents=True)
    assert command_line.find_data(None) == tmp_path / "street_scenes"
    assert command_line.find_data(tmp_path / "mine") == tmp_path / "mine"


def test_the_command_named_gives_the_same_settings():
    words = ["two", "--only", "a b", "it's", "--size", "32", "64", "--fast", "--out", "x.json"]
    named = command_again(parser(), parser().parse_args(words), ("out",))
    again = shlex.split(named)
    assert again[:3] == ["python", "-m", "something"]
    assert parser().parse_args([*again[3:], "--out", "x.json"]) == parser().parse_args(words)


def test_defaults_are_left_out():
    assert command_again(parser(), parser().parse_args(["one"]), ()) == "python -m something one"


@pytest.mark.parametrize("name", ["meta", "nonsense"])
def test_a_device_that_keeps_no_numbers_is_refused(name):
    with pytest.raises(ValueError, match=f"--device {name} cannot be used here .*; take --device cpu") as caught:
        usable_device(name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="names and devices differ on Windows")
def test_what_cannot_become_a_file_is_refused_and_stays_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="no ordinary file"):
            check_files([tmp_path / name])
    with pytest.raises(OSError, match=r"cannot be written.*name another file"):
        check_files([tmp_path / ("x" * 253)])
    check_files([tmp_path / "new.json"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_processes_that_check_one_file_at_a_time_do_not_disturb_each_other(tmp_path):
    """Those that torchrun started do: one removed the trial file of the other, which then called it not writable."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(check_files, [[tmp_path / "out.json"]] * 400))
    assert not list(tmp_path.iterdir())
