"""The segmentation viewer: a picture with its classes over it, class by class, truth, prediction or errors."""

from collections.abc import Mapping, Sequence

import ipywidgets
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from course_utils.camvid import check_mask, void_code
from course_utils.classes import CLASS_NAMES
from course_utils.plots.figures import SMALL_SIZE, TEXT_SIZE
from course_utils.plots.rendering import NearestImage
from course_utils.plots.scenes import class_colours, to_codes, to_rgb
from course_utils.tensor_checks import describe
from course_utils.widgets.figure import FigureWidget

LAYERS = ("truth", "prediction", "errors")
CAPTIONS = {
    "truth": "Share of labelled pixels, truth",
    "prediction": "Share of labelled pixels,\nprediction",
    "errors": "Wrong pixels, in the colour of\nwhat was predicted",
}


def segmentation_view(
    image: np.ndarray,
    mask: np.ndarray,
    prediction: np.ndarray | None,
    layer: str,
    opacity: float,
    shown: np.ndarray,
    colours: np.ndarray,
    void: int,
) -> np.ndarray:
    """One picture with one layer over it, ``(H, W, 3)`` uint8.

    Args:
        image: ``(H, W, 3)`` uint8.
        mask, prediction: ``(H, W)`` class indices.
        layer: ``"truth"``, ``"prediction"``, or ``"errors"``: the wrong pixels, in the colour of what was predicted,
            over a grey picture. In ``"errors"`` the true class decides whether a pixel is shown.
        opacity: 0 to 1.
        shown: ``(C,)`` bool, the classes to colour.
        colours: ``(C, 3)`` uint8.
        void: index that is never coloured.
    """
    drawn = mask if layer == "truth" else prediction
    coloured = shown[mask] & (mask != void) & (prediction != mask) if layer == "errors" else shown[drawn]
    coloured &= drawn != void
    base = image.astype(np.float32)
    if layer == "errors":
        base = np.broadcast_to(base.mean(axis=2, keepdims=True), base.shape)
    blended = base + opacity * (colours[drawn] - base)
    return np.where(coloured[..., None], blended, base).round().astype(np.uint8)


def describe_view(
    title: str, mask: np.ndarray, prediction: np.ndarray | None, shown: np.ndarray, codes: Sequence[str], void: int
) -> str:
    """What the viewer shows, in numbers, after a `title`; void pixels are not counted."""
    labelled = mask != void
    total = max(int(labelled.sum()), 1)
    chosen = labelled & shown[mask]
    parts = []
    if prediction is not None:
        parts.append(f"{(labelled & (mask == prediction)).sum() / total:.1%} of the labelled pixels are right")
    classes = [i for i in range(len(codes)) if i != void]
    if not all(shown[i] for i in classes):
        on, off = ([codes[i] for i in classes if shown[i] == wanted] for wanted in (True, False))
        names = "All but " + ", ".join(off) if len(on) > len(off) else ", ".join(on) or "No class"
        text = f"{names}: {chosen.sum() / total:.1%} of the truth"
        if prediction is not None and chosen.any():
            text += f", of which {(chosen & (mask == prediction)).sum() / chosen.sum():.1%} right"
        parts.append(text)
    return ". ".join([title, *parts, "Void is not counted."])


