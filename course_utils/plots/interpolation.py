"""Interpolation drawn: where the centres of old and new pixels lie, and which frequencies a kernel lets through."""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from course_utils.checks import check_whole

_BLUE, _VERMILION, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "0.6"
_STYLES = (("-", _BLUE), ("--", _VERMILION), ("-.", _GREEN), (":", "black"))
_SIDE = 240
"""Aimed-at side of a picture on the screen, in pixels at 100 dots per inch."""


def centres(n: int, n_out: int, align_corners: bool = False) -> Tensor:
    """Where the `n_out` new pixels of a side lie, counted in the `n` old ones: 0 is the first old centre, ``(n_out,)``.

    Pixels are areas: ``(i + ½) · n / n_out - ½``. With `align_corners` the outermost centres coincide:
    ``i · (n - 1) / (n_out - 1)``.
    """
    i = torch.arange(n_out, dtype=torch.float64)
    return i * ((n - 1) / max(n_out - 1, 1)) if align_corners else (i + 0.5) * (n / n_out) - 0.5


def show_centres(n: int = 4, factor: int = 2) -> Figure:
    """One side of a grid and of its enlargement: the new centres in both conventions, with their coordinates."""
    check_whole(factor=factor)
    if n < 2:
        raise ValueError(f"n={n}: with less than two pixels there is nothing between the centres.")
    figure = Figure(figsize=(9.6, 3.5))
    ax = figure.add_axes((0.19, 0.02, 0.8, 0.96))
    rows = [
        ("old pixels", centres(n, n), 1.0, _GREY),
        ("half-pixel centres\n(align_corners=False)", centres(n, n * factor), 1 / factor, _BLUE),
        ("corners aligned\n(align_corners=True)", centres(n, n * factor, True), (n - 1) / (n * factor - 1), _VERMILION),
    ]
    for level, (label, places, width, colour) in enumerate(rows):
        y = -level * 1.25
        for place in places.tolist():
            ax.add_patch(Rectangle((place - width / 2, y), width, 0.55, facecolor="none", edgecolor=colour, lw=1.5))
            ax.text(place, y - 0.26, f"{place:.2f}".rstrip("0").rstrip("."), ha="center", fontsize=10, color="0.2")
        ax.plot(places, [y + 0.275] * len(places), "o", color=colour, markersize=7)
        ax.text(-0.72, y + 0.27, label, ha="right", va="center", fontsize=11)
    for old in range(n):
        ax.axvline(old, color=_GREY, lw=0.8, ls=":", zorder=0)
    ax.set(xlim=(-0.7, n - 0.3), ylim=(-3.0, 0.75))
    ax.set_axis_off()
    return figure


def response(kernel: Tensor, frequencies: Tensor) -> Tensor:
    """Gain of a kernel ``(K,)`` at `frequencies` in cycles per pixel: the amplitude that is left of a wave of 1."""
    places = torch.arange(len(kernel), dtype=torch.float64)
    waves = torch.exp(-2j * torch.pi * frequencies.double()[:, None] * places)
    return (waves @ kernel.to(torch.complex128)).abs()


