"""The arithmetic explorer: every number of a transposed convolution under a slider, one step at a time."""

import ipywidgets
from ipywidgets import IntSlider, Layout
from matplotlib.figure import Figure

from course_utils.experiments.arithmetic_walk import WALKS, Geometry, take_step
from course_utils.plots.arithmetic import ArithmeticFigure
from course_utils.widgets.figure import FigureWidget

RANGES = {
    "n": ("Input side", 1, 4),
    "kernel_size": ("Kernel", 1, 4),
    "stride": ("Stride", 1, 3),
    "padding": ("Padding", 0, 4),
    "output_padding": ("Output padding", 0, 2),
    "dilation": ("Dilation", 1, 2),
}
"""Description, smallest and largest value of each slider that makes the geometry."""

MILLISECONDS_PER_STEP = 700


class ArithmeticExplorer(FigureWidget):
    """Set a transposed convolution and walk through it, by output pixels (gather) or by input pixels (scatter).

    Settings that make no layer are explained where the picture would be. It opens at the middle pixel of the setting
    given.

    Raises:
        ValueError: if a number of the setting given lies outside of its slider.
    """

    def __init__(self, geometry: Geometry | None = None) -> None:
        geometry = geometry or Geometry()
        for name, (_, low, high) in RANGES.items():
            if not low <= getattr(geometry, name) <= high:
                raise ValueError(f"{name}={getattr(geometry, name)} is not from {low} to {high}, the slider's range.")
        self._figure = ArithmeticFigure()
        wide = Layout(width="300px")
        style = {"description_width": "110px"}
        self._sliders = {
            name: IntSlider(getattr(geometry, name), low, high, description=description, layout=wide, style=style)
            for name, (description, low, high) in RANGES.items()
        }
        walk = ipywidgets.ToggleButtons(options=WALKS, description="Walk over")
        last = geometry.steps(WALKS[0])
        step = IntSlider((last + 1) // 2, 1, last, description="Step", layout=Layout(width="400px"))
        self.play = ipywidgets.Play(step.value, 1, last, interval=MILLISECONDS_PER_STEP, description="Play")
        self.play.show_repeat = False
        self.play.tooltip = "Play the walk"
        for control in (*self._sliders.values(), walk):
            control.observe(self._fit_steps, names="value")  # before FigureWidget's observers: the range comes first
        self._walk, self._step = walk, step
        super().__init__(
            self._draw, {**self._sliders, "walk": walk, "step": step}, css_class="arithmetic-explorer", width=960
        )
        ipywidgets.jslink((self.play, "value"), (step, "value"))
        ipywidgets.jslink((self.play, "max"), (step, "max"))
        grid = ipywidgets.GridBox(
            list(self._sliders.values()), layout=Layout(grid_template_columns="repeat(3, 310px)", max_width="100%")
        )
        walking = ipywidgets.HBox([walk, step, self.play], layout=Layout(align_items="flex-end", flex_flow="row wrap"))
        self.arrange(grid, walking)

    def _geometry(self) -> Geometry:
        return Geometry(**{name: slider.value for name, slider in self._sliders.items()})

    def _fit_steps(self, _change: object = None) -> None:
        try:
            self._step.max = self._geometry().steps(self._walk.value)
        except ValueError:
            self._step.max = 1

    def _draw(self, walk: str, step: int, **numbers: int) -> tuple[Figure, str]:
        try:
            geometry = Geometry(**numbers)
        except ValueError as problem:
            return self._figure.refuse(str(problem)), f"There is no such layer: {problem}"
        return self._figure.update(geometry, walk, step - 1), describe(geometry, walk, step)


def describe(geometry: Geometry, walk: str, step: int) -> str:
    """The explorer's picture in a sentence or two; `step` counts from 1."""
    n, side = geometry.n, geometry.side
    counts = sorted(set(geometry.counts.flat))
    title = take_step(geometry, walk, step - 1).title
    pixels = "output pixel" if walk == WALKS[0] else "input pixel"
    return (
        f"{n} × {n} becomes {side} × {side}; {pixels} {step} of {geometry.steps(walk)}: {title}. "
        f"Inputs per output pixel: {', '.join(map(str, counts))}. "
        f"{geometry.useful_fraction:.0%} of the gather view's products touch an input pixel."
    )
