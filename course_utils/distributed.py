"""Training on several processes, one for each GPU, on one machine or on several.

How to start it
---------------
``torchrun`` (``python -m torch.distributed.run``) starts the same command several times; the processes find each other
through what it puts into the environment. Two on the CPU of one machine, and eight GPUs on each of two machines::

    python -m torch.distributed.run --standalone --nproc-per-node 2 -m course_utils.train_camvid --device cpu
    python -m torch.distributed.run --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \
        -m course_utils.train_camvid --amp bf16

Your own program calls `course_utils.training.fit` inside ``with process_group():``, after it has put the model on
``own_device("auto")``. Without ``torchrun`` the same program is one process, and none of this happens.

What happens
------------
`fit` takes the batches that one process would take: ``--batch-size`` counts the pictures of all processes together, so
no learning rate changes. Every process makes the same batch, order and augmentation included, and trains on its own
share of it. `DistributedDataParallel` adds up the gradients. Process 0 alone writes files and shows the progress bar;
losses and confusion matrices are summed over processes, so that every process knows the same numbers.

The result is that of one process, to rounding, for three reasons that are not a matter of course:

- *The loss.* The mean over labelled pixels is not the mean of the processes' means, because shares differ in void. Each
  mean is weighted by its number of terms (`terms`), also where the last batch leaves a process with fewer pictures.
- *Batch norm.* Its mean and variance are taken over the shares of all processes (`SyncedBatchNorm`). With those of a
  small share alone training would be noisier, and another one.
- *Scores.* Correct pixels are counted together, not averaged (`course_utils.segmentation.count_confusion`).

Rounding grows: after some hundred steps two runs are as far apart as two runs of one process on other hardware.
Dropout draws another pattern than in one process, and on GPUs begins it again where a stopped run continues. Before
each epoch process 0's random generators are handed to all, so that a shuffled loader has one order; within an epoch,
dropout on CPUs lets transforms differ that draw from the global generators. The checkpoint goes to a folder that every
machine can read; a run may continue with another number of processes.
``compile=True`` is for one process.

When one process fails, or after Ctrl-C, one sentence says why, and torchrun ends the others; its own report follows.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from course_utils.devices import pick_device


def world_size() -> int:
    """How many processes train together; 1 outside of `process_group`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0; process 0 writes and prints."""
    return dist.get_rank() if world_size() > 1 else 0


@contextlib.contextmanager
def process_group() -> Iterator[Callable[[str], None]]:
    """Join the processes that torchrun started; where it started none, this process works alone.

    Yields:
        A function that prints a sentence to standard error, unless another process has already used it: all may fail
        for one reason, and when one fails alone, the others lose their connection to it.
    """
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield lambda sentence: print(sentence, file=sys.stderr)
        return
    store, own_rank, size = next(dist.rendezvous("env://"))
    # Numbers that Python itself looks at travel between CPUs, which lets GPUs work on meanwhile.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=own_rank, world_size=size)

    def complain(sentence: str) -> None:
        with contextlib.suppress(RuntimeError):  # torchrun itself is gone
            if store.add("complaints", 1) == 1:
                print(sentence, file=sys.stderr, flush=True)

    yield complain
    # Not after an error: it would wait for a process that is gone. And all is done: whom it misses now, nobody needs.
    with contextlib.suppress(RuntimeError):
        dist.destroy_process_group()


def own_device(name: str) -> str:
    """The name of the device that this process computes on: with several processes, each has a GPU of its own.

    Raises:
        ValueError: if processes would have to share a GPU, or to compute on Apple's, between which nothing is sent.
    """
    if world_size() > 1 and (pick_device().type if name == "auto" else name).startswith("mps"):
        raise ValueError(f"device {name!r} is Apple's GPU, on which several processes cannot train: say 'cpu'.")
    if world_size() == 1 or not (name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())):
        return name
    n_processes, n_gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if ":" in name or n_processes > n_gpus:
        raise ValueError(
            f"device {name!r} for {n_processes} processes on a machine with {n_gpus} GPUs: each needs its own; start "
            "at most one process for each GPU and say 'cuda', or train on 'cpu'."
        )
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return f"cuda:{os.environ['LOCAL_RANK']}"


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of `values` over all processes, of the same shape, on every process."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values


def of_process_0(value: Any) -> Any:
    """What `value` is on process 0, on every process; it is pickled for the journey."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def any_process(flag: bool) -> bool:
    """Whether `flag` is true on at least one process."""
    return bool(sum_over_processes(torch.tensor(int(flag))) > 0)


def wait_for_all() -> None:
    """Go on only when every process has come here."""
    any_process(False)


