"""The training loop of the course: AdamW on a one-cycle schedule, mixed precision, and runs that survive a kill."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from course_utils.checkpoint import (
    CheckpointError,
    check_parts,
    check_same_run,
    load_checkpoint,
    prepare_checkpoint,
    seed_everything,
)
from course_utils.checks import check_flags, check_whole, is_number, is_whole
from course_utils.distributed import SharedTraining, any_process, rank, wait_for_all, world_size
from course_utils.files import one_at_a_time
from course_utils.history import History
from course_utils.interrupt import DeferredInterrupt
from course_utils.moving_average import MovingAverage
from course_utils.optimisation import ParameterGroups, adamw, one_cycle, trainable_groups
from course_utils.progress import progress_bar
from course_utils.training_run import TrainingRun


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
    ema: float | None = None,
    amp: torch.dtype | None = None,
    channels_last: bool = False,
    compile: bool = False,
    checkpoint: Path | str | None = None,
    checkpoint_every: int | None = None,
    resume: bool = True,
    seed: int = 0,
    recipe: str = "",
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

    Inside ``course_utils.distributed.process_group`` the processes share every batch, and the result is that of one
    process, to rounding; `evaluate` must then return the same numbers on each.

    Args:
        batches: has a length and yields ``(x, y)``; ``batches.set_epoch(epoch)`` is called before each epoch, from
            0, where there is such a method.
        lr: highest learning rate, or one for each list in ``model.parameter_groups()``.
        loss_fn: ``loss_fn(model(x), y)`` gives a scalar, the mean over the batch.
        evaluate: called after each epoch with the model in evaluation mode, without gradients and in the same
            precision; its numbers go to the history.
        pct_start: share of the steps in which the learning rate rises.
        grad_clip: largest norm of the gradient over all parameters together.
        ema: evaluate, and leave in `model`, the moving average of weights and running statistics, of which each step
            keeps this share (0.99: a memory of a hundred steps); their shapes must stay. None takes the last weights.
        amp: ``torch.bfloat16``, or ``torch.float16`` on CUDA (with a loss scale), for mixed precision. On a CPU it
            pays with instructions for bfloat16; networks with depthwise convolutions need
            `course_utils.depthwise.use_float32_depthwise_gradients` for it.
        channels_last: put model and inputs into the memory format that tensor cores like; same maths. On a CPU
            without AVX-512, networks with wide 3×3 kernels need `course_utils.winograd.use_winograd` with it, or train
            more slowly; with AVX-512 they gain from it too.
        compile: run the model's forward and backward pass through `torch.compile`, once for each shape of batch;
            `model` itself stays as it is.
        checkpoint: file that holds the whole state of the run, written after each epoch, and on Ctrl-C.
        checkpoint_every: write it every so many steps as well.
        resume: continue from `checkpoint` if it exists, and end where an uninterrupted run ends, bit for bit; a
            finished run returns at once. Settings and shapes must agree; data, losses and first weights cannot be
            compared, so give changed ones another file. The batches of a half-finished epoch are drawn again and
            skipped: they must follow from the epoch and the global random generators (or the data loader's own),
            which random transforms in *persistent* loader workers do not. Nor does a loss with a generator of its own.
        seed: seeds the global generators of Python, NumPy and torch, when the run starts and not when it resumes.
        recipe: whatever else the run depends on (data, augmentation, initial weights), in words: a checkpoint with
            another recipe is refused.
        progress: show one bar over all steps.
        label: what stands before the bar.

    Returns:
        The `History`: a row for each epoch, and loss and learning rate of each step.

    Raises:
        ValueError: for an argument out of range, before anything is changed; during the run, if `loss_fn` does not
            give one number, or `evaluate` no dict of numbers with names of its own.
        RuntimeError: if `batches` yields more or fewer than its length says.
        OSError: if the checkpoint cannot be written, or another run on this machine is writing it.
        CheckpointError: if the checkpoint is damaged or belongs to a run with other settings.
        NonFiniteLossError: if the loss, or after an epoch a parameter, is infinite or nan; with the epoch, the step and
            the learning rate. No checkpoint holds such a state.
        KeyboardInterrupt: after Ctrl-C, once the running step, or `evaluate`, is finished and the checkpoint written; a
            second Ctrl-C does not wait.
    """
    groups = trainable_groups(model, lr)
    _check_functions(loss_fn, evaluate, weight_decay, ema)
    _check_arguments(groups, batches, epochs, pct_start, grad_clip, amp, checkpoint_every)
    _check_processes(batches, compile)
    check_flags(channels_last=channels_last, compile=compile, resume=resume, progress=progress)
    if not is_whole(seed) or not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed={seed!r} is not a whole number of 64 bits.")
    seed = index(seed)
    if not isinstance(recipe, str):
        raise ValueError(f"recipe={recipe!r} is not text.")
    settings = {
        "epochs": index(epochs),
        "batches per epoch": len(batches),
        "lr": [rate for _, rate in groups],
        "weight_decay": float(weight_decay),
        "pct_start": float(pct_start),
        "grad_clip": None if grad_clip is None else float(grad_clip),
        "ema": None if ema is None else float(ema),
        "amp": str(amp),
        "channels_last": bool(channels_last),
        "compile": bool(compile),
        "seed": seed,
        "recipe": str(recipe),
        "number of parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable parameters": [name for name, parameter in model.named_parameters() if parameter.requires_grad],
    }
    path = Path(checkpoint) if checkpoint is not None else None
    saved = _find_checkpoint(path, resume, settings, model)

    if channels_last:
        model.to(memory_format=torch.channels_last)
    optimizer = adamw(groups, settings["weight_decay"])
    scheduler = one_cycle(optimizer, settings["epochs"] * len(batches), pct_start)
    scaler = torch.amp.GradScaler(enabled=amp is torch.float16)
    average = None if ema is None else MovingAverage(model, ema)
    run = TrainingRun(model, batches, optimizer, scheduler, scaler, settings, path, average)
    if saved is None:
        seed_everything(seed)
    else:
        run.restore(saved)
    trainable = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    device = trainable[0].device
    shared = SharedTraining(model, loss_fn)
    # Without dynamic=False, a second picture size would get kernels for any size, which are slower.
    forward = torch.compile(shared.model, dynamic=False) if compile else shared.model
    autocast = {"device_type": device.type, "dtype": amp, "enabled": amp is not None}

    with (
        one_at_a_time(path, wait=False) if path is not None and rank() == 0 else contextlib.nullcontext(),
        _left_for_use(model, average),
        _progress_bar(run, progress, label) as bar,
        shared.norms,
        DeferredInterrupt(world_size() > 1) as interrupt,
    ):
        while run.epoch < epochs:
            model.train()
            for x, y in run.remaining_batches():
                x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
                if channels_last and x.ndim == 4:
                    x = x.contiguous(memory_format=torch.channels_last)
                batch_size = len(x)
                x, y = shared.own_share(x, y)
                with torch.autocast(**autocast):
                    loss = shared.weighted(loss_fn(forward(x), y))
                run.log(loss, batch_size, bar)
                optimizer.zero_grad()
                scaler.scale(loss).backward()
                if grad_clip is not None:
                    scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(trainable, grad_clip)
                scaler.step(optimizer)
                scaler.update()
                scheduler.step()
                if average is not None:
                    average.update(model)
                bar.update()
                stop = any_process(interrupt.asked)
                if stop or (checkpoint_every and run.step % checkpoint_every == 0):
                    run.save(bar)
                if stop:
                    raise KeyboardInterrupt(run.how_to_continue())
            run.check_finite(bar)
            judged = (model if average is None else average.module).eval()
            with torch.no_grad(), torch.autocast(**autocast):
                metrics = _numbers(evaluate(judged)) if evaluate else {}
            run.end_epoch(metrics, bar)
            run.save(bar)
            if any_process(interrupt.asked):
                raise KeyboardInterrupt(run.how_to_continue())
    return run.history