class SegmentationViewer(FigureWidget):
    """Leaf through segmented pictures: choose picture, layer, opacity and classes; read the accuracy below.

    Args:
        images: ``(N, 3, H, W)`` uint8 or 0 to 1.
        masks: ``(N, H, W)`` class indices.
        predictions: ``(N, H, W)`` class indices, or several of them by the name of their network.
        codes: class names; the class called ``Void`` is neither coloured nor counted.

    Raises:
        ValueError: if images, masks and predictions are not equally many, or a mask or a prediction does not hold the
            code of a class for each pixel of its image.
    """

    def __init__(
        self,
        images: Sequence[Tensor],
        masks: Sequence[Tensor],
        predictions: Tensor | Mapping[str, Tensor] | None = None,
        codes: Sequence[str] = CLASS_NAMES,
    ) -> None:
        self.predictions = predictions if isinstance(predictions, Mapping) else {"prediction": predictions}
        if not self.predictions:
            raise ValueError("predictions names no network; leave it out to see the truth alone.")
        counts = [len(images), len(masks), *(len(p) for p in self.predictions.values() if p is not None)]
        if len(set(counts)) != 1 or counts[0] == 0:
            raise ValueError(f"images, masks and predictions must be equally many, at least one, and are {counts}.")
        for name, maps in {"masks": masks, **self.predictions}.items():
            for i in range(len(images) if maps is not None else 0):
                _check_map(f"{name}[{i}]", maps[i], to_rgb(images[i]).shape[:2], codes)
        self.images, self.masks, self.codes = images, masks, tuple(codes)
        self.void = void_code(self.codes)
        self.colours = class_colours(self.codes)
        self._build_figure()
        top = self._controls(has_predictions=predictions is not None)
        boxes = self._class_boxes()
        legend = [artist for kind in zip(*self._legend.values(), strict=True) for artist in kind]
        moving = [*legend, self._caption, self._artist]  # patches, names, shares: what changes most often comes last
        super().__init__(self._draw, {**top, **boxes}, css_class="segmentation-viewer", width=900, moving=moving)
        grid = ipywidgets.GridBox(
            list(boxes.values()),
            layout=ipywidgets.Layout(grid_template_columns="repeat(6, 150px)", max_width="100%"),
        )
        rows = [ipywidgets.HBox([top["picture"], top["opacity"]]), top["layer"]]
        rows += [top["network"]] if "network" in top else []
        self.arrange(*rows, ipywidgets.HBox(self.switches(boxes, "All classes", "No class")), grid)

    def _controls(self, has_predictions: bool) -> dict[str, ipywidgets.DOMWidget]:
        wide = ipywidgets.Layout(width="420px")
        layers = LAYERS if has_predictions else LAYERS[:1]
        controls = {
            "picture": ipywidgets.IntSlider(0, 0, len(self.images) - 1, description="Picture", layout=wide),
            "layer": ipywidgets.ToggleButtons(options=layers, description="Show"),
            "opacity": ipywidgets.IntSlider(70, 0, 100, 10, description="Opacity (%)", layout=wide),
        }
        if len(self.predictions) > 1:
            controls["network"] = ipywidgets.ToggleButtons(options=list(self.predictions), description="Network")
        return controls

    def _class_boxes(self) -> dict[str, ipywidgets.Checkbox]:
        layout = ipywidgets.Layout(width="145px")
        return {
            f"class_{i}": ipywidgets.Checkbox(True, description=name, indent=False, layout=layout)
            for i, name in enumerate(self.codes)
            if i != self.void
        }

    def _build_figure(self) -> None:
        height, width = to_codes(self.masks[0]).shape
        side = 6.9
        self._figure = Figure(figsize=(9.0, side * height / width))
        ax = self._figure.add_axes((0, 0, side / 9.0, 1))
        ax.axis("off")
        self._artist = NearestImage.on(ax)
        legend = self._figure.add_axes((side / 9.0, 0, 1 - side / 9.0, 1))
        rows = sum(code != self.void for code in range(len(self.codes)))
        legend.set(xlim=(0, 1), ylim=(rows + 1.2, 0))
        legend.axis("off")
        self._caption = legend.text(0.05, rows + 0.5, "", va="center", fontsize=SMALL_SIZE)
        self._legend = {}
        for row, (name, colour) in enumerate(zip(self.codes, self.colours / 255, strict=True)):
            if row != self.void:
                y = len(self._legend)
                patch = legend.add_patch(Rectangle((0.05, y + 0.2), 0.1, 0.6, facecolor=colour, edgecolor="0.3"))
                text = legend.text(0.18, y + 0.5, name, va="center", fontsize=TEXT_SIZE)
                share = legend.text(0.99, y + 0.5, "", va="center", ha="right", fontsize=TEXT_SIZE)
                self._legend[row] = patch, text, share

    def _draw(
        self, picture: int, layer: str, opacity: int, network: str | None = None, **classes: bool
    ) -> tuple[Figure, str]:
        shown = np.array([classes.get(f"class_{i}", False) for i in range(len(self.codes))])
        mask = to_codes(self.masks[picture])
        predictions = self.predictions[network or next(iter(self.predictions))]
        prediction = None if predictions is None else to_codes(predictions[picture])
        view = segmentation_view(
            to_rgb(self.images[picture]), mask, prediction, layer, opacity / 100, shown, self.colours, self.void
        )
        self._artist.set_data(view)
        self._caption.set_text(CAPTIONS[layer])
        drawn = mask if layer == "truth" else prediction
        labelled = max(int((mask != self.void).sum()), 1)
        for code, artists in self._legend.items():
            counted = (drawn == code) & (mask != self.void)
            if layer == "errors":
                counted &= shown[mask] & (mask != prediction)
            share = counted.sum() / labelled
            artists[-1].set_text(f"{share:.1%}")
            seen = share > 0 if layer == "errors" else shown[code]
            alpha = 1 if seen else 0.25
            if artists[0].get_alpha() != alpha:  # a patch that is set to what it was counts as changed
                for artist in artists:
                    artist.set_alpha(alpha)
        title = f"Picture {picture}" if network is None else f"Picture {picture}, {network}"
        return self._figure, describe_view(title, mask, prediction, shown, self.codes, self.void)


def _check_map(name: str, found: Tensor | np.ndarray, size: tuple[int, int], codes: Sequence[str]) -> None:
    found = torch.as_tensor(found)
    if found.shape != size or found.is_floating_point() or found.is_complex():
        raise ValueError(f"{name} is {describe(found)}, not class codes {size}; of logits take logits.argmax(1).")
    if found.numel() and not 0 <= int(found.min()) <= int(found.max()) < len(codes):
        check_mask(found, len(codes), name)
