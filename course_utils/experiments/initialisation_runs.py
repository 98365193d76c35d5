"""Small networks with a pixel shuffle, from every start, watched while they learn to enlarge a photograph."""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from course_utils.experiments.enlarger import Enlarger, SizePairs, one_thread, training
from course_utils.experiments.enlarger_scores import plain_checkerboard
from course_utils.experiments.photographs import PHOTOGRAPHS, patches, photograph
from course_utils.metrics import psnr
from course_utils.upsampling import checkerboard_energy

STARTS = {"random": "shuffle", "ICNR": "shuffle + ICNR"}
"""What the explorer calls them, and their scheme in the contest."""

SCALES = (2, 3, 4)
WATCHED = (0, 3, 10, 30, 60)
WIDTH, PATCH, N_PATCHES = 8, 36, 48
PLACE = (slice(110, 230), slice(195, 315))
"""A face, 120 × 120 pixels: 2, 3 and 4 divide its side."""

Setting = tuple[str, bool, int]
"""Start, blur, scale."""


@dataclass(frozen=True)
class State:
    """A network after some steps.

    Attributes:
        picture: the enlarged face in grey, ``(120, 120)``, on the scale from 0 to 1 where it is right.
        energy: its `checkerboard_energy`.
        plain: `plain_checkerboard`, in grey levels.
        psnr: in dB.
    """

    picture: Tensor
    energy: float
    plain: float
    psnr: float


def face() -> Tensor:
    """What the networks enlarge but never train on, ``(1, 3, 120, 120)`` from 0 to 1."""
    return photograph(*PHOTOGRAPHS["val"])[(slice(None), *PLACE)][None].float() / 255


def lesson() -> Tensor:
    """What the networks learn from: patches of other photographs, ``(N, 3, PATCH, PATCH)`` from 0 to 1."""
    return patches(PHOTOGRAPHS["train"], PATCH, N_PATCHES).float() / 255


def watch(start: str, blur: bool, scale: int, full: Tensor) -> dict[int, State]:
    """Train one network on the pictures `full` and look at it after each number of steps in `WATCHED`."""
    network = Enlarger(STARTS[start], WIDTH, scale=scale, blur=blur)
    truth = SizePairs.of(face(), scale)
    states = {0: _state(network, truth, scale)}
    for step in training(network, SizePairs.of(full, scale), steps=max(WATCHED)):
        if step in WATCHED:
            states[step] = _state(network, truth, scale)
    return states


def watch_all() -> dict[Setting, dict[int, State]]:
    """`watch` for every start, with and without blur, at every scale: a few seconds."""
    full = lesson()
    with one_thread():
        return {setting: watch(*setting, full) for setting in product(STARTS, (False, True), SCALES)}


@torch.no_grad()
def _state(network: Enlarger, truth: SizePairs, scale: int) -> State:
    enlarged = network(truth.small)
    grey = enlarged.mean(1)
    quality = psnr(enlarged.clamp(0, 1), truth.full)
    return State(grey[0], checkerboard_energy(grey, scale), plain_checkerboard(network, scale=scale), quality)
