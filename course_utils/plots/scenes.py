"""Photographs and their classes: overlays, panels of truth, prediction and errors, contact sheets, a legend."""

import colorsys
from collections.abc import Iterable, Sequence

import matplotlib.patheffects as patheffects
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from course_utils.camvid import void_code
from course_utils.classes import CLASS_COLOURS, CLASS_NAMES
from course_utils.metrics import boundary_distance
from course_utils.plots.figures import SMALL_SIZE, TEXT_SIZE, TITLE_SIZE, NotebookFigure

Picture = Tensor | np.ndarray

WRONG = (190, 70, 220)
"""A bright violet, which no class has: of wrong pixels."""

_MIN_LABELLED_DISTANCE = 6


def class_colours(codes: Sequence[str] = CLASS_NAMES) -> np.ndarray:
    """RGB of each class, ``(C, 3)`` uint8; classes outside of CamVid's twelve get hues spread round the circle."""
    known = dict(zip(CLASS_NAMES, CLASS_COLOURS, strict=True))
    unknown = [name for name in codes if name not in known]
    for i, name in enumerate(unknown):
        rgb = colorsys.hsv_to_rgb(i / len(unknown), 0.9, (0.95, 0.7, 0.45)[i % 3])
        known[name] = tuple(round(255 * part) for part in rgb)
    return np.array([known[name] for name in codes], dtype=np.uint8)


def to_rgb(image: Picture) -> np.ndarray:
    """Any image as ``(H, W, 3)`` uint8.

    Raises:
        ValueError: if it is not a colour picture of uint8 or of floats from 0 to 1.
    """
    array = torch.as_tensor(image).detach().cpu()
    if array.ndim == 3 and array.shape[0] == 3:
        array = array.permute(1, 2, 0)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"an image of shape {tuple(array.shape)} is neither (3, H, W) nor (H, W, 3).")
    if array.is_floating_point():
        if array.min() < -1e-3 or array.max() > 1 + 1e-3:
            raise ValueError(
                f"a float image from {array.min():.2f} to {array.max():.2f} is not within 0 to 1: denormalise it."
            )
        array = (array.clamp(0, 1) * 255).round()
    return array.to(torch.uint8).numpy()


def to_codes(mask: Picture) -> np.ndarray:
    """Any mask as ``(H, W)`` array of class indices."""
    return torch.as_tensor(mask).detach().cpu().long().numpy()


def overlay(image: Picture, mask: Picture, alpha: float = 0.6, codes: Sequence[str] = CLASS_NAMES) -> np.ndarray:
    """Image with its classes laid over it, ``(H, W, 3)`` uint8; void stays as it is.

    Args:
        alpha: opacity of the colours, from 0 (the image alone) to 1 (the classes alone).
    """
    rgb, labels = to_rgb(image), to_codes(mask)
    mixed = class_colours(codes)[labels].astype(np.float32)
    mixed -= rgb  # in place: of a photograph of 50 million pixels each copy takes 600 MB
    mixed *= alpha
    mixed += rgb
    drawn = mixed.round(out=mixed).astype(np.uint8)
    void = labels == void_code(tuple(codes))
    drawn[void] = rgb[void]
    return drawn


def show_segmentation(
    image: Picture,
    mask: Picture,
    prediction: Picture | None = None,
    *,
    alpha: float = 0.75,
    codes: Sequence[str] = CLASS_NAMES,
    title: str = "",
) -> Figure:
    """One picture beside its truth and, if given, beside what was predicted and which pixels are wrong.

    Large regions carry their class's name; a legend below names all classes that occur.
    """
    labels = to_codes(mask)
    void = void_code(tuple(codes))
    panels = [
        ("picture", to_rgb(image), None),
        ("truth (void uncoloured)", overlay(image, mask, alpha, codes), labels),
    ]
    present = set(np.unique(labels).tolist())
    if prediction is not None:
        predicted = to_codes(prediction)
        present |= set(np.unique(predicted).tolist())
        wrong = ((predicted != labels) & (labels != void)).sum() / max((labels != void).sum(), 1)
        panels.append(("prediction", overlay(image, predicted, alpha, codes), predicted))
        panels.append((f"wrong pixels: {wrong:.1%}", error_picture(image, labels, predicted, void), None))
    columns = 2
    rows = len(panels) // 2
    width = 10.0
    height = rows * (width / columns * labels.shape[0] / labels.shape[1] + 0.25) + 0.9
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    for ax, (name, picture, regions) in zip(figure.subplots(rows, columns).flat, panels, strict=True):
        show_panel(ax, picture, name)
        if regions is not None:
            write_class_names(ax, regions, codes)
    if title:
        figure.suptitle(title, fontsize=TITLE_SIZE)
    legend_below(figure, present - {void}, codes, wrong=prediction is not None)
    return figure


