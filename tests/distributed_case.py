"""Cases that two real processes run together; as a program: run all of them, and leave what they found in a folder."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_utils import train_camvid
from course_utils.camvid import Batches, CachedSplit
from course_utils.distributed import process_group, rank, wait_for_all
from course_utils.segmentation import count_confusion, cross_entropy, scores_of
from tests.training_case import SmallNet, results, train

CODES, VOID = ("a", "b", "c", "d", "Void"), 4


class Sized(list):
    """Batches of doubles, in which rounding is too small to hide a mistake."""

    batch_size = 5


def batches():
    """Uneven shares, a last batch of one picture, and a share that is void throughout."""
    generator = torch.Generator().manual_seed(1)
    made = [
        (
            torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64),
            torch.randint(0, 5, (n, 8, 8), generator=generator),
        )
        for n in (5, 4, 1)
    ]
    made[1][1][2:] = VOID
    return Sized(made)


def split():
    """Seven pictures to score, in batches of two: four batches for two processes."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (7, 3, 8, 8), generator=generator, dtype=torch.uint8)
    masks = torch.randint(0, 5, (7, 8, 8), generator=generator, dtype=torch.uint8)
    return CachedSplit(images, masks, list("abcdefg"), CODES, VOID)


def evaluate(model):
    """Scores of the split, in doubles."""
    doubles = [(x.double(), y) for x, y in Batches(split(), 2)]
    return scores_of(count_confusion(model, doubles, len(CODES), VOID))


def run(loss_fn=None, **options):
    """Train the double net; everything that two equal runs have in common."""
    defaults = {"evaluate": evaluate, "loss_fn": loss_fn or cross_entropy(VOID), "epochs": 3}
    return results(*train(SmallNet(dropout=0).double(), batches(), **defaults | options))


def class_weights():
    """A loss whose pixels count differently."""
    return nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64), ignore_index=VOID)


class Press:
    """A loss, the same for each picture, which sends Ctrl-C to one process in one step."""

    def __init__(self, step):
        self.step, self.calls = step, 0

    def __call__(self, x, y):
        self.calls += 1
        if rank() == 1 and self.calls == self.step:
            os.kill(os.getpid(), signal.SIGINT)
        return (x.flatten(1) ** 2).mean()


def interrupted_and_resumed(folder):
    """Ctrl-C reaches only process 1, in step 4; then the run goes on."""
    path = folder / "run.pt"
    try:
        run(Press(4), checkpoint=path)
    except KeyboardInterrupt as stop:
        first = str(stop)
    steps = len(torch.load(path, weights_only=True)["history"]["step_losses"])
    if rank() == 0:
        shutil.copy(path, folder / "half.pt")
    wait_for_all()
    return {"said": first, "steps": steps, "resumed": run(Press(0), checkpoint=path)}


def refused(folder):
    """What `fit` says to a batch that leaves a process without a picture."""
    few = batches()
    few.batch_size = 1
    try:
        train(SmallNet(), few)
    except ValueError as error:
        return str(error)


class Noted:
    """A shuffled loader, and the number of each picture in the order in which it came."""

    batch_size = 5

    def __init__(self):
        numbers = torch.arange(9).view(-1, 1, 1, 1).double()
        self.loader = DataLoader(TensorDataset(numbers.expand(-1, 3, 8, 8), numbers), self.batch_size, shuffle=True)
        self.order = []

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for x, y in self.loader:
            self.order += y.flatten().int().tolist()
            yield x, y


def orders(folder):
    """The order of a shuffled loader's pictures over three epochs, while dropout draws for uneven shares."""
    noted = Noted()
    train(SmallNet(dropout=0.5).double(), noted, loss_fn=Press(0), epochs=3, evaluate=None)
    return noted.order


CASES = {
    "orders": orders,
    "plain": lambda folder: run(),
    "class weights": lambda folder: run(class_weights()),
    "pictures": lambda folder: run(Press(0)),
    "interrupted": interrupted_and_resumed,
    "refused": refused,
}


def all_cases(folder):
    """One process's part of every case."""
    with process_group():
        return {name: case(folder) for name, case in CASES.items()}


def command(folder, *options):
    """`train_camvid` on a data set beside the folder; the exit status."""
    size = ["--size", "64", "64", "--frozen-epochs", "0", "--half-epochs", "0", "--epochs", "1"]
    return train_camvid.main(["--data", str(folder / "scenes"), "--device", "cpu", *size, *options])


def one_fails(folder):
    """Process 1 cannot train; what process 0 meets then is no news."""
    if os.environ["RANK"] == "1":
        train_camvid.train_in_stages = no_memory
    return command(folder, "--batch-size", "4")


def no_memory(*arguments, **options):
    time.sleep(0.2)
    raise RuntimeError("process 1 is out of memory")


def two_processes(function, folder, name):
    """Fork two processes that find each other, run `function` in both, and save what each returns and prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for own_rank in range(2):
        pid = os.fork()
        if pid == 0:
            os.environ.update(
                TORCHELASTIC_RUN_ID="test", RANK=str(own_rank), LOCAL_RANK=str(own_rank), WORLD_SIZE="2",
                LOCAL_WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
            )  # fmt: skip
            status = 1
            with (
                open(folder / f"{name}.{own_rank}.txt", "w") as said,
                contextlib.redirect_stdout(said),
                contextlib.redirect_stderr(said),
            ):
                try:
                    torch.save(function(folder), folder / f"{name}.{own_rank}.pt")
                    status = 0
                except BaseException:
                    traceback.print_exc()
            os._exit(status)
        children.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


def main(folder):
    torch.set_num_threads(1)
    signal.alarm(800)  # processes that wait for each other for ever end the tests
    print(two_processes(all_cases, folder, "cases"))
    print(two_processes(lambda folder: command(folder, "--batch-size", "1"), folder, "refused"))
    print(two_processes(one_fails, folder, "one"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
