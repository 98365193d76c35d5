"""Seven jobs for one network: what it gets, what it should give back, and what a picture is made of in the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks import check_choice, check_whole
from course_utils.experiments.oklab import oklab_to_rgb, rgb_to_oklab
from course_utils.experiments.photographs import PHOTOGRAPHS, patches
from course_utils.experiments.style_distance import check_painting
from course_utils.modes import evaluation_mode
from course_utils.restoration import (
    BrushNoise,
    CutOut,
    Degradation,
    Grayscale,
    Jpeg,
    LowerResolution,
    Overprint,
    Sketch,
    check_pictures,
)
from course_utils.restoration_pairs import Pairs
from course_utils.restorer import Restorer, make_restorer
from course_utils.training import fit

SIZE = 96
"""Side of the patches in pixels, for training and for scoring: so a printed figure or a hole has the same size."""

SHORT_SIDES = (128, 192, 288)
"""Photographs are reduced to these sizes first: the same patch then shows more or less of them."""

STEPS, BATCH_SIZE, LR = 150, 4, (1e-3, 3e-3)
COLOUR_SCALE = 10.0
"""Oklab's a and b are some hundredths; times ten they are as large as what a fresh network gives."""


def as_it_is(pictures: Tensor, seed: int = 0) -> Tensor:
    """No damage at all."""
    return pictures


def colours(pictures: Tensor) -> Tensor:
    """What a grey picture lacks: Oklab's a and b, ``(N, 2, H, W)``, ten times."""
    return COLOUR_SCALE * rgb_to_oklab(pictures)[:, 1:]


def without_colour(pictures: Tensor, seed: int = 0) -> Tensor:
    """The same brightness in grey, so that `with_colours` gives back exactly the picture there was."""
    brightness = rgb_to_oklab(pictures)[:, :1]
    return oklab_to_rgb(torch.cat([brightness, torch.zeros_like(pictures[:, 1:])], dim=1))


def with_colours(inputs: Tensor, outputs: Tensor) -> Tensor:
    """The brightness of `inputs` ``(N, 3, H, W)`` with the colours in `outputs`, as `colours` gives them."""
    return oklab_to_rgb(torch.cat([rgb_to_oklab(inputs)[:, :1], outputs / COLOUR_SCALE], dim=1))


def pencil(pictures: Tensor) -> Tensor:
    """The drawing of each picture in one channel, ``(N, 1, H, W)``."""
    return Sketch()(pictures)[:, :1]


def in_grey(inputs: Tensor, outputs: Tensor) -> Tensor:
    """One channel as a picture of three."""
    return outputs.expand(-1, 3, -1, -1)


def alone(inputs: Tensor, outputs: Tensor) -> Tensor:
    """The output is the picture."""
    return outputs


@dataclass(frozen=True)
class Task:
    """One job.

    Attributes:
        damage: makes the input ``(N, 3, H, W)`` from a picture and a seed.
        target: makes what the network shall give from the picture; None takes the picture itself.
        n_out: channels of the target.
        residual: the network says what to add to its input, and not the whole picture.
        picture: makes a picture ``(N, 3, H, W)`` from input and output.
        depth: layers of the encoder, as in `course_utils.restorer.make_restorer`; jobs that need to know what is to
            be seen take more.
        loss_fn: of output and target; the mean squared error is what PSNR measures.
        lr: highest learning rates of encoder and decoder.
        options: more options of `course_utils.restorer.make_restorer`.
    """

    damage: Degradation = as_it_is
    target: Callable[[Tensor], Tensor] | None = None
    n_out: int = 3
    residual: bool = True
    picture: Callable[[Tensor, Tensor], Tensor] = field(default=alone)
    depth: int | None = 6
    loss_fn: Callable[[Tensor, Tensor], Tensor] = F.mse_loss
    lr: Sequence[float] = LR
    options: Mapping[str, object] = field(default_factory=dict)


