"""The training loop of the course: AdamW on a one-cycle schedule, mixed precision, and runs that survive a kill."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from course_utils.checked_batches import CheckedBatches
from course_utils.checkpoint import (
    CheckpointError,
    check_parts,
    check_same_run,
    load_checkpoint,
    prepare_checkpoint,
)
from course_utils.checks import check_flags
from course_utils.distributed import SharedTraining, any_process, rank, wait_for_all, world_size
from course_utils.files import one_at_a_time
from course_utils.history import History
from course_utils.interrupt import DeferredInterrupt
from course_utils.moving_average import MovingAverage
from course_utils.optimisation import adamw, one_cycle, trainable_groups
from course_utils.progress import progress_bar
from course_utils.random_state import seed_everything
from course_utils.training_run import TrainingRun
from course_utils.training_settings import check_functions, check_steps, checked_settings


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
    the same number of threads, on CUDA after ``torch.use_deterministic_algorithms(True, warn_only=True)`` for losses
    without class weights (PyTorch calls its cross-entropy of pictures nondeterministic, for the sum in its value).

    Inside ``course_utils.distributed.process_group`` the processes share every batch, and the result is that of one
    process, to rounding; `evaluate` must then return the same numbers on each.

    Args:
        batches: has a length and yields pairs of tensors ``(x, y)``; ``batches.set_epoch(epoch)`` is called before
            each epoch, from 0, where there is such a method.
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
            without AVX-512, networks with wide 3×3 kernels need `course_utils.fast_convolution.use_fast_convolutions`
            with it, or train more slowly; with AVX-512 they gain from it too.
        compile: run the model's forward and backward pass through `torch.compile`, once for each shape of batch;
            `model` itself stays as it is.
        checkpoint: file that holds the whole state of the run, written after each epoch, and on Ctrl-C; the weights
            in it are ``torch.load(file, weights_only=True)["model"]``, without their average.
        checkpoint_every: write it every so many steps as well.
        resume: continue from `checkpoint` if it exists, and end where an uninterrupted run ends, bit for bit; a
            finished run returns at once. Settings, shapes and types must agree; data, losses and first weights are
            not compared, so give changed ones another file. The batches of a half-finished epoch are drawn again and
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
        ValueError: for an argument out of range, before anything is changed; during the run, for an empty batch or one
            of a type that the model cannot take, for masks that do not fit an `nn.CrossEntropyLoss`, if `loss_fn` does
            not give one number, or `evaluate` no dict of numbers with names of its own.
        RuntimeError: if `batches` yields more or fewer than its length says.
        OSError: if the checkpoint cannot be written, or another run on this machine is writing it.
        CheckpointError: if the checkpoint is damaged or belongs to a run with other settings.
        NonFiniteLossError: if the loss, or after an epoch a parameter, is infinite or nan; with the epoch, the step and
            the learning rate. No checkpoint holds such a state.
        KeyboardInterrupt: after Ctrl-C, once the running step, or `evaluate`, is finished and the checkpoint written; a
            second Ctrl-C does not wait.
    """
    groups = trainable_groups(model, lr)
    check_functions(loss_fn, evaluate)
    check_flags(channels_last=channels_last, compile=compile, resume=resume, progress=progress)
    check_steps(batches, checkpoint_every)
    if not isinstance(label, str):
        raise ValueError(f"label={label!r} is not text.")
    settings = checked_settings(
        model,
        groups,
        len(batches),
        epochs=epochs,
        weight_decay=weight_decay,
        pct_start=pct_start,
        grad_clip=grad_clip,
        ema=ema,
        amp=amp,
        channels_last=channels_last,
        compile=compile,
        seed=seed,
        recipe=recipe,
    )
    path = Path(checkpoint) if checkpoint is not None else None
    saved = _find_checkpoint(path, resume, settings, model)

    if channels_last:
        model.to(memory_format=torch.channels_last)
    optimizer = adamw(groups, settings["weight_decay"])
    total_steps = settings["epochs"] * len(batches)
    scheduler = one_cycle(optimizer, total_steps, pct_start)
    scaler = torch.amp.GradScaler(enabled=amp is torch.float16)
    average = None if ema is None else MovingAverage(model, settings["ema"])
    run = TrainingRun(model, batches, optimizer, scheduler, scaler, settings, path, average)
    if saved is None:
        seed_everything(settings["seed"])
    else:
        run.restore(saved)
    trainable = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    device = trainable[0].device
    shared = SharedTraining(model, loss_fn)
    checked = CheckedBatches(model, loss_fn, amp)
    # Without dynamic=False, a second picture size would get kernels for any size, which are slower.
    forward = torch.compile(shared.model, dynamic=False) if compile else shared.model
    autocast = {"device_type": device.type, "dtype": amp, "enabled": amp is not None}

    with (
        one_at_a_time(path, wait=False) if path is not None and rank() == 0 else contextlib.nullcontext(),
        _left_for_use(model, average),
        progress_bar(total=total_steps, initial=run.step, desc=label, unit="step", show=progress) as bar,
        DeferredInterrupt(world_size() > 1) as interrupt,
    ):
        while run.epoch < epochs:
            model.train()
            for x, y in _batches(run, interrupt, bar):
                checked.look_at(x, y)
                x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
                if channels_last and x.ndim == 4:
                    x = x.contiguous(memory_format=torch.channels_last)
                batch_size = len(x)
                x, y = shared.own_share(x, y)
                with torch.autocast(**autocast), shared.norms:
                    loss = shared.weighted(checked.loss(forward, x, y))
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
                metrics = evaluate(judged) if evaluate else {}
            run.end_epoch(metrics, bar)
            run.save(bar)
            if any_process(interrupt.asked):
                raise KeyboardInterrupt(run.how_to_continue())
    return run.history


def _batches(run: TrainingRun, interrupt: DeferredInterrupt, bar: tqdm) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch; where Ctrl-C ends the processes that load them, the run stops as after a step."""
    begun = run.step
    try:
        yield from run.remaining_batches()
    except (RuntimeError, OSError, EOFError) as error:
        if not interrupt.asked or world_size() > 1:
            raise
        if run.step > begun:  # else the loader may have drawn random numbers that no step has used
            run.save(bar)
        raise KeyboardInterrupt(run.how_to_continue()) from error


@contextlib.contextmanager
def _left_for_use(model: nn.Module, average: MovingAverage | None) -> Iterator[None]:
    """Leave `model` with the averaged weights, and in evaluation mode, however the training ends."""
    try:
        yield
    finally:
        model.eval()
        if average is not None:
            model.load_state_dict(average.module.state_dict())


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