@contextlib.contextmanager
def _left_for_use(model: nn.Module, average: MovingAverage | None) -> Iterator[None]:
    """Leave `model` with the averaged weights, and in evaluation mode, however the training ends."""
    try:
        yield
    finally:
        model.eval()
        if average is not None:
            model.load_state_dict(average.module.state_dict())


def _numbers(metrics: object) -> dict[str, float]:
    """What `evaluate` returned, once it can be kept: plain names and numbers, without which no checkpoint is read."""
    if not isinstance(metrics, Mapping) or not all(isinstance(name, str) for name in metrics):
        raise ValueError(f"evaluate returned {metrics!r:.80}; return a dict of numbers by name.")
    try:
        return {str(name): float(value) for name, value in metrics.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"evaluate returned {metrics!r:.80}; return a dict of numbers by name.") from error


def _check_functions(loss_fn: object, evaluate: object, weight_decay: float, ema: float | None) -> None:
    if isinstance(loss_fn, type):
        raise ValueError(f"loss_fn={loss_fn.__name__} is a class; give one of it, {loss_fn.__name__}().")
    if not callable(loss_fn) or not (evaluate is None or callable(evaluate)):
        raise ValueError(f"loss_fn={loss_fn!r} and evaluate={evaluate!r} must be functions; evaluate may be None.")
    if not is_number(weight_decay) or not 0 <= weight_decay < float("inf"):
        raise ValueError(f"weight_decay={weight_decay!r} is not a number of at least 0.")
    if ema is not None and not (is_number(ema) and 0 <= ema < 1):
        raise ValueError(f"ema={ema!r} is not a share from 0 up to, but not including, 1; None switches averaging off.")