def error_picture(image: Picture, mask: Picture, prediction: Picture, void: int) -> np.ndarray:
    """Grey image with the wrong pixels in violet, ``(H, W, 3)`` uint8; void pixels cannot be wrong."""
    labels, predicted = to_codes(mask), to_codes(prediction)
    grey = to_rgb(image).mean(axis=2, keepdims=True) * 0.5 + 100
    wrong = ((labels != predicted) & (labels != void))[..., None]
    return np.where(wrong, np.array(WRONG), grey).astype(np.uint8)


def show_scenes(
    images: Sequence[Picture],
    masks: Sequence[Picture],
    n: int = 6,
    codes: Sequence[str] = CLASS_NAMES,
    label: str = "picture",
    columns: int = 3,
) -> Figure:
    """Contact sheet: `n` pictures spread evenly over the set, each above its mask, titled `label` and its place."""
    n = min(n, len(images))
    picks = np.linspace(0, len(images) - 1, n).round().astype(int).tolist()
    height, width = to_codes(masks[0]).shape
    columns = min(n, columns)
    rows = 2 * -(-n // columns)
    panel = 10.0 / columns
    figure = NotebookFigure(figsize=(10.0, rows * panel * height / width + 0.13 * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for place, pick in enumerate(picks):
        row, column = 2 * (place // columns), place % columns
        show_panel(axes[row, column], to_rgb(images[pick]), f"{label} {pick}")
        show_panel(axes[row + 1, column], class_colours(codes)[to_codes(masks[pick])], "")
    present = sorted({code for pick in picks for code in np.unique(to_codes(masks[pick])).tolist()})
    legend_below(figure, present, codes)
    return figure


def class_legend(codes: Sequence[str] = CLASS_NAMES) -> Figure:
    """Colour, index and name of every class."""
    columns = 4
    rows = -(-len(codes) // columns)
    figure = NotebookFigure(figsize=(8, 0.34 * rows))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.axis("off")
    for code, (name, colour) in enumerate(zip(codes, class_colours(codes) / 255, strict=True)):
        x, y = (code // rows) / columns, 1 - (code % rows + 0.5) / rows
        ax.scatter(x + 0.02, y, s=170, marker="s", color=[colour], edgecolor="0.3")
        ax.text(x + 0.045, y, f"{code}  {name}", va="center", fontsize=TEXT_SIZE + 1)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    return figure


def show_panel(ax: Axes, picture: np.ndarray, title: str) -> None:
    """A picture ``(H, W, 3)`` below its title, without axes."""
    ax.imshow(picture, interpolation="nearest")
    ax.set_title(title, fontsize=TEXT_SIZE)
    ax.axis("off")


def write_class_names(ax: Axes, labels: np.ndarray, codes: Sequence[str]) -> None:
    """Write each class's name at the pixel that lies deepest inside its regions, if a name fits there."""
    far = max(labels.shape)
    padded = torch.nn.functional.pad(torch.from_numpy(labels).byte()[None], (1, 1, 1, 1), value=253)
    depth = boundary_distance(padded[0], far, ignore_index=255)[1:-1, 1:-1].numpy()
    for code in np.unique(labels).tolist():
        inside = np.where(labels == code, depth, 0)
        y, x = np.unravel_index(inside.argmax(), inside.shape)
        if inside[y, x] >= max(_MIN_LABELLED_DISTANCE, far / 40):
            # A name centred near the picture's edge would be cut off there.
            share = (x + 0.5) / labels.shape[1]
            anchor = "left" if share < 0.12 else "right" if share > 0.88 else "center"
            x = {"left": 0, "center": x, "right": labels.shape[1] - 1}[anchor]
            text = ax.text(x, y, codes[code], ha=anchor, va="center", fontsize=SMALL_SIZE, color="white", clip_on=True)
            text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="black")])


def legend_below(
    figure: Figure, present: Iterable[int], codes: Sequence[str] = CLASS_NAMES, *, wrong: bool = False
) -> None:
    """Names and colours of the classes that are `present`, below a figure of constrained layout.

    Args:
        wrong: also the colour of wrong pixels, which an `error_picture` shows.
    """
    colours = class_colours(codes) / 255
    handles = [Patch(facecolor=colours[code], edgecolor="0.3", label=codes[code]) for code in sorted(present)]
    if wrong:
        handles.append(Patch(facecolor=np.array(WRONG) / 255, edgecolor="0.3", label="wrong pixel"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 7), fontsize=TEXT_SIZE)
