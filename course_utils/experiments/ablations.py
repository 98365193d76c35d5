"""Ablations of the hooked U-Net: variants that differ from one recipe in one part, trained alike and scored on val."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils.augment import Augment
from course_utils.camvid import Batches, CachedSplit
from course_utils.checks import check_sides
from course_utils.encoders import LITE0, create_encoder
from course_utils.experiments.convolve_apart import convolve_apart, convolve_mixed_halves
from course_utils.metrics import boundary_error
from course_utils.modes import evaluation_mode
from course_utils.optimisation import adamw, trainable_groups
from course_utils.progress import progress_bar
from course_utils.segmentation import cross_entropy, predict, scores
from course_utils.stages import Stage, train_in_stages
from course_utils.unet import DynamicUnet

RECIPE = "recipe"
RECIPE_OPTIONS = {
    "upsample": "pixel_shuffle",
    "skip": "concat",
    "block": "double_conv",
    "norm_type": "batch",
    "last_cross": False,
}


@dataclass(frozen=True)
class Variant:
    """The recipe with one part changed.

    Attributes:
        label: what a reader sees.
        options: options of `DynamicUnet` that replace the recipe's.
        lr_factor: multiplies the decoder's learning rate.
        change: changes the network, in place, where no option does.
    """

    label: str
    options: Mapping[str, Any] = field(default_factory=dict)
    lr_factor: float = 1.0
    change: Callable[[DynamicUnet], None] | None = None


def _transposed(kernel_size: int) -> Variant:
    options = {"upsample": "transposed", "upsample_options": {"kernel_size": kernel_size}}
    return Variant(f"transposed, kernel {kernel_size}", options)


VARIANTS = {
    RECIPE: Variant("the recipe"),
    "transposed-k2": _transposed(2),
    "transposed-k3": _transposed(3),
    "transposed-k4": _transposed(4),
    "nearest": Variant("nearest + convolution", {"upsample": "nearest"}),
    "bilinear": Variant("bilinear + convolution", {"upsample": "bilinear"}),
    "shuffle-random": Variant("shuffle, random start", {"upsample_options": {"icnr": False}}),
    "shuffle-blur": Variant("shuffle + ICNR + blur", {"blur": True}),
    "skip-none": Variant("no skips", {"skip": "none"}),
    "skip-add": Variant("skips added", {"skip": "add"}),
    "convolve-apart": Variant("convolved, then joined", change=convolve_apart),
    "mixed-halves": Variant("halves see both paths", change=convolve_mixed_halves),
    "resblock": Variant("ResBlock, not two convs", {"block": "res"}),
    "norm-none": Variant("no norm in the decoder", {"norm_type": None}),
    "norm-none-slow": Variant("no norm, rate / 5", {"norm_type": None}, lr_factor=0.2),
    "last-cross": Variant("last_cross: picture last", {"last_cross": True}),
    "self-attention": Variant("self-attention", {"self_attention": True}),
    "unshuffle": Variant("last_cross, unshuffled", {"last_cross": True, "tail": "unshuffle"}),
    "bottleneck": Variant("unshuffled, bottlenecks", {"last_cross": True, "tail": "unshuffle", "block": "bottleneck"}),
}


@dataclass(frozen=True)
class Budget:
    """What every variant is given: the same pictures, steps and learning rates.

    Attributes:
        size: ``(H, W)`` of the pictures.
        frozen_epochs: first, with the encoder frozen.
        epochs: then, with everything trained.
        lr: highest learning rates of encoder and decoder.
    """

    size: tuple[int, int] = (72, 96)
    frozen_epochs: int = 1
    epochs: int = 4
    batch_size: int = 8
    lr: tuple[float, float] = (5e-4, 5e-3)
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        check_sides(size=self.size)
        if min(self.size) < 32:
            raise ValueError(f"size={self.size} is too small: both sides need 32 pixels.")
        if min(self.frozen_epochs, self.epochs) < 0 or self.frozen_epochs + self.epochs == 0:
            raise ValueError(f"frozen_epochs={self.frozen_epochs} and epochs={self.epochs} are no amount of training.")
        if self.batch_size < 2:
            raise ValueError(f"batch_size={self.batch_size} is too small: batch norm needs at least 2 pictures.")
        if len(self.lr) != 2 or not all(0 < rate < math.inf for rate in self.lr):
            raise ValueError(f"lr={self.lr} is not two positive learning rates, of encoder and decoder.")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay={self.weight_decay} is not a number of at least 0.")

    def stages(self, lr_factor: float = 1.0) -> list[Stage]:
        """The calls of `fit` that spend it."""
        lr = (self.lr[0], self.lr[1] * lr_factor)
        return [
            Stage("encoder frozen", self.size, self.frozen_epochs, lr, frozen=True),
            Stage("everything", self.size, self.epochs, lr),
        ]


def build_variant(
    variant: Variant, n_classes: int, size: tuple[int, int], *, encoder: str = LITE0, pretrained: bool = True, seed: int
) -> DynamicUnet:
    """The network of `variant`, which starts from the recipe's weights of this seed wherever it has the same layer.

    So two variants of one seed differ by the part that was changed and by chance in that part alone. A variant with
    another upsampler keeps the start of its own, which is what it is about.
    """

    def make(options: Mapping[str, Any]) -> DynamicUnet:
        torch.manual_seed(seed)
        return DynamicUnet(create_encoder(encoder, pretrained), n_classes, size, **(RECIPE_OPTIONS | dict(options)))

    model = make(variant.options)
    if variant.options:
        own_upsamplers = bool({"upsample", "upsample_options"} & set(variant.options))
        start = make({}).state_dict()
        shared = {
            name: start[name]
            for name, value in model.state_dict().items()
            if name in start and start[name].shape == value.shape and not (own_upsamplers and _in_upsampler(name))
        }
        model.load_state_dict(shared, strict=False)
    if variant.change is not None:
        variant.change(model)
    return model


def _in_upsampler(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "final_up" or (parts[0] == "blocks" and parts[2] == "up")


@torch.no_grad()
def multiply_adds(model: DynamicUnet, size: tuple[int, int]) -> int:
    """Multiplications with addition (MACs) of convolutions and matrix products, for one picture of `size`."""
    device = next(model.parameters()).device
    with evaluation_mode(model), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *size, device=device))
    return counter.get_total_flops() // 2


def variant_facts(name: str, n_classes: int, size: tuple[int, int], encoder: str = LITE0) -> dict:
    """What follows from today's code alone: the options of a variant, its parameters and its MACs."""
    variant = VARIANTS[name]
    options = RECIPE_OPTIONS | dict(variant.options)
    with torch.device("meta"):  # shapes without numbers: nothing is drawn or computed
        model = DynamicUnet(create_encoder(encoder, pretrained=False), n_classes, size, **options)
        if variant.change is not None:
            variant.change(model)
            options = options | {"change": variant.change.__name__}
    return {
        "options": options,
        "lr_factor": variant.lr_factor,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "multiply_adds": multiply_adds(model, size),
    }


