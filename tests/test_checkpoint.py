"""Checkpoints: kills and damage of every kind."""

import copy
import errno
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from course_utils.checkpoint import (
    PARTS,
    CheckpointError,
    check_same_run,
    load_checkpoint,
    prepare_checkpoint,
    save_checkpoint,
)
from course_utils.files import temporary_path
from course_utils.training import fit
from tests.training_case import results, train

ROOT = Path(__file__).parents[1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.pt"


def same(a, b):
    """Bit for bit, through dicts and lists."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_again_and_again_ends_like_an_undisturbed_one(tmp_path):
    command = [sys.executable, "-m", "tests.training_case", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    kills, leftovers = map(int, done.stdout.split())
    assert kills >= 5
    assert leftovers >= 2  # killed while writing, and between writing and replacing
    assert sorted(file.name for file in tmp_path.iterdir()) == ["killed.pt", "run.pt"]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        undisturbed = results(*train())
    finally:
        torch.set_num_threads(threads)
    assert same(torch.load(tmp_path / "killed.pt"), undisturbed)


def test_what_is_saved_comes_back(path):
    payload = {"model": {"w": torch.arange(3.0)}, "epoch": 2, "names": ["a"], "none": None}
    save_checkpoint(path, payload)
    loaded = load_checkpoint(path)
    del loaded["format"]
    assert same(loaded, payload)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_in_one_sentence(path, share):
    save_checkpoint(path, {"model": {"w": torch.zeros(1000)}})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"run.pt cannot be read as a checkpoint \(.+\); delete it") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_something_else_is_refused(path):
    path.write_text("not a checkpoint\n")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load_checkpoint(path)
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(CheckpointError, match="is not a checkpoint that fit wrote; delete it or name another"):
        load_checkpoint(path)


class Trap:
    def __reduce__(self):
        return (open, (os.environ["TRAP"], "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_foreign_pickle_runs_no_code(path, save, monkeypatch):
    monkeypatch.setenv("TRAP", str(path.with_name("sprung")))
    save({"model": Trap()}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not path.with_name("sprung").exists()


@pytest.mark.parametrize(
    "error, expected", [(OSError(errno.ENOSPC, "No space left"), OSError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_a_write_that_fails_leaves_the_old_checkpoint_and_nothing_else(path, monkeypatch, error, expected):
    save_checkpoint(path, {"epoch": 1})

    def failing(payload, file):
        file.write(b"half")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", failing)
        with pytest.raises(expected) as caught:
            save_checkpoint(path, {"epoch": 2})
    if expected is OSError:
        assert "No space left" in str(caught.value) and "the one before it is intact" in str(caught.value)
    assert load_checkpoint(path)["epoch"] == 1
    assert list(path.parent.iterdir()) == [path]


def test_preparing_makes_the_folder_and_removes_what_a_kill_left(tmp_path):
    path = tmp_path / "new" / "folder" / "run.pt"
    prepare_checkpoint(path)
    assert path.parent.is_dir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    alive = temporary_path(path, os.getppid())
    for process in (gone.pid, os.getppid()):
        temporary_path(path, process).write_bytes(b"half")
    prepare_checkpoint(path)
    assert list(path.parent.iterdir()) == [alive], "another run is writing that one"


def test_places_where_nothing_can_be_written_are_refused(tmp_path):
    with pytest.raises(OSError, match=r"is a folder; name a file, such as .*run\.pt"):
        prepare_checkpoint(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"no checkpoint can be written to .*choose a folder you may write to"):
        prepare_checkpoint(tmp_path / "file" / "run.pt")


def test_other_settings_and_other_shapes_are_named(path):
    model = nn.Linear(2, 3)
    saved = {"settings": {"lr": [0.1], "epochs": 3, "names": list("abcdefghi")}, "model": nn.Linear(2, 3).state_dict()}
    check_same_run(path, saved, saved["settings"], model)
    with pytest.raises(
        CheckpointError, match=r"another run: lr was \[0\.1\] and is \[0\.2\], names was 9 tensors and is"
    ):
        check_same_run(path, saved, {"lr": [0.2], "epochs": 3, "names": ["a"]}, model)
    recipes = [{"recipe": json.dumps({"light": light, "size": [64, 96]})} for light in (0.1, 0.2)]
    with pytest.raises(CheckpointError, match=r"another run: light was 0\.1 and is 0\.2; use the same settings"):
        check_same_run(path, saved | {"settings": recipes[0]}, recipes[1], model)
    with pytest.raises(CheckpointError, match=r"weight in the model was \(3, 2\) and is \(2, 3\)"):
        check_same_run(path, saved, saved["settings"], nn.Linear(3, 2))
    with pytest.raises(CheckpointError, match=r"weight in the model was torch\.float32 and is torch\.float64"):
        check_same_run(path, saved, saved["settings"], nn.Linear(2, 3).double())
    with pytest.raises(CheckpointError, match=r"bias in the model was \(3,\) and is None"):
        check_same_run(path, saved, saved["settings"], nn.Linear(2, 3, bias=False))


@pytest.mark.parametrize("part", [*PARTS, "average"])
def test_a_checkpoint_that_lacks_a_part_is_refused_before_the_model_changes(path, part):
    model = nn.Linear(2, 2)
    batches = [(torch.randn(4, 2), torch.zeros(4, dtype=torch.long))]
    options = {"epochs": 1, "lr": 0.1, "loss_fn": nn.CrossEntropyLoss(), "checkpoint": path, "progress": False}
    fit(model, batches, **options)
    saved = torch.load(path, weights_only=True)
    del saved[part]
    torch.save(saved, path)
    before = copy.deepcopy(model.state_dict())
    nn.init.zeros_(model.weight)
    with pytest.raises(CheckpointError, match=f"is damaged: it lacks {part}; delete it"):
        fit(model, batches, **options)
    assert not model.weight.any() and before["weight"].any()


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("optimizer", {}, "is damaged: KeyError: .*param_groups.*; delete it"),
        ("model", {"weight": 1, "bias": 1}, r"weight in the model was None and is \(2, 2\)"),
        ("average", {}, "is damaged: RuntimeError"),
        ("rng", {}, "is damaged: KeyError"),
        ("history", {"odd": []}, "is damaged: TypeError"),
    ],
)
def test_a_part_that_is_damaged_inside_is_refused_before_the_model_changes(path, part, content, message):
    model = nn.Linear(2, 2)
    batches = [(torch.randn(4, 2), torch.zeros(4, dtype=torch.long))]
    options = {"epochs": 1, "lr": 0.1, "loss_fn": nn.CrossEntropyLoss(), "checkpoint": path, "progress": False}
    fit(model, batches, ema=0.5, **options)
    torch.save(torch.load(path, weights_only=True) | {part: content}, path)
    nn.init.zeros_(model.weight)
    generators = torch.get_rng_state()
    with pytest.raises(CheckpointError, match=message):
        fit(model, batches, ema=0.5, **options)
    assert not model.weight.any() and torch.equal(torch.get_rng_state(), generators)
