"""The training loop of the course: AdamW on a one-cycle schedule, mixed precision, and runs that survive a kill."""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from tqdm.auto import tqdm

from course_utils.checkpoint import (
    check_same_run,
    load_checkpoint,
    prepare_checkpoint,
    rng_state,
    save_checkpoint,
    seed_everything,
    set_rng_state,
)
from course_utils.history import History
from course_utils.interrupt import DeferredInterrupt

# On an accelerator, looking at a number makes Python wait for all work queued so far: look at many losses at once.
STEPS_BETWEEN_LOOKS = 25


class NonFiniteLossError(FloatingPointError):
    """The loss, or a parameter, became infinite or not a number."""


def freeze(module: nn.Module, train_norm: bool = True) -> None:
    """Stop training the parameters of `module`, all but the scales and shifts of its batch norms (Howard et al. 2019).

    Running statistics of batch norms go on following the data, because `fit` puts the model into training mode.

    Args:
        train_norm: False freezes the batch norms' scales and shifts as well.
    """
    module.requires_grad_(False)
    if train_norm:
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.requires_grad_(True)


def unfreeze(module: nn.Module) -> None:
    """Train every parameter of `module` again."""
    module.requires_grad_(True)


def fit(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    epochs: int,
    lr: float | Sequence[float],
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    weight_decay: float = 1e-2,
    pct_start: float = 0.3,
    grad_clip: float | None = None,
    amp: torch.dtype | None = None,
    channels_last: bool = False,
    compile: bool = False,
    checkpoint: Path | str | None = None,
    checkpoint_every: int | None = None,
    resume: bool = True,
    seed: int = 0,
    progress: bool = True,
    label: str = "",
) -> History:
    """Train `model` in place on its device, and leave it in evaluation mode.

    The learning rate rises by cosine from ``lr / 25`` to `lr` and falls by cosine to almost nothing, while Adam's
    first beta falls from 0.95 to 0.85 and comes back (one-cycle policy, Smith 2018). The second beta is 0.99, a
    memory of a hundred steps, since runs here are short. Weight decay spares biases, norms and other parameters of
    fewer than two dimensions. Parameters with ``requires_grad=False`` are neither changed nor given optimiser state.

    The same seed, model and batches give the same result where the device's arithmetic repeats: always on a CPU with
    the same number of threads, on CUDA after ``torch.use_deterministic_algorithms(True)``.

    Args:
        batches: has a length and yields ``(x, y)``; ``batches.set_epoch(epoch)`` is called before each epoch, from
            0, where there is such a method.
        lr: highest learning rate, or one for each list in ``model.parameter_groups()``.
        loss_fn: ``loss_fn(model(x), y)`` gives a scalar, the mean over the batch.
        evaluate: called after each epoch with the model in evaluation mode, without gradients and in the same
            precision; its numbers go to the history.
        pct_start: share of the steps in which the learning rate rises.
        grad_clip: largest norm of the gradient over all parameters together.
        amp: ``torch.bfloat16``, or ``torch.float16`` on CUDA (with a loss scale), for mixed precision.
        channels_last: put model and inputs into the memory format that tensor cores and oneDNN like; same maths.
        compile: run the training step through `torch.compile`; `model` itself stays as it is.
        checkpoint: file that holds the whole state of the run, written after each epoch, and on Ctrl-C.
        checkpoint_every: write it every so many steps as well.
        resume: continue from `checkpoint` if it exists, and end where an uninterrupted run ends, bit for bit. The
            batches of a half-finished epoch are drawn again and skipped: they must depend on nothing but the epoch
            and the global random generators (or the data loader's own). Random transforms in *persistent* loader
            workers do not.
        seed: seeds the global generators of Python, NumPy and torch, when the run starts and not when it resumes.
        progress: show one bar over all steps.
        label: what stands before the bar.

    Raises:
        ValueError: for an argument out of range, before anything is changed.
        OSError: if the checkpoint cannot be written.
        CheckpointError: if the checkpoint is damaged or belongs to a run with other settings.
        NonFiniteLossError: with the epoch, the step and the learning rate; no checkpoint holds such a state.
        KeyboardInterrupt: after Ctrl-C, once the running step is finished and the checkpoint written; a second
            Ctrl-C does not wait.
    """
    groups = _parameter_groups(model, lr)
    _check_arguments(groups, batches, epochs, pct_start, grad_clip, amp, checkpoint_every)
    settings = {
        "epochs": epochs,
        "batches per epoch": len(batches),
        "lr": [rate for _, rate in groups],
        "weight_decay": weight_decay,
        "pct_start": pct_start,
        "grad_clip": grad_clip,
        "amp": str(amp),
        "channels_last": channels_last,
        "compile": compile,
        "seed": seed,
        "number of parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable parameters": [name for name, parameter in model.named_parameters() if parameter.requires_grad],
    }
    path = Path(checkpoint) if checkpoint is not None else None
    saved = _find_checkpoint(path, resume, settings, model)

    if channels_last:
        model.to(memory_format=torch.channels_last)
    optimizer = _adamw(groups, weight_decay)
    scheduler = _one_cycle(optimizer, epochs * len(batches), pct_start)
    run = _Run(model, batches, optimizer, scheduler, amp, epochs, settings, path)
    if saved is None:
        seed_everything(seed)
    else:
        run.restore(saved)
    trainable = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    device = trainable[0].device
    forward = torch.compile(model) if compile else model
    autocast = {"device_type": device.type, "dtype": amp, "enabled": amp is not None}

    with _progress_bar(run, progress, label) as bar, DeferredInterrupt() as interrupt:
        while run.epoch < epochs:
            model.train()
            for x, y in run.remaining_batches():
                x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
                if channels_last and x.ndim == 4:
                    x = x.contiguous(memory_format=torch.channels_last)
                with torch.autocast(**autocast):
                    loss = loss_fn(forward(x), y)
                run.log(loss, len(x), bar)
                optimizer.zero_grad()
                run.scaler.scale(loss).backward()
                if grad_clip is not None:
                    run.scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(trainable, grad_clip)
                run.scaler.step(optimizer)
                run.scaler.update()
                scheduler.step()
                bar.update()
                stop = interrupt.asked
                if stop or (checkpoint_every and run.step % checkpoint_every == 0):
                    run.save(bar)
                if stop:
                    raise KeyboardInterrupt(run.how_to_continue())
            model.eval()
            with torch.no_grad(), torch.autocast(**autocast):
                metrics = evaluate(model) if evaluate else {}
            run.end_epoch(metrics, bar)
            run.save(bar)
            if interrupt.asked:
                raise KeyboardInterrupt(run.how_to_continue())
    model.eval()
    return run.history


