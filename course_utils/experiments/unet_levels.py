"""What happens at each level of a U-Net: shapes, activations and skips of one picture, with any skip switched off."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from course_utils.hooks import Hooks
from course_utils.modes import evaluation_mode
from course_utils.unet import DynamicUnet

Shape = Sequence[int]
"""``(channels, height, width)``."""


@dataclass(frozen=True)
class Level:
    """One stop on the way through a U-shaped network.

    Attributes:
        partner: index of the level at the other end of its skip, or None.
    """

    name: str
    channels: int
    height: int
    width: int
    partner: int | None = None

    @property
    def grid(self) -> str:
        return f"{self.height} × {self.width}"


def u_shape(down: Sequence[Shape], up: Sequence[Shape], tail: Sequence[tuple[str, Shape]] = ()) -> list[Level]:
    """The levels of a network that goes down through `down`, the last of them the bottom, and up through `up`.

    Level ``down[k]`` has a skip to the level of `up` that ends as high above the bottom; what `tail` adds has none.

    Raises:
        ValueError: if there is not one step up for every step down.
    """
    n = len(down) - 1
    if n < 1 or len(up) != n:
        raise ValueError(f"{len(down)} grids down and {len(up)} up make no U: a step up is needed for every step down.")
    levels = [Level(f"down {k + 1}", *shape, partner=2 * n - k) for k, shape in enumerate(down[:-1])]
    levels.append(Level("bottom", *down[-1]))
    levels += [Level(f"up {n - k}", *shape, partner=n - 1 - k) for k, shape in enumerate(up)]
    return levels + [Level(name, *shape) for name, shape in tail]


@dataclass(frozen=True)
class Trace:
    """One picture on its way through a U-Net.

    Attributes:
        levels: every stop, as `u_shape` orders them.
        activations: what each of them returned, ``(C, h, w)``; the last features after the ReLU with which they
            join the picture.
        skips: what arrived through the skip at each level of the way up, by level index, ``(C, h, w)``; zeros where
            it was switched off.
        output: ``(n_out, H, W)``.
    """

    levels: list[Level]
    activations: list[Tensor]
    skips: dict[int, Tensor]
    output: Tensor


@torch.no_grad()
def trace(model: DynamicUnet, picture: Tensor, off: Collection[int] = ()) -> Trace:
    """Run one picture ``(1, C, H, W)`` through `model` in evaluation mode and keep what every level returns.

    Args:
        off: numbers of skips, 1 the finest, that bring zeros instead of the encoder's features.

    Raises:
        ValueError: if the model has no skips, or none of that number, or one that brings the picture too, or there is
            more than one picture.
    """
    n = len(model.blocks)
    if len(picture) != 1:
        raise ValueError(f"a batch of {len(picture)}, shape {tuple(picture.shape)}, is not one picture (1, C, H, W).")
    if any(block.skip_norm is None for block in model.blocks):
        raise ValueError('this network was built with skip="none": it has no skips to look at.')
    if not set(off) <= set(range(1, n + 1)):
        raise ValueError(f"off={sorted(off)} names skips that are not there; this network has 1 to {n}.")
    if model.merged and 1 in off:
        raise ValueError('skip 1 brings the picture too in this network (tail="merged"), so it cannot be off alone.')
    down = [model.encoder[i] for i in model.skip_indices]
    tail = {"last up": model.final_up, "with input": model.last_block, "scores": model.head}
    tail = {name: module for name, module in tail.items() if not isinstance(module, nn.Identity | None)}
    # What is added is projected first, with a bias, which a skip that is off must not bring either.
    arriving = [block.skip_proj if block.skip == "add" else block.skip_norm for block in model.blocks]
    with (
        evaluation_mode(model),
        _silenced([arriving[n - number] for number in off]),
        Hooks([*down, model.middle, *model.blocks, *tail.values()]) as stages,
        Hooks(arriving) as skips,
    ):
        output = model(picture)[0]
        activations = [stored[0] for stored in stages.stored]
        if model.rectified_join:  # the ReLU comes after what the hook sees
            activations[n + 1 + n] = activations[n + 1 + n].relu()
        arrived = [stored[0] for stored in skips.stored]
    shapes = [tuple(activation.shape) for activation in activations]
    levels = u_shape(shapes[: n + 1], shapes[n + 1 : 2 * n + 1], list(zip(tail, shapes[2 * n + 1 :], strict=True)))
    levels[n] = replace(levels[n], name="middle")
    return Trace(levels, activations, {n + 1 + i: skip for i, skip in enumerate(arrived)}, output)


@contextmanager
def _silenced(modules: Sequence[nn.Module]) -> Iterator[None]:
    """While the block runs, these modules return zeros: a hook that returns something replaces the output."""
    handles = [m.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output)) for m in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