def terms(loss_fn: Callable[[Tensor, Tensor], Tensor], y: Tensor) -> Tensor:
    """Over how many terms `loss_fn` takes its mean: labelled pixels for a cross-entropy, pictures for all else.

    With class weights, what a cross-entropy divides by is the sum of the weights of its pixels. Where `y` holds
    probabilities of classes, each picture has as many terms, so pictures are counted.
    """
    if not isinstance(loss_fn, (nn.CrossEntropyLoss, nn.NLLLoss)) or y.is_floating_point():
        return torch.full((), len(y), device=y.device)  # not torch.tensor, for which a GPU would be waited for
    labelled = y != loss_fn.ignore_index
    if loss_fn.weight is None:
        return labelled.sum()
    return loss_fn.weight[y.masked_fill(~labelled, 0)].mul(labelled).sum()


class SharedTraining:
    """What `fit` does differently when it shares its work; alone, it changes nothing.

    Attributes:
        model: the model whose backward pass also averages the gradients over processes.
        norms: context for its forward passes.
    """

    def __init__(self, model: nn.Module, loss_fn: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.loss_fn, self.size, self.rank = loss_fn, world_size(), rank()
        self.model = DistributedDataParallel(model) if self.size > 1 else model
        self.norms = SyncedBatchNorm() if self.size > 1 else contextlib.nullcontext()
        self.weight: Tensor | None = None

    def own_share(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The pictures of a batch that this process trains on; one that counts for nothing where there are too few."""
        if self.size == 1:
            return x, y
        own_x, own_y = (batch.tensor_split(self.size)[self.rank] for batch in (x, y))
        # DDP takes the mean over processes, of which each brings a part of the whole mean.
        self.weight = terms(self.loss_fn, own_y).double() * self.size / terms(self.loss_fn, y)
        self.norms.counts = len(own_x) > 0
        return (own_x, own_y) if len(own_x) else (x[:1], y[:1])

    def weighted(self, loss: Tensor) -> Tensor:
        """`loss` of the own share, so that its mean over processes is the loss of the whole batch."""
        if self.weight is None:
            return loss
        # A share that is void throughout has nan for a mean, which counts for nothing.
        return torch.where(self.weight == 0, 0, loss * self.weight)


class SyncedBatchNorm(TorchFunctionMode):
    """Context in which every batch norm in training mode takes its mean and variance over all processes.

    torch's own `nn.SyncBatchNorm` works on GPUs only, and would have to be put into the model and taken out again.

    Attributes:
        counts: False while the pictures of this process count for nothing.
    """

    counts = True

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.batch_norm and kwargs.get("training", args[5] if len(args) > 5 else False):
            return self._batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def _batch_norm(self, x, running_mean, running_var, weight=None, bias=None, training=True, momentum=0.1, eps=1e-5):
        y, mean, variance, n = _SyncedNorm.apply(x, eps, self.counts)
        if running_mean is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                running_var.lerp_((variance * n / (n - 1)).to(running_var.dtype), momentum)
        shape = (1, -1, *[1] * (x.ndim - 2))
        if weight is not None:
            y = y * weight.view(shape)
        if bias is not None:
            y = y + bias.view(shape)
        return y.to(x.dtype)


class _SyncedNorm(torch.autograd.Function):
    """``(x - mean) / sqrt(variance + eps)`` for each channel, over the pixels of all processes."""

    @staticmethod
    def forward(ctx, x: Tensor, eps: float, counts: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        shape, dims = (1, -1, *[1] * (x.ndim - 2)), (0, *range(2, x.ndim))
        own_n = x.new_full((1,), x.numel() / x.shape[1])
        total = sum_over_processes(torch.cat([x.sum(dims), own_n]) * counts)
        n = total[-1]
        mean = total[:-1] / n
        centred = x - mean.view(shape)
        variance = sum_over_processes(centred.square().sum(dims) * counts) / n
        scale = (variance + eps).rsqrt().view(shape)
        y = centred * scale
        ctx.save_for_backward(y, scale, n)
        ctx.dims, ctx.shape, ctx.counts = dims, shape, counts
        ctx.mark_non_differentiable(mean, variance, n)
        return y, mean, variance, n

    @staticmethod
    def backward(ctx, grad: Tensor, *unused: None) -> tuple[Tensor, None, None]:
        y, scale, n = ctx.saved_tensors
        sums = sum_over_processes(torch.stack([grad.sum(ctx.dims), (grad * y).sum(ctx.dims)])) / n
        through_mean, through_variance = (part.view(ctx.shape) for part in sums)
        # Pixels that did not count did not move mean and variance either.
        return scale * (grad - ctx.counts * (through_mean + y * through_variance)), None, None
