"""The initialisation explorer: what a pixel shuffle starts from, and what becomes of it in training."""

import ipywidgets
from matplotlib.figure import Figure

from course_utils.experiments.initialisation_runs import SCALES, STARTS, WATCHED, Setting, State, face, watch_all
from course_utils.plots.initialisation import InitialisationFigure
from course_utils.upsampling import checkerboard_energy
from course_utils.widgets.figure import FigureWidget

CROP = (66, 16, 24)
"""Row, column and side of the part of the face that is shown close up."""


class InitialisationExplorer(FigureWidget):
    """Choose start, blur, scale and number of steps; see the enlarged face, a part of it, and its spectrum.

    The networks train when the explorer is made, which takes a few seconds; a control then only shows what is known.

    Args:
        runs: as `watch_all` gives them, which is called if they are not given.
    """

    def __init__(self, runs: dict[Setting, dict[int, State]] | None = None) -> None:
        self.runs = watch_all() if runs is None else runs
        self.truth = face()[0].mean(0)
        self._energies = {scale: checkerboard_energy(self.truth, scale) for scale in SCALES}
        self._figure = InitialisationFigure(self.truth, CROP)
        controls = {
            "start": ipywidgets.ToggleButtons(options=list(STARTS), description="Start"),
            "blur": ipywidgets.Checkbox(False, description="Blur", indent=False),
            "scale": ipywidgets.ToggleButtons(options=[(f"× {scale}", scale) for scale in SCALES], description="Scale"),
            "steps": ipywidgets.SelectionSlider(options=WATCHED, description="Steps"),
        }
        for name in ("start", "scale"):
            controls[name].style.button_width = "90px"
        super().__init__(
            self._draw, controls, css_class="initialisation-explorer", width=840, moving=self._figure.moving
        )

    def _draw(self, start: str, blur: bool, scale: int, steps: int) -> tuple[Figure, str]:
        state = self.runs[start, blur, scale][steps]
        when = f"after {steps} steps" if steps else "before training"
        title = f"{start} start, {'blur' if blur else 'no blur'}, × {scale}, {when}"
        sentence = (
            f"{title[0].upper()}{title[1:]}: checkerboard energy {state.energy:.3f}, the true picture's is "
            f"{self._energies[scale]:.3f}; PSNR {state.psnr:.1f} dB. Of a plain colour this network makes a "
            f"checkerboard of {state.plain:.1f} grey levels."
        )
        return self._figure.update(state.picture, title[0].upper() + title[1:], scale), sentence