TASKS = {
    "super-resolution": Task(LowerResolution(2)),
    "jpeg": Task(Jpeg((10, 30))),
    "text": Task(Overprint(1, 0.15)),
    # Of several likely colours the squared error makes grey, their mean; the absolute error takes the middle one.
    "colour": Task(without_colour, target=colours, n_out=2, residual=False, picture=with_colours, loss_fn=F.l1_loss),
    # What a formula knows of a hole, that its border goes on, the network need not learn.
    "holes": Task(CutOut(3, (0.15, 0.25), fill="smooth"), options={"norm_type": "batch", "last_cross": True}),
    # A pencil line is one pixel wide: it needs the block at full size.
    "sketch": Task(target=pencil, n_out=1, residual=False, picture=in_grey, options={"last_cross": True}),
    # Its target lies in the loss, PaintingLoss. Strokes need the block at full size, chance that says
    # where they lie, and a frame: the zeros round a picture would tell the network its place, and it paints stripes.
    "monet": Task(BrushNoise(), lr=(4e-3, 1.2e-2), options={"last_cross": True, "blur": True, "frame": 16}),
}


def photograph_patches(split: str, n: int, seed: int = 0) -> Tensor:
    """Patches of the photographs of one split, at three scales by turns: ``(n, 3, 96, 96)`` uint8."""
    check_choice("split", split, tuple(PHOTOGRAPHS))
    check_whole(n=n)
    scales = SHORT_SIDES[:n]
    shares = [len(range(i, n, len(scales))) for i in range(len(scales))]
    pools = [
        patches(PHOTOGRAPHS[split], SIZE, share, short_side=side, seed=seed + side)
        for side, share in zip(scales, shares, strict=True)
    ]
    return torch.stack([pools[i % len(scales)][i // len(scales)] for i in range(n)])


def train_restorer(
    task: Task,
    pictures: Tensor,
    *,
    epochs: int = 1,
    batch_size: int = BATCH_SIZE,
    lr: Sequence[float] | None = None,
    loss_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
    seed: int = 0,
    model: Restorer | None = None,
    label: str = "",
    progress: bool = True,
) -> Restorer:
    """Train a `Restorer` for `task` on uint8 patches ``(N, 3, H, W)``, on their device; `fit` does the work.

    Args:
        lr: instead of the task's own.
        loss_fn: instead of the task's own, of output and target.
        model: one to train further, instead of a new one.

    Raises:
        ValueError: if the model gives another number of channels than the task's target has, or `make_restorer`,
            `Pairs` or `fit` refuses an argument.
    """
    if model is None:
        torch.manual_seed(seed)
        model = make_restorer(
            pictures.shape[-1], n_out=task.n_out, residual=task.residual, depth=task.depth, **task.options
        )
    pairs = Pairs(pictures, task.damage, batch_size, target=task.target, seed=seed)
    channels = 3 if task.target is None else task.target(pictures[:1].float() / 255).shape[1]
    if isinstance(model, Restorer) and model.n_out != channels:  # a loss would repeat one of the two, and train on that
        raise ValueError(
            f"the model gives {model.n_out} channels, and the task's target has {channels}: "
            f"Task(n_out={channels}) and make_restorer(n_out={channels}) fit."
        )
    fit(
        model.to(pictures.device),
        pairs,
        epochs=epochs,
        lr=task.lr if lr is None else lr,
        loss_fn=task.loss_fn if loss_fn is None else loss_fn,
        channels_last=True,
        seed=seed,
        label=label,
        progress=progress,
    )
    return model


@torch.no_grad()
def finish(task: Task, model: Restorer, inputs: Tensor) -> Tensor:
    """The pictures ``(N, 3, H, W)`` that `model` makes of damaged ones, from 0 to 1.

    Raises:
        ValueError: if `inputs` are no pictures, or the model gives another number of channels than the task needs.
    """
    check_pictures(inputs)
    with evaluation_mode(model):
        outputs = model(inputs)
    if outputs.shape[1] != task.n_out:
        raise ValueError(f"the model gives {outputs.shape[1]} channels, and the task makes a picture of {task.n_out}.")
    return task.picture(inputs, outputs).clamp(0, 1)


def wanted(task: Task, originals: Tensor) -> Tensor:
    """The pictures ``(N, 3, H, W)`` that a perfect network would make."""
    if task.target is None:
        return originals
    return task.picture(task.damage(originals, 0), task.target(originals))


def bicubic(pictures: Tensor, factor: int = 2) -> Tensor:
    """Reduced with antialiasing and enlarged bicubically: a smoothing that is blind to what is shown."""
    size = pictures.shape[-2:]
    whole = pictures.to(torch.promote_types(pictures.dtype, torch.float32))  # a CPU reduces nothing smaller
    small = F.interpolate(whole, scale_factor=1 / factor, mode="bilinear", antialias=True)
    return F.interpolate(small, size, mode="bicubic", align_corners=False).clamp(0, 1).to(pictures.dtype)


def baselines(name: str, inputs: Tensor, originals: Tensor, seed: int) -> dict[str, Tensor]:
    """What there is without a network, by name: the damaged picture, bicubic interpolation, or what the job suggests.

    Args:
        name: in `TASKS`.
        inputs: ``TASKS[name].damage(originals, seed)``.
    """
    check_choice("name", name, tuple(TASKS))
    found = {"nothing": inputs}
    if name == "super-resolution":
        found["bicubic"] = bicubic(originals)  # enlarges the same small picture
    elif name in ("jpeg", "text"):
        found["bicubic"] = bicubic(inputs)
    elif name == "holes":
        masks = hole_masks(originals, seed)
        found = {"nothing": torch.where(masks, 0.5, inputs), "smooth": inputs, "biharmonic": _biharmonic(inputs, masks)}
    elif name == "sketch":
        found["grey"] = Grayscale()(inputs)
    elif name == "monet":
        found["nothing"] = originals  # the strokes of noise are the painter's, not the photograph's
    return found


def one_colour(inputs: Tensor, pictures: Tensor) -> Tensor:
    """Grey `inputs` in the mean colour of other `pictures`, both ``(N, 3, H, W)``: a guess that looks at nothing."""
    check_pictures(inputs)
    check_pictures(pictures)
    if not len(pictures):
        raise ValueError("no picture has no mean colour: give at least one.")
    mean = colours(pictures).mean((0, 2, 3), keepdim=True)
    return with_colours(inputs, mean.expand(len(inputs), -1, *inputs.shape[2:])).clamp(0, 1)


def mean_colour(pictures: Tensor, painting: Tensor) -> Tensor:
    """`pictures` ``(N, 3, H, W)``, all shifted together to a painting's mean colour, as far as black and white allow.

    The painting is ``(3, H, W)``.
    """
    check_pictures(pictures)
    check_painting(painting)
    shift = painting.mean((1, 2)).view(1, 3, 1, 1) - pictures.mean((0, 2, 3), keepdim=True)
    return (pictures + shift).clamp(0, 1)


def hole_masks(pictures: Tensor, seed: int) -> Tensor:
    """Where the task "holes" has cut, ``(N, 1, H, W)`` bool."""
    return TASKS["holes"].damage.masks(len(pictures), *pictures.shape[-2:], seed, pictures.device)


def _biharmonic(inputs: Tensor, masks: Tensor) -> Tensor:
    from skimage.restoration import inpaint_biharmonic

    if not len(inputs):
        return inputs.clone()
    whole = inputs.to(torch.promote_types(inputs.dtype, torch.float32))  # numpy knows no bfloat16
    filled = [
        inpaint_biharmonic(picture.permute(1, 2, 0).cpu().numpy(), mask[0].cpu().numpy(), channel_axis=-1)
        for picture, mask in zip(whole, masks, strict=True)
    ]
    made = torch.stack([torch.from_numpy(picture) for picture in filled]).permute(0, 3, 1, 2)
    return made.to(inputs).clamp(0, 1)


def detail(pictures: Tensor, originals: Tensor) -> float:
    """How much fine detail there is, as a share of the original's: mean size of the Laplacian of the brightness.

    1 says that there is as much of it, not that it is right; 0 is a flat picture. It compares with no place, so
    it tells sharp from blurred where PSNR does not.

    Raises:
        ValueError: if the pictures are smaller than 3 × 3, or the originals are flat.
    """
    for batch in (pictures, originals):
        if not batch.numel() or min(batch.shape[-2:]) < 3:
            raise ValueError(f"pictures of shape {tuple(batch.shape)} have no detail: it takes 3 × 3 pixels.")
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], device=pictures.device, dtype=pictures.dtype)
    found, there = (F.conv2d(p.mean(1, keepdim=True), kernel[None, None]).abs().mean() for p in (pictures, originals))
    if there < 1e-6:  # rounding
        raise ValueError("the originals are flat: a share of their detail cannot be had.")
    return float(found / there)