class _Run:
    """What a checkpoint holds: everything that changes while a model is trained."""

    def __init__(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Tensor, Tensor]],
        optimizer: torch.optim.Optimizer,
        scheduler: OneCycleLR,
        amp: torch.dtype | None,
        epochs: int,
        settings: dict[str, Any],
        path: Path | None,
    ) -> None:
        self.model, self.batches, self.optimizer, self.scheduler = model, batches, optimizer, scheduler
        self.epochs, self.settings, self.path = epochs, settings, path
        self.scaler = torch.amp.GradScaler("cuda", enabled=amp is torch.float16)
        self.history = History()
        self.epoch = 0  # epochs finished
        self.sizes: list[int] = []  # of the batches seen in this epoch
        self.unread: list[Tensor] = []  # losses that may still be on the way from the device
        self.started = time.perf_counter()  # this epoch, moved back by what it took before an interruption
        self.random_owners = (batches, getattr(batches, "sampler", None))
        self.epoch_rng: dict[str, Any] = {}
        self.rng: dict[str, Any] = {}

    @property
    def step(self) -> int:
        """Steps begun since the start of the run."""
        return len(self.history.step_lrs)

    def remaining_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of this epoch that the model has not seen."""
        if hasattr(self.batches, "set_epoch"):
            self.batches.set_epoch(self.epoch)
        if self.sizes:
            set_rng_state(self.epoch_rng, self.random_owners)
            iterator = iter(self.batches)
            for _ in itertools.islice(iterator, len(self.sizes)):
                pass
            set_rng_state(self.rng, self.random_owners)
        else:
            self.epoch_rng = rng_state(self.random_owners)
            iterator = iter(self.batches)
        expected = self.settings["batches per epoch"]
        for batch in iterator:
            if len(self.sizes) == expected:
                raise RuntimeError(f"batches yields more than the {expected} batches of its len(); correct its length.")
            yield batch
        if len(self.sizes) < expected:
            raise RuntimeError(
                f"batches yielded {len(self.sizes)} batches, and its len() is {expected}: correct its length, "
                "or pass an object that starts again at each iter(), not a generator."
            )

    def log(self, loss: Tensor, batch_size: int, bar: tqdm) -> None:
        """Note the loss of a step; look at it only now and then, so that an accelerator is not kept waiting."""
        if loss.ndim > 0:
            raise ValueError(
                f"loss_fn returned a tensor of shape {tuple(loss.shape)}; return one number, such as its mean."
            )
        self.unread.append(loss.detach())
        self.sizes.append(batch_size)
        self.history.step_lrs.append(self.scheduler.get_last_lr()[-1])
        if loss.device.type == "cpu" or len(self.unread) == STEPS_BETWEEN_LOOKS:
            self.read_losses(bar)

    def read_losses(self, bar: tqdm) -> None:
        if not self.unread:
            return
        for value in torch.stack(self.unread).tolist():
            self.history.step_losses.append(value)
            if not math.isfinite(value):
                raise NonFiniteLossError(self._not_finite(f"the loss became {value}", len(self.history.step_losses)))
        self.unread.clear()
        bar.set_postfix(self._postfix(), refresh=False)

    def _postfix(self) -> dict[str, str]:
        metrics = self.history.epochs[-1] if self.history.epochs else {}
        shown = {name: f"{value:.4g}" for name, value in metrics.items() if name not in _OWN_COLUMNS}
        return {"loss": f"{self.history.step_losses[-1]:.4g}", **shown}

    def _not_finite(self, what: str, step: int) -> str:
        epoch = (step - 1) // self.settings["batches per epoch"] + 1
        kept = self.path is not None and self.path.is_file()
        return (
            f"{what} at step {step} (epoch {epoch} of {self.epochs}, learning rate "
            f"{self.history.step_lrs[step - 1]:.3g}): try a lower lr, grad_clip=1.0, or amp=torch.bfloat16 in place of "
            "float16, and look for nan in the data" + (f"; {self.path} holds the last good state." if kept else ".")
        )

    def end_epoch(self, metrics: dict[str, float], bar: tqdm) -> None:
        """Close the epoch's row of the history."""
        self.read_losses(bar)
        clash = sorted(set(metrics) & set(_OWN_COLUMNS))
        if clash:
            raise ValueError(f"evaluate returned {clash[0]!r}, a column that fit writes itself; give it another name.")
        losses = self.history.step_losses[-len(self.sizes) :]
        row = {
            "epoch": self.epoch + 1,
            "train_loss": math.fsum(loss * size for loss, size in zip(losses, self.sizes, strict=True))
            / sum(self.sizes),
            "lr": self.history.step_lrs[-1],
            "seconds": time.perf_counter() - self.started,
        }
        self.history.epochs.append(row | {name: float(value) for name, value in metrics.items()})
        self.epoch, self.sizes, self.started = self.epoch + 1, [], time.perf_counter()
        bar.set_postfix(self._postfix(), refresh=False)

    def save(self, bar: tqdm) -> None:
        """Write the checkpoint, if there is to be one and the model is worth keeping."""
        if self.path is None:
            return
        self.read_losses(bar)
        parameters = [parameter.detach() for parameter in self.model.parameters() if parameter.requires_grad]
        if not torch.stack([parameter.isfinite().all() for parameter in parameters]).all():
            raise NonFiniteLossError(self._not_finite("a parameter became infinite or nan", self.step))
        payload = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": asdict(self.history),
            "epoch": self.epoch,
            "sizes": self.sizes,
            "seconds": time.perf_counter() - self.started,
            "epoch_rng": self.epoch_rng,
            "rng": rng_state(self.random_owners),
        }
        save_checkpoint(self.path, payload)

    def restore(self, saved: dict[str, Any]) -> None:
        """Go back to what `save` wrote."""
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.scaler.load_state_dict(saved["scaler"])
        self.history = History(**saved["history"])
        self.epoch, self.sizes = saved["epoch"], saved["sizes"]
        self.started = time.perf_counter() - saved["seconds"]
        self.epoch_rng, self.rng = saved["epoch_rng"], saved["rng"]
        set_rng_state(self.rng, self.random_owners)

    def how_to_continue(self) -> str:
        where = f"stopped after step {self.step}, with {self.epoch} of {self.epochs} epochs finished"
        if self.path is None:
            return f"{where}; the model keeps what it has learnt, and checkpoint=... would let the run continue."
        return f"{where}; call fit with the same arguments to continue from {self.path}."


