"""Two real processes against one: the same parameters, history and scores, and one sentence when something fails."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from course_utils import train_camvid, training
from course_utils.distributed import SharedTraining, SyncedBatchNorm, own_device, process_group, terms, world_size
from course_utils.interrupt import DeferredInterrupt
from tests import distributed_case
from tests.training_case import train
from tests.two_halves import write_two_halves

ROOT = Path(__file__).resolve().parents[1]
QUIET = os.environ | {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and hasattr(os, "fork")), reason="needs torch.distributed and fork"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    write_two_halves(folder / "scenes")
    module = [sys.executable, "-m", "tests.distributed_case", str(folder)]
    done = subprocess.run(module, cwd=ROOT, env=QUIET, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def found(folder):
    """What each of the two processes found, case by case."""
    said = "".join((folder / f"cases.{rank}.txt").read_text() for rank in range(2))
    assert said == ""
    return [torch.load(folder / f"cases.{rank}.pt", weights_only=True) for rank in range(2)]


def assert_equal(two, one):
    for name in one["model"]:
        torch.testing.assert_close(two["model"][name], one["model"][name], rtol=1e-9, atol=1e-9)
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-10)
    assert two["lrs"] == one["lrs"]
    assert len(two["rows"]) == len(one["rows"])
    for row, expected in zip(two["rows"], one["rows"], strict=True):
        assert row == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("case", "loss_fn"),
    [
        ("plain", None),
        ("class weights", distributed_case.class_weights()),
        ("pictures", distributed_case.Press(0)),
    ],
)
def test_two_processes_end_where_one_ends(found, case, loss_fn):
    one = distributed_case.run(loss_fn)
    for rank in range(2):
        assert_equal(found[rank][case], one)
    # The same shares with a mean of means would end elsewhere.
    assert one["losses"][0] != pytest.approx(one["losses"][-1], rel=1e-3)


def test_processes_shuffle_alike_whatever_dropout_draws_on_each(found):
    order = found[0]["orders"]
    epochs = [order[start : start + 9] for start in (0, 9, 18)]
    assert order == found[1]["orders"] and all(sorted(epoch) == list(range(9)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_ctrl_c_for_one_process_stops_both_at_the_same_step_and_the_run_resumes(found):
    one = distributed_case.run(distributed_case.Press(0))
    for rank in range(2):
        case = found[rank]["interrupted"]
        assert case["steps"] == 4 and "stopped after step 4, with 1 of 3 epochs finished" in case["said"]
        assert_equal(case["resumed"], one)


def test_one_process_continues_what_two_began(found, folder, tmp_path):
    path = shutil.copy(folder / "half.pt", tmp_path / "run.pt")
    assert_equal(distributed_case.run(distributed_case.Press(0), checkpoint=path), found[0]["interrupted"]["resumed"])


def said_by_both(folder, case):
    """The line that each of two processes could have printed, and one did; then the sentence on what went wrong."""
    return sorted("".join((folder / f"{case}.{rank}.txt").read_text() for rank in range(2)).splitlines())


def test_a_batch_too_small_for_the_processes(found, folder):
    for rank in range(2):
        assert found[rank]["refused"] == (
            "batch_size=1 has less than one picture for each of 2 processes; raise it, or start fewer processes."
        )
    plan, said = said_by_both(folder, "refused")
    assert "4 pictures to train on" in plan and "train_camvid: batch_size=1 has less than one picture" in said
    assert [torch.load(folder / f"refused.{rank}.pt") for rank in range(2)] == [1, 1]


def test_when_one_process_fails_one_sentence_says_why(folder):
    plan, said = said_by_both(folder, "one")
    assert "4 pictures to train on" in plan and said == "train_camvid: process 1 is out of memory"
    assert [torch.load(folder / f"one.{rank}.pt") for rank in range(2)] == [1, 1]


@pytest.mark.slow
def test_the_command_under_torchrun(folder, tmp_path, capsys):
    options = ["--size", "64", "64", "--batch-size", "3", "--frozen-epochs", "0", "--half-epochs", "0", "--epochs", "2"]
    options += ["--data", str(folder / "scenes"), "--device", "cpu", "--test"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    module = ["-m", "course_utils.train_camvid", *options, "--out", str(tmp_path / "two.json")]
    done = subprocess.run([*torchrun, *module], cwd=ROOT, env=QUIET, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("val: pixel accuracy") == 1
    assert train_camvid.main([*options, "--out", str(tmp_path / "one.json")]) == 0
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["command"] == one["command"]
    # Four pictures of 64 pixels leave 12 values for a variance, which magnifies the rounding of floats.
    assert two["epochs"][0]["train_loss"] == pytest.approx(one["epochs"][0]["train_loss"], rel=1e-3)
    assert two["val"]["accuracy"] == pytest.approx(one["val"]["accuracy"], abs=0.02)
    assert two["test"]["baselines"] == one["test"]["baselines"]


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(4), nn.BatchNorm2d(4, momentum=None), nn.BatchNorm3d(4, affine=False)]
)
def test_synced_batch_norm_alone_is_batch_norm(layer):
    """Outputs, gradients and running statistics, against torch's own layer."""
    layer = layer.double()
    shape = {"BatchNorm1d": (6, 4), "BatchNorm2d": (3, 4, 5, 2), "BatchNorm3d": (2, 4, 3, 2, 2)}[type(layer).__name__]
    x, direction = torch.randn(2, *shape, dtype=torch.float64)
    found = []
    for context in (SyncedBatchNorm(), torch.enable_grad()):
        layer.reset_running_stats()
        layer.zero_grad()
        moved = x.clone().requires_grad_()
        with context:
            y = layer(moved)
        (y * direction).sum().backward()
        parameters = [parameter.grad.clone() for parameter in layer.parameters()]
        found.append([y.detach(), moved.grad, layer.running_mean.clone(), layer.running_var.clone(), *parameters])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
    layer.eval()
    with SyncedBatchNorm():
        mine = layer(x)
    assert torch.equal(mine, layer(x))


