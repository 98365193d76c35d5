"""A tiny run with everything that makes resuming hard; as a program: train it, killed again and again, to the end."""

import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from course_utils.files import temporary_path
from course_utils.training import fit

EPOCHS, BATCHES = 4, 6


class NoisyPictures(Dataset):
    """22 random pictures; each access draws from the generators of Python, NumPy and torch."""

    def __init__(self):
        generator = torch.Generator().manual_seed(5)
        self.x = torch.randn(22, 3, 8, 8, generator=generator)
        self.y = torch.randint(0, 4, (22, 8, 8), generator=generator)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        noise = random.random() + np.random.rand() + torch.rand(())
        return self.x[i] + noise.float(), self.y[i]


class SmallNet(nn.Module):
    """Convolution, batch norm, dropout, and a head with its own parameter group."""

    def __init__(self, dropout=0.3):
        super().__init__()
        torch.manual_seed(0)
        # A bias before a batch norm has no gradient but rounding errors, which Adam makes steps of full length from.
        conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.body = nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        return self.head(self.body(x))

    def parameter_groups(self):
        return [list(self.body.parameters()), list(self.head.parameters())]


def loader(**options):
    """Six shuffled batches, the last one smaller."""
    return DataLoader(NoisyPictures(), batch_size=4, shuffle=True, **options)


def evaluate(model):
    """Two numbers; drawing from the global generator here must not upset a resumed run either."""
    x = torch.rand(2, 3, 8, 8)
    return {"mean": model(x).mean(), "training": float(model.training)}


def train(model=None, batches=None, **options):
    """Train the case; return the model and the history."""
    model = SmallNet() if model is None else model
    defaults = {
        "epochs": EPOCHS,
        "lr": 1e-2,
        "loss_fn": nn.functional.cross_entropy,
        "evaluate": evaluate,
        "progress": False,
    }
    history = fit(model, loader() if batches is None else batches, **defaults | options)
    return model, history


def results(model, history):
    """All that two equal runs have in common."""
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in history.epochs]
    return {"model": model.state_dict(), "rows": rows, "losses": history.step_losses, "lrs": history.step_lrs}


def kill_me():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_half_written(payload, file):
    file.write(b"PK half a checkpoint")
    file.flush()
    kill_me()


def kill_before_replace(source, target):
    kill_me()


def kill_after_replace(source, target):
    os.rename(source, target)
    kill_me()


# Where the first children die: in the middle of writing, before the new file takes its place, and just after.
KILL_POINTS = [
    ("torch.save", kill_half_written),
    ("os.replace", kill_before_replace),
    ("os.replace", kill_after_replace),
]


def child(folder, kill_point):
    """Train with a checkpoint at each step, and dying at `kill_point`, but not at the first call of it."""
    calls = 0
    if kill_point:
        name, deadly = kill_point
        owner = {"torch": torch, "os": os}[name.partition(".")[0]]
        original = getattr(owner, name.partition(".")[2])

        def patched(*arguments):
            nonlocal calls
            calls += 1
            return (deadly if calls == 3 else original)(*arguments)

        setattr(owner, name.partition(".")[2], patched)
    model, history = train(checkpoint=folder / "run.pt", checkpoint_every=1)
    torch.save(results(model, history), folder / "killed.pt")


def stamp(path):
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    return None


def main(folder):
    """Start children until one reaches the end; print how many were killed and how many left half a file behind."""
    checkpoint = folder / "run.pt"
    torch.set_num_threads(1)
    train()  # what torch imports late is then there in every child
    rng = random.Random(0)
    kills, leftovers, attempt = 0, 0, 0
    while True:
        before = stamp(checkpoint)
        kill_point = KILL_POINTS[attempt] if attempt < len(KILL_POINTS) else None
        pid = os.fork()
        if pid == 0:
            child(folder, kill_point)
            os._exit(0)
        status = None
        # Every child may write one checkpoint at least, so that the loop ends on the slowest machine.
        while status is None and (kill_point or stamp(checkpoint) == before):
            done, code = os.waitpid(pid, os.WNOHANG)
            status = code if done else None
            time.sleep(0.0005)
        if status is None:
            time.sleep(rng.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
        attempt += 1
        kills += os.WIFSIGNALED(status)
        leftovers += temporary_path(checkpoint, pid).exists()
        if not os.WIFSIGNALED(status):
            assert status == 0, f"a child failed with status {status}"
            break
    print(kills, leftovers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