_OWN_COLUMNS = ("epoch", "train_loss", "lr", "seconds")


def _parameter_groups(model: nn.Module, lr: float | Sequence[float]) -> list[tuple[list[nn.Parameter], float]]:
    """Trainable parameters with the highest learning rate of each group."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError("the model has no parameter to train; call unfreeze(model), or freeze less of it.")
    if not isinstance(lr, Sequence):
        groups, rates = [trainable], [lr]
    elif not hasattr(model, "parameter_groups"):
        raise ValueError(
            f"lr={lr!r} gives several rates, and {type(model).__name__} has no parameter_groups(); pass one number."
        )
    else:
        groups, rates = model.parameter_groups(), list(lr)
    if len(groups) != len(rates):
        raise ValueError(f"lr={lr!r} gives {len(rates)} rates for {len(groups)} parameter groups; give one for each.")
    if not all(rate > 0 and math.isfinite(rate) for rate in rates):
        raise ValueError(f"lr={lr!r} is not positive; a learning rate such as 1e-3 is.")
    known = {id(parameter) for group in groups for parameter in group}
    if any(id(parameter) not in known for parameter in trainable):
        raise ValueError(
            f"{type(model).__name__}.parameter_groups() leaves out a trainable parameter; freeze or add it."
        )
    return [([p for p in group if p.requires_grad], float(rate)) for group, rate in zip(groups, rates, strict=True)]


def _adamw(groups: list[tuple[list[nn.Parameter], float]], weight_decay: float) -> torch.optim.AdamW:
    options = []
    for parameters, rate in groups:
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        options.append({"params": matrices, "lr": rate, "weight_decay": weight_decay})
        options.append({"params": vectors, "lr": rate, "weight_decay": 0.0})
    options = [option for option in options if option["params"]]
    fused = options[0]["params"][0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(options, betas=(0.95, 0.99), fused=fused)


def _one_cycle(optimizer: torch.optim.Optimizer, total_steps: int, pct_start: float) -> OneCycleLR:
    if pct_start * total_steps == 1:
        # torch divides by the length of the rise less one step, which would be zero.
        pct_start *= 1 + 1e-9
    rates = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, rates, total_steps=total_steps, pct_start=float(pct_start))


def _check_arguments(
    groups: list[tuple[list[nn.Parameter], float]],
    batches: Iterable[tuple[Tensor, Tensor]],
    epochs: int,
    pct_start: float,
    grad_clip: float | None,
    amp: torch.dtype | None,
    checkpoint_every: int | None,
) -> None:
    if epochs < 1:
        raise ValueError(f"epochs={epochs} is not a positive number of passes over the data.")
    try:
        length = len(batches)
    except TypeError as error:
        raise ValueError(
            "batches has no length, which the schedule needs; pass a list, Batches or a DataLoader."
        ) from error
    if length == 0:
        raise ValueError("batches is empty; check the split, the batch size and drop_last.")
    if not 0 <= pct_start < 1:
        raise ValueError(f"pct_start={pct_start} is not a share of the steps from 0 up to, but not including, 1.")
    if grad_clip is not None and not grad_clip > 0:
        raise ValueError(f"grad_clip={grad_clip} is not positive; None switches clipping off.")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"checkpoint_every={checkpoint_every} is not a positive number of steps.")
    if amp not in (None, torch.bfloat16, torch.float16):
        raise ValueError(f"amp={amp!r} is not None, torch.bfloat16 or torch.float16.")
    device = next(parameters[0].device for parameters, _ in groups if parameters)
    if amp is torch.float16 and device.type != "cuda":
        raise ValueError(f"amp=torch.float16 needs CUDA, and the model is on {device}; take torch.bfloat16.")


def _find_checkpoint(
    path: Path | None, resume: bool, settings: dict[str, Any], model: nn.Module
) -> dict[str, Any] | None:
    """The checkpoint to continue from, if there is one."""
    if path is None:
        return None
    prepare_checkpoint(path)
    if not (resume and path.exists()):
        return None
    saved = load_checkpoint(path)
    check_same_run(path, saved, settings, model)
    return saved


def _progress_bar(run: _Run, progress: bool, label: str) -> tqdm:
    # An explicit disable=False would overrule the variable TQDM_DISABLE.
    options = {} if progress else {"disable": True}
    total = run.epochs * run.settings["batches per epoch"]
    return tqdm(total=total, initial=run.step, desc=label, unit="step", leave=False, **options)