def test_synced_batch_norm_keeps_half_precision():
    layer, x = nn.BatchNorm2d(4), torch.randn(3, 4, 5, 5, dtype=torch.bfloat16, requires_grad=True)
    with SyncedBatchNorm():
        y = layer(x)
    y.sum().backward()
    assert y.dtype is x.grad.dtype is torch.bfloat16
    torch.testing.assert_close(y.float(), layer(x.float()), atol=0.03, rtol=0.02)


def test_norms_are_shared_in_training_only(monkeypatch):
    """Processes score apart: a norm that waited for the others there would wait for other pictures, or for ever."""
    active, seen = [], []

    class Norms:
        def __enter__(self):
            active.append(True)

        def __exit__(self, *error):
            active.pop()

    class Shared(SharedTraining):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.norms = Norms()

    def loss_fn(scores, y):
        seen.append(("train", bool(active)))
        return nn.functional.cross_entropy(scores, y)

    def evaluate(model):
        seen.append(("evaluate", bool(active)))
        return {}

    monkeypatch.setattr(training, "SharedTraining", Shared)
    train(loss_fn=loss_fn, evaluate=evaluate)
    assert set(seen) == {("train", True), ("evaluate", False)}


def test_terms_are_what_the_loss_divides_by():
    y = torch.tensor([[0, 1, 4], [4, 4, 2]])
    logits = torch.randn(2, 4, 3)
    for loss_fn in (nn.CrossEntropyLoss(ignore_index=4), distributed_case.class_weights().float()):
        whole = nn.CrossEntropyLoss(loss_fn.weight, ignore_index=4, reduction="sum")(logits, y)
        torch.testing.assert_close(whole / terms(loss_fn, y), loss_fn(logits, y))
    assert terms(nn.MSELoss(), y) == 2
    assert terms(nn.NLLLoss(ignore_index=4), y) == 3, "labelled pixels here, too"
    assert terms(nn.CrossEntropyLoss(torch.ones(4)), torch.rand(2, 4, 3)) == 2, "probabilities: every picture counts"


def test_alone_nothing_happens(capsys):
    with process_group() as complain:
        assert world_size() == 1 and own_device("cuda:1") == "cuda:1"
        complain("it is late.")
    assert capsys.readouterr().err == "it is late.\n"


def test_processes_do_not_share_a_gpu(monkeypatch):
    monkeypatch.setattr("course_utils.distributed.world_size", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert [own_device(name) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    for name in ("auto", "mps", "mps:0"):
        with monkeypatch.context() as mac, pytest.raises(ValueError, match="several processes cannot train: say 'cpu'"):
            mac.setattr(torch.cuda, "is_available", lambda: False)
            mac.setattr(torch.backends.mps, "is_available", lambda: True)
            own_device(name)
    assert chosen == [1, 1]
    for name, n_processes in (("cuda:0", "2"), ("auto", "3")):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", n_processes)
        with pytest.raises(ValueError, match=f"{n_processes} processes on a machine with 2 GPUs: each needs its own"):
            own_device(name)


def test_one_ctrl_c_that_comes_twice_is_one():
    with DeferredInterrupt(passed_on=True) as interrupt:
        for _ in range(2):
            os.kill(os.getpid(), 2)
    assert interrupt.asked
