"""Train in stages: small pictures before large ones, and new layers before pretrained ones."""

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from course_utils.augment import Augment
from course_utils.camvid import Batches, CachedSplit
from course_utils.segmentation import count_confusion, cross_entropy, scores_of
from course_utils.training import fit, freeze, unfreeze
from course_utils.unet import DynamicUnet


@dataclass(frozen=True)
class Stage:
    """One call of `fit`: at which picture size, for how many epochs, how fast, and whether the encoder is frozen.

    Attributes:
        size: ``(H, W)`` of the pictures.
        epochs: none leaves the stage out.
        lr: highest learning rate of encoder and decoder.
        frozen: keep the encoder's kernels (its batch norms go on learning).
        pct_start: share of the steps on the way up to the highest rate, as in `fit`.

    Raises:
        ValueError: if a learning rate is not positive.
    """

    name: str
    size: tuple[int, int]
    epochs: int
    lr: tuple[float, float]
    frozen: bool = False
    pct_start: float = 0.3

    def __post_init__(self) -> None:
        if not all(0 < rate < math.inf for rate in self.lr):
            raise ValueError(f"the stage {self.name!r} has lr={self.lr}; learning rates are positive, as 1e-3 is.")


def checkpoint_of(checkpoint: Path, number: int) -> Path:
    """The file of one stage of a run: each has its own, beside the name that was given."""
    return checkpoint.with_name(f"{checkpoint.stem}.stage{number}{checkpoint.suffix}")


def train_in_stages(
    model: DynamicUnet,
    stages: Sequence[Stage],
    load: Callable[[str, tuple[int, int]], CachedSplit],
    augment: Augment,
    *,
    batch_size: int = 8,
    seed: int = 0,
    checkpoint: Path | None = None,
    weight_decay: float = 1e-2,
    amp: torch.dtype | None = None,
    compile: bool = False,
    ema: float | None = None,
    loss_fn: nn.Module | None = None,
    recipe: str = "",
    score: bool = True,
) -> list[dict]:
    """Train `model` through all `stages`, scoring val after each epoch.

    Args:
        load: ``load(split, size)`` gives a cached split on the model's device.
        checkpoint: each stage saves to, and resumes from, a file of its own beside this name.
        ema: as in `fit`; each stage has an average of its own.
        loss_fn: as in `fit`; cross-entropy without void if not given.
        recipe: what else the run depends on; a checkpoint with another recipe is refused.
        score: False leaves the scoring out, where only the end matters.

    Returns:
        One row for each epoch: the stage's name and size, what `fit` recorded and, with `score`, ``val_accuracy``,
        ``val_mean_iou``, and the seconds that scoring took of the row's ``seconds``.
    """
    rows = []
    for number, stage in enumerate(stages):
        if not stage.epochs:
            continue
        train = load("train", stage.size)
        scoring = functools.partial(_score, Batches(load("val", stage.size), 2 * batch_size)) if score else None
        (freeze if stage.frozen else unfreeze)(model.encoder)
        history = fit(
            model,
            Batches(train, batch_size, augment=augment, shuffle=True, drop_last=True, seed=seed + 1000 * number),
            epochs=stage.epochs,
            lr=stage.lr,
            pct_start=stage.pct_start,
            loss_fn=loss_fn or cross_entropy(train.void),
            evaluate=scoring,
            weight_decay=weight_decay,
            channels_last=True,
            amp=amp,
            compile=compile,
            ema=ema,
            checkpoint=checkpoint and checkpoint_of(checkpoint, number),
            seed=seed + number,
            recipe=recipe,
            label=stage.name,
        )
        rows += [{"stage": stage.name, "size": list(stage.size), **row} for row in history.epochs]
    unfreeze(model.encoder)
    return rows


def _score(batches: Batches, model: DynamicUnet) -> dict[str, float]:
    """Scores of val, and the time that they took, so that training can be timed by itself."""
    start, val = time.perf_counter(), batches.split
    found = scores_of(count_confusion(model, batches, len(val.codes), val.void))
    return {**{f"val_{name}": value for name, value in found.items()}, "scoring_seconds": time.perf_counter() - start}
