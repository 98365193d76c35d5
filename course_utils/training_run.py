"""The state of a training run: what changes from step to step, and how it goes to a checkpoint and comes back."""

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from course_utils.checkpoint import damaged, save_checkpoint
from course_utils.distributed import of_process_0, rank, sum_over_processes, wait_for_all, world_size
from course_utils.history import History
from course_utils.moving_average import MovingAverage
from course_utils.random_state import rng_state, set_rng_state
from course_utils.tensor_checks import describe

# On an accelerator, looking at a number makes Python wait for all work queued so far: look at many losses at once.
STEPS_BETWEEN_LOOKS = {"cpu": 1}
STEPS_BETWEEN_LOOKS_ELSEWHERE = 25
OWN_COLUMNS = ("epoch", "train_loss", "lr", "seconds")


class NonFiniteLossError(FloatingPointError):
    """The loss, or a parameter, became infinite or not a number."""


class TrainingRun:
    """Everything that a checkpoint of `course_utils.training.fit` holds.

    Args:
        settings: what a checkpoint must agree with to be continued; has ``"epochs"`` and ``"batches per epoch"``.
        path: the checkpoint, or None to keep none.
        average: the moving average of the model, if there is one.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Tensor, Tensor]],
        optimizer: torch.optim.Optimizer,
        scheduler: OneCycleLR,
        scaler: torch.amp.GradScaler,
        settings: dict[str, Any],
        path: Path | None,
        average: MovingAverage | None = None,
    ) -> None:
        self.model, self.batches = model, batches
        self.optimizer, self.scheduler, self.scaler = optimizer, scheduler, scaler
        self.settings, self.path, self.average = settings, path, average
        self.history = History()
        self.epoch = 0  # epochs finished
        self.sizes: list[int] = []  # of the batches seen in this epoch
        self.unread: list[Tensor] = []  # losses that may still be on their way from the device
        self.started = time.perf_counter()  # of this epoch, moved back by what it took before an interruption
        self.epoch_rng: dict[str, Any] = {}  # as the epoch began, to draw its batches again
        self.rng: dict[str, Any] = {}
        drawing = (batches, getattr(batches, "sampler", None), getattr(batches, "batch_sampler", None))
        self.random_owners = (*drawing, getattr(drawing[-1], "sampler", None))
        self.has_checkpoint = False

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
            self.epoch_rng = self._agree_on_random_numbers()
            iterator = iter(self.batches)
        expected = self.settings["batches per epoch"]
        for batch in iterator:
            if len(self.sizes) == expected:
                raise RuntimeError(f"batches yields more than the {expected} batches of its len(); correct its len().")
            yield _pair(batch)
        if len(self.sizes) < expected:
            raise RuntimeError(
                f"batches yielded {len(self.sizes)} batches, and its len() is {expected}: correct its len(), "
                "or pass an object that starts again at each iter(), which a generator does not."
            )

    def _agree_on_random_numbers(self) -> dict[str, Any]:
        """Set the generators on the CPU to those of process 0: dropout may have drawn more on one than on another."""
        own = rng_state(self.random_owners)
        state = own | of_process_0({name: own[name] for name in ("python", "numpy", "torch", "owners")})
        if world_size() > 1:
            set_rng_state(state, self.random_owners)
        return state

    def log(self, loss: Tensor, batch_size: int, bar: tqdm) -> None:
        """Note the loss of a step, before the step changes the model; look at it now if that costs no waiting."""
        if not isinstance(loss, Tensor) or not loss.requires_grad:
            raise ValueError(
                f"loss_fn returned {loss!r:.80}; return a number computed from the model's output by torch."
            )
        if loss.is_complex():
            raise ValueError(f"loss_fn returned {loss.dtype}; return a real number, such as the mean of its .abs().")
        if loss.ndim > 0:
            raise ValueError(f"loss_fn returned a tensor of shape {tuple(loss.shape)}; return its mean, one number.")
        self.unread.append(loss.detach())
        self.sizes.append(batch_size)
        self.history.step_lrs.append(self.scheduler.get_last_lr()[-1])
        if len(self.unread) >= STEPS_BETWEEN_LOOKS.get(loss.device.type, STEPS_BETWEEN_LOOKS_ELSEWHERE):
            self.read_losses(bar)

    def read_losses(self, bar: tqdm) -> None:
        """Move the noted losses to the history.

        Raises:
            NonFiniteLossError: at the first that is infinite or nan.
        """
        if not self.unread:
            return
        for value in (sum_over_processes(torch.stack(self.unread)) / world_size()).tolist():
            self.history.step_losses.append(value)
            if not math.isfinite(value):
                raise self._not_finite(f"the loss became {value}", len(self.history.step_losses))
        self.unread.clear()
        bar.set_postfix(self._postfix(), refresh=False)

    def _postfix(self) -> dict[str, str]:
        row = self.history.epochs[-1] if self.history.epochs else {}
        metrics = [name for name in row if name not in OWN_COLUMNS][:2]
        return {"loss": f"{self.history.step_losses[-1]:.4g}", **{name: f"{row[name]:.4g}" for name in metrics}}

    def _not_finite(self, what: str, step: int) -> NonFiniteLossError:
        epoch = (step - 1) // self.settings["batches per epoch"] + 1
        kept = f"; {self.path} holds the last good state" if self.has_checkpoint else ""
        return NonFiniteLossError(
            f"{what} at step {step} (epoch {epoch} of {self.settings['epochs']}, learning rate "
            f"{self.history.step_lrs[step - 1]:.3g}): lower lr, set grad_clip=1.0, take torch.bfloat16 in place of "
            f"float16, or look for nan in the data, or for a batch in which no pixel has a class{kept}."
        )

    def end_epoch(self, metrics: object, bar: tqdm) -> None:
        """Close the epoch's row of the history, with what `evaluate` returned.

        Raises:
            ValueError: if that is no dict of numbers by name, or has a column that is the run's own.
        """
        metrics = _numbers(metrics)
        self.read_losses(bar)
        clash = [name for name in OWN_COLUMNS if name in metrics]
        if clash:
            raise ValueError(f"evaluate returned {clash[0]!r}, a column that fit writes itself; give it another name.")
        losses = self.history.step_losses[-len(self.sizes) :]
        total = math.fsum(loss * size for loss, size in zip(losses, self.sizes, strict=True))
        row = {
            "epoch": self.epoch + 1,
            "train_loss": total / sum(self.sizes),
            "lr": self.history.step_lrs[-1],
            "seconds": time.perf_counter() - self.started,
        }
        self.history.epochs.append(row | metrics)
        self.epoch, self.sizes, self.started = self.epoch + 1, [], time.perf_counter()
        bar.set_postfix(self._postfix(), refresh=False)

    def check_finite(self, bar: tqdm) -> None:
        """Look at all losses so far, at parameters and at norms' statistics: a finite loss may hide their ruin.

        Raises:
            NonFiniteLossError: if one is infinite or nan.
        """
        self.read_losses(bar)
        parameters = [p.detach() for p in self.model.parameters() if p.requires_grad]
        norms = [m for m in self.model.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
        statistics = [each for m in norms for each in (m.running_mean, m.running_var) if each is not None]
        for what, tensors in (("a parameter", parameters), ("a norm's running statistic", statistics)):
            if tensors and not torch.stack([tensor.isfinite().all() for tensor in tensors]).all():
                raise self._not_finite(f"{what} became infinite or nan", self.step)

    def save(self, bar: tqdm) -> None:
        """Write the checkpoint, if there is to be one.

        Raises:
            NonFiniteLossError: rather than replace a good checkpoint by a useless one.
        """
        if self.path is None:
            return
        self.check_finite(bar)
        payload = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
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
        if rank() == 0:
            save_checkpoint(self.path, payload)
        wait_for_all()
        self.has_checkpoint = True

    def restore(self, saved: dict[str, Any]) -> None:
        """Go back to where `save` was called.

        Raises:
            CheckpointError: if a part is damaged; the model is the last to be loaded.
        """
        before = rng_state(self.random_owners)
        try:
            self.optimizer.load_state_dict(saved["optimizer"])
            self.scheduler.load_state_dict(saved["scheduler"])
            self.scaler.load_state_dict(saved["scaler"])
            self.history = History(**saved["history"])
            self.epoch, self.sizes = saved["epoch"], saved["sizes"]
            self.started = time.perf_counter() - saved["seconds"]
            self.epoch_rng, self.rng = saved["epoch_rng"], saved["rng"]
            if self.average is not None:
                self.average.load_state_dict(saved["average"])
            set_rng_state(self.rng, self.random_owners)
            self.model.load_state_dict(saved["model"])
        except torch.OutOfMemoryError:
            raise
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            set_rng_state(before, self.random_owners)
            raise damaged(self.path, f"{type(error).__name__}: {error}") from error
        self.has_checkpoint = True

    def how_to_continue(self) -> str:
        """What an interrupted user reads."""
        where = f"stopped after step {self.step}, with {self.epoch} of {self.settings['epochs']} epochs finished"
        if self.path is None:
            return f"{where}; the model keeps what it learnt, but only checkpoint=... lets a run continue."
        if not self.has_checkpoint:
            return f"{where}; call fit with the same arguments to begin again."
        return f"{where}; call fit with the same arguments to continue from {self.path}."


def _pair(batch: object) -> tuple[Tensor, Tensor]:
    """What `batches` yielded, once it is a pair of tensors."""
    if isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch):
        return batch
    found = describe(batch)
    if isinstance(batch, tuple | list):
        found = f"a {type(batch).__name__} of {len(batch)}"
        found += f" ({', '.join(map(describe, batch))})" if 1 <= len(batch) <= 3 else ""
    raise ValueError(f"batches yielded {found}; each batch is a pair of tensors (x, y).")


def _numbers(metrics: object) -> dict[str, float]:
    """What `evaluate` returned, once it can be kept: plain names and numbers, without which no checkpoint is read."""
    if not isinstance(metrics, Mapping) or not all(
        isinstance(name, str) and not isinstance(value, str) for name, value in metrics.items()
    ):
        raise ValueError(f"evaluate returned {metrics!r:.80}; return a dict of numbers by name.")
    try:
        return {str(name): float(value) for name, value in metrics.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"evaluate returned {metrics!r:.80}; return a dict of numbers by name.") from error
