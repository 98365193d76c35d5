"""Upload a photograph and see what a trained network makes of it."""

from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from course_utils.classes import CLASS_NAMES
from course_utils.plots.scenes import class_colours, overlay
from course_utils.widgets.figure import FigureWidget, uploaded_picture

COLUMNS = 6


class PhotographSegmenter(FigureWidget):
    """Your own photograph beside its classes: a file to choose, an opacity to set.

    Args:
        segment: takes an ``(H, W, 3)`` uint8 photograph and returns it scaled, ``(h, w, 3)``, with its codes
            ``(h, w)``; `course_utils.segmentation.segment_photograph` with a model and a size put in.
        example: ``(H, W, 3)`` uint8 photograph to show until a file is chosen.
        codes: class names.

    Raises:
        ValueError: if `segment` gives a code without a name.
    """

    def __init__(
        self,
        segment: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        example: np.ndarray,
        codes: Sequence[str] = CLASS_NAMES,
    ) -> None:
        self._segment, self._example, self._codes = segment, example, tuple(codes)
        self._shown: tuple | None = None
        self._panel: AxesImage | None = None
        controls = {
            "photograph": ipywidgets.FileUpload(
                accept="image/*", multiple=False, description="Your photograph", layout={"width": "200px"}
            ),
            "opacity": ipywidgets.IntSlider(70, 0, 100, 10, description="Opacity (%)"),
        }
        super().__init__(self._draw, controls, css_class="photograph-segmenter", width=900)

    def _draw(self, photograph: tuple, opacity: int) -> tuple[Figure, str]:
        if self._shown is None or self._shown[0] is not photograph:
            note = ""
            try:
                picture = uploaded_picture(photograph)
            except ValueError as error:
                picture, note = None, f"{error}. The example is shown instead. "
            self._shown = photograph, note, *self._segment(self._example if picture is None else picture)
            self._panel = None
        _, note, small, codes = self._shown
        if codes.max() >= len(self._codes):
            raise ValueError(
                f"segment gives code {codes.max()}, and codes has {len(self._codes)} names; name them all."
            )
        shares = np.bincount(codes.ravel(), minlength=len(self._codes)) / codes.size
        largest = [code for code in np.argsort(-shares) if shares[code] > 0]
        sentence = note + "Covers: " + ", ".join(f"{self._codes[code]} {shares[code]:.1%}" for code in largest) + "."
        coloured = overlay(small, codes, opacity / 100, self._codes)
        if self._panel is None:
            self._panel = self._new_panel(small, coloured, largest)
            self.moving = [self._panel]
        self._panel.set_data(coloured)
        return self._panel.figure, sentence

    def _new_panel(self, small: np.ndarray, coloured: np.ndarray, largest: list[int]) -> AxesImage:
        """The coloured picture in a new figure: a photograph may have another shape than the one before."""
        figure = Figure(figsize=(9, 4.5 * small.shape[0] / small.shape[1] + 1.1), layout="constrained")
        for ax, (title, picture) in zip(
            figure.subplots(1, 2), {"photograph": small, "prediction": coloured}.items(), strict=True
        ):
            panel = ax.imshow(picture)
            ax.set_title(title, fontsize=11)
            ax.axis("off")
        colours = class_colours(self._codes) / 255
        patches = [Patch(facecolor=colours[code], edgecolor="0.3", label=self._codes[code]) for code in largest]
        figure.legend(handles=patches, loc="outside lower center", ncols=COLUMNS, fontsize=10, frameon=False)
        return panel