def show_responses(kernels: Mapping[str, Tensor]) -> Figure:
    """What each kernel, applied after inserting zeros, lets through; the copies that the zeros made are shaded.

    The side is doubled, so ¼ cycle per new pixel is the finest that the old grid can hold.

    Args:
        kernels: by title, each ``(K,)`` with weights that add up to 2.

    Raises:
        ValueError: if there are more kernels than line styles.
    """
    if not 1 <= len(kernels) <= len(_STYLES):
        raise ValueError(f"{len(kernels)} kernels: draw 1 to {len(_STYLES)}, each with a line style of its own.")
    figure = Figure(figsize=(8.4, 3.7), layout="constrained")
    ax = figure.add_subplot()
    frequencies = torch.linspace(0, 0.5, 201)
    limit = 1 / 4
    ax.axvspan(limit, 0.5, color="0.92")
    ax.axhline(0, color="0.7", lw=0.8)
    ax.plot([0, limit, limit, 0.5], [1, 1, 0, 0], color="0.45", lw=1.2, label="keeps all, adds nothing")
    for (name, kernel), (dashes, colour) in zip(kernels.items(), _STYLES, strict=False):
        gain = response(kernel.detach(), frequencies) / 2
        ax.plot(frequencies, gain, dashes, color=colour, lw=2.2, label=name)
    for middle, what in ((limit / 2, "waves of the picture"), ((limit + 0.5) / 2, "copies made by the zeros")):
        ax.text(middle, 1.06, what, ha="center", fontsize=11)
    ax.set(xlim=(0, 0.5), ylim=(-0.03, 1.15))
    ax.set_xlabel("cycles per new pixel", fontsize=11)
    ax.set_ylabel("amplitude that is left", fontsize=11)
    ax.set_xticks(np.linspace(0, 0.5, 5), ("0", "⅛", "¼", "⅜", "½"), fontsize=11)
    ax.set_title("What each kernel lets through after zeros were inserted", fontsize=12)
    figure.legend(fontsize=10, loc="outside right center")
    return figure


def show_pictures(pictures: Mapping[str, Tensor], *, square: float | None = None, label: str = "") -> Figure:
    """Pictures side by side, each below its title, every pixel drawn as a square of whole screen pixels.

    Anything else would alias, and show patterns that are not in the picture.

    Args:
        pictures: by title, grey ``(H, W)`` or colour ``(3, H, W)``, floats from 0 (black) to 1 (white).
        square: sides of a dashed frame in the middle of each picture, as a share of the picture's; none if not given.
        label: written below that frame.

    Raises:
        ValueError: if there is no picture, or one is not of floats in one of these shapes; if `square` is no share.
    """
    if not pictures:
        raise ValueError("no picture to show.")
    if square is not None and not 0 < square <= 1:
        raise ValueError(f"square={square} is no share of a side, more than 0 and at most 1.")
    shown = {name: _array(name, picture) for name, picture in pictures.items()}
    zooms = {name: max(round(_SIDE / max(array.shape[:2])), 1) for name, array in shown.items()}
    gap, head = 16, 26
    sides = [zooms[name] * array.shape[1] for name, array in shown.items()]
    height = max(zooms[name] * array.shape[0] for name, array in shown.items()) + head
    width = sum(sides) + gap * len(sides)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    left = gap // 2
    for (name, array), side in zip(shown.items(), sides, strict=True):
        rows = zooms[name] * array.shape[0]
        ax = figure.add_axes((left / width, (height - head - rows) / height, side / width, rows / height))
        ax.imshow(array, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        ax.set_title(name, fontsize=11, parse_math=False)
        ax.set_axis_off()
        if square is not None:
            _mark_middle(ax, square, label)
        left += side + gap
    return figure


def _mark_middle(ax: Axes, square: float, label: str) -> None:
    corner, style = 0.5 - square / 2, {"transform": ax.transAxes, "fill": False}
    ax.add_patch(Rectangle((corner, corner), square, square, edgecolor="white", lw=3, **style))
    ax.add_patch(Rectangle((corner, corner), square, square, edgecolor=_VERMILION, lw=2, ls="--", **style))
    if label:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        ax.text(0.5, corner - 0.03, label, transform=ax.transAxes, ha="center", va="top", fontsize=10, bbox=box)


def _array(name: str, picture: Tensor) -> np.ndarray:
    grey, colour = picture.ndim == 2, picture.ndim == 3 and picture.shape[0] == 3
    if not (grey or colour) or not picture.is_floating_point():
        raise ValueError(f"{name}: {picture.dtype} of shape {tuple(picture.shape)}, not floats (H, W) or (3, H, W).")
    clear = picture.detach().cpu().float().clamp(0, 1)
    return (clear if grey else clear.permute(1, 2, 0)).numpy()