def check_boundaries(val: CachedSplit) -> None:
    """Refuse, before any training, a split in which no two classes touch: its `boundary_error` would be nan."""
    if boundary_error(val.masks, val.masks, (1,), val.void)[0].isnan():
        height, width = val.masks.shape[1:]
        raise ValueError(
            f"no two classes touch in val at {height} × {width} pixels, so there are no errors at boundaries to count; "
            "take larger pictures, or another data set."
        )


def train_and_score(
    model: DynamicUnet,
    variant: Variant,
    budget: Budget,
    load: Callable[[str, tuple[int, int]], CachedSplit],
    seed: int,
) -> dict[str, float]:
    """Train `model` on the budget and score its last epoch on val; order and augmentation follow from `seed` alone.

    Args:
        load: ``load(split, size)`` gives a cached split on the model's device; only train and val are read.

    Returns:
        ``accuracy`` and ``mean_iou``, pooled; ``boundary_error``, the share of wrong pixels among those that touch
        another class; ``train_loss`` of the last epoch.

    Raises:
        ValueError: if no two classes touch in val.
    """
    train, val = load("train", budget.size), load("val", budget.size)
    check_boundaries(val)
    rows = train_in_stages(
        model,
        budget.stages(variant.lr_factor),
        load,
        Augment(degrees=0.0, zoom=(1.0, 1.2), brightness=0.1, contrast=0.1, void=train.void),
        batch_size=budget.batch_size,
        seed=seed,
        weight_decay=budget.weight_decay,
        score=False,
    )
    return {**score(model, val, 2 * budget.batch_size), "train_loss": rows[-1]["train_loss"]}


def score(model: nn.Module, val: CachedSplit, batch_size: int) -> dict[str, float]:
    """What a record of ablations holds of a run: accuracy, mean IoU, share of wrong pixels on boundaries."""
    prediction = predict(model, Batches(val, batch_size))
    at_boundaries = boundary_error(prediction, val.masks, (1,), val.void)[0].item()
    return {**scores(prediction, val), "boundary_error": at_boundaries}


def time_steps(
    models: Mapping[str, DynamicUnet], batch: tuple[Tensor, Tensor], void: int, steps: int
) -> dict[str, float]:
    """Median seconds of a training step of each model, on one batch.

    On a CPU these are seconds of processor time, all threads together, which leave out what other programs take. The
    models take turns, so that whatever slows the machine for a while slows all of them alike. The first step of each
    is not counted.
    """
    images, masks = batch
    images = images.contiguous(memory_format=torch.channels_last)
    optimizers, seconds = {}, {name: [] for name in models}
    for name, model in models.items():
        model.train().to(memory_format=torch.channels_last)
        optimizers[name] = adamw(trainable_groups(model, 1e-6), weight_decay=0.0)
    loss_fn = cross_entropy(void)
    with progress_bar(total=(steps + 1) * len(models), desc="timing", unit="step") as bar:
        for _ in range(steps + 1):
            for name, model in models.items():
                start = _now(images.device)
                loss = loss_fn(model(images), masks)
                optimizers[name].zero_grad()
                loss.backward()
                optimizers[name].step()
                seconds[name].append(_now(images.device) - start)
                bar.update()
    return {name: median(times[1:]) for name, times in seconds.items()}


def _now(device: torch.device) -> float:
    if device.type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize(device)
    return time.perf_counter()