def _check_arguments(
    groups: ParameterGroups,
    batches: Iterable[tuple[Tensor, Tensor]],
    epochs: int,
    pct_start: float,
    grad_clip: float | None,
    amp: torch.dtype | None,
    checkpoint_every: int | None,
) -> None:
    check_whole(epochs=epochs)
    if checkpoint_every is not None:
        check_whole(checkpoint_every=checkpoint_every)
    try:
        length = len(batches)
    except TypeError as error:
        raise ValueError(
            "batches has no length, which the schedule needs; pass a list, Batches or a DataLoader."
        ) from error
    if length == 0:
        raise ValueError("batches is empty; check the split, the batch size and drop_last.")
    if not is_number(pct_start) or not 0 <= pct_start < 1:
        raise ValueError(f"pct_start={pct_start!r} is not a share of the steps from 0 up to, but not including, 1.")
    if grad_clip is not None and not (is_number(grad_clip) and grad_clip > 0):
        raise ValueError(f"grad_clip={grad_clip!r} is not positive; None switches clipping off.")
    if amp not in (None, torch.bfloat16, torch.float16):
        raise ValueError(f"amp={amp!r} is not None, torch.bfloat16 or torch.float16.")
    device = next(parameters[0].device for parameters, _ in groups if parameters)
    if amp is torch.float16 and device.type != "cuda":
        raise ValueError(f"amp=torch.float16 needs CUDA, and the model is on {device}; take torch.bfloat16.")


def _check_processes(batches: Iterable[tuple[Tensor, Tensor]], compile: bool) -> None:
    batch_size = getattr(batches, "batch_size", None)
    if batch_size is not None and batch_size < world_size():
        raise ValueError(
            f"batch_size={batch_size} has less than one picture for each of {world_size()} processes; raise it, or "
            "start fewer processes."
        )
    if compile and world_size() > 1:
        raise ValueError(f"compile=True is for one process, and there are {world_size()}; leave it out.")


def _find_checkpoint(
    path: Path | None, resume: bool, settings: dict[str, Any], model: nn.Module
) -> dict[str, Any] | None:
    """The checkpoint to continue from, if there is one."""
    if path is None:
        return None
    if rank() == 0:
        prepare_checkpoint(path)
    wait_for_all()
    if not (resume and any_process(path.exists())):
        return None
    if not path.exists():
        raise CheckpointError(f"process {rank()} does not see {path}; name a folder that all machines share.")
    saved = load_checkpoint(path)
    check_parts(path, saved)
    check_same_run(path, saved, settings, model)
    return saved


def _progress_bar(run: TrainingRun, progress: bool, label: str) -> tqdm:
    total = run.settings["epochs"] * run.settings["batches per epoch"]
    return progress_bar(total=total, initial=run.step, desc=label, unit="step", show=progress)
