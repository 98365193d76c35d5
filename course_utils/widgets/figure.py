"""A picture with controls above it: the one way in which every widget of the course draws, speaks and fails.

A widget is a drawing function and some controls. The function keeps one matplotlib figure, changes its artists and
returns the figure with a sentence that says what is to be seen: it needs no front end, so it is tested like any other
function. `FigureWidget` turns the figure into a small PNG in an `ipywidgets.Image`, which is the fastest way to redraw
that needs no JavaScript of our own. Where there is no kernel (GitHub, print), the PNG alone is shown.
"""

import base64
import html
import io
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from course_utils.picture_files import opened, to_colour
from course_utils.plots.rendering import MovingParts, render_png

Draw = Callable[..., tuple[Figure, str]]

MOST_PIXELS = 60_000_000
"""A larger upload would take more memory to decode than a course may ask for."""

UNFIT_CONTROLS = (ipywidgets.Dropdown, ipywidgets.RadioButtons)
"""In these the arrow keys move to another cell of the notebook, and `x` on a closed `Dropdown` cuts the cell."""


class FigureWidget(ipywidgets.VBox):
    """Controls, a figure that follows them, and a sentence on what the figure shows.

    Args:
        draw: called with the value of every control by name; returns the figure, which it should keep and only
            update (a new figure each time costs half as much time again), and one sentence on what it shows.
        controls: by the name of the argument of `draw` that they set; each needs a `description`. Use sliders,
            `ToggleButtons`, `Checkbox`, `BoundedIntText`, `FileUpload`.
        css_class: CSS class of the whole widget, by which browser tests and style sheets find it.
        width: width of the picture on the page in CSS pixels; the figure is rendered at exactly this size.
        moving: all artists of the figure that ever change, if `draw` always returns the same figure: then the rest
            is drawn once (`course_utils.plots.rendering.MovingParts`). A `draw` that returns another figure sets the
            attribute of this name anew.

    Raises:
        TypeError: if a control cannot be worked by keyboard in JupyterLab.
        ValueError: if a control has no description.
        Exception: whatever `draw` raises; the sentence below the picture then says so too. An exception is never
            swallowed, neither here nor when a control moves.
    """

    def __init__(
        self,
        draw: Draw,
        controls: Mapping[str, ipywidgets.DOMWidget],
        *,
        css_class: str,
        width: int = 640,
        moving: Sequence[Artist] = (),
    ):
        for name, control in controls.items():
            _check_control(name, control)
        self.draw = draw
        self.controls = dict(controls)
        self.figure: Figure | None = None
        self.sentence = ""
        self._held = False
        self._drawn: dict[str, Any] | None = None
        self._width, self.moving = width, moving
        self._parts: MovingParts | None = None
        self._picture = ipywidgets.Image(format="png", width=width)
        self._picture.layout.align_self = "flex-start"  # a VBox stretches it otherwise
        self._picture.layout.max_width = "100%"
        self._label = ipywidgets.HTML()
        rows = ipywidgets.Layout(flex_flow="row wrap", align_items="flex-end")
        super().__init__([ipywidgets.Box(list(self.controls.values()), layout=rows), self._picture, self._label])
        self.add_class("figure-widget")
        self.add_class(css_class)
        for control in self.controls.values():
            control.observe(self._redraw, names="value")
        self._redraw()

    @property
    def values(self) -> dict[str, Any]:
        """The value of every control, by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def png(self) -> bytes:
        """The picture as it is shown now."""
        return self._picture.value

    def switches(self, boxes: Collection[str], on: str, off: str, width: str | None = None) -> list[ipywidgets.Button]:
        """Two buttons, called `on` and `off`, that set all of these checkboxes at once."""
        buttons = []
        for description, value in ((on, True), (off, False)):
            button = ipywidgets.Button(description=description, layout=ipywidgets.Layout(width=width))
            button.on_click(lambda _, value=value: self.set(**dict.fromkeys(boxes, value)))
            buttons.append(button)
        return buttons

    def arrange(self, *rows: ipywidgets.Widget | Sequence[ipywidgets.Widget]) -> None:
        """Stack these above the picture; those of a list stand side by side."""
        wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        boxes = [row if isinstance(row, ipywidgets.Widget) else ipywidgets.Box(row, layout=wrap) for row in rows]
        self.children = [*boxes, self._picture, self._label]

    def set(self, **values: Any) -> None:
        """Move several controls and draw once."""
        self._held = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._held = False
        self._redraw()

    def _redraw(self, _change: Any = None) -> None:
        # No timer: the front end keeps one message per control under way and merges the moves made meanwhile.
        values = self.values
        if self._held or values == self._drawn:
            return
        try:
            figure, sentence = self.draw(**values)
        except Exception as error:
            self._drawn = None
            self._say(f"This could not be drawn: {type(error).__name__}: {error}")
            raise
        if figure is not self.figure:
            plt.close(figure)  # else the inline backend would show it a second time, below the cell
            render_png(figure, self._width)
            figure.set_layout_engine("none")  # laid out once: the axes stay where they are, in two thirds of the time
            self.figure = figure
            self._parts = MovingParts(figure, self.moving, self._width) if self.moving else None
        self._picture.value = self._parts.render_png() if self._parts else render_png(figure, self._width)
        self._drawn = values
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        self.sentence = sentence
        self._label.value = f'<span class="figure-widget-label" role="status">{html.escape(sentence)}</span>'

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"] = self.sentence
        bundle["image/png"] = base64.b64encode(_smaller(self.png)).decode()  # saved once, where quickness counts less
        return bundle


def _smaller(png: bytes) -> bytes:
    """The same pixels in fewer bytes."""
    packed = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.save(packed, "png")
    return packed.getvalue()


def _check_control(name: str, control: ipywidgets.DOMWidget) -> None:
    if isinstance(control, UNFIT_CONTROLS):
        raise TypeError(
            f"control {name!r} is a {type(control).__name__}, whose arrow keys JupyterLab takes for itself; "
            "use ToggleButtons or SelectionSlider"
        )
    if not getattr(control, "description", ""):
        raise ValueError(f"control {name!r} needs a description: a slider has no other name for a screen reader")


def uploaded_picture(files: tuple[Mapping[str, Any], ...], max_side: int = 1024) -> np.ndarray | None:
    """The picture in the value of an `ipywidgets.FileUpload`, upright, as the camera's own note on rotation asks.

    What is transparent is laid on white.

    Args:
        files: `FileUpload.value`; if there are several files, the last one counts.
        max_side: larger pictures are reduced until no side is longer, in pixels.

    Returns:
        Array (H, W, 3) of uint8, or None if nothing has been uploaded yet.

    Raises:
        ValueError: if the file is not a picture that Pillow can read, is too large, or is grey with 16 or 32 bits.
    """
    if not files:
        return None
    file = files[-1]
    name = file["name"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its size is looked at below
            with opened(io.BytesIO(bytes(file["content"])), name) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise ValueError(f"{name} has {width} × {height} pixels, more than {MOST_PIXELS // 10**6} million")
                upright = to_colour(ImageOps.exif_transpose(picture), name)
    except OSError as error:
        raise ValueError(f"{name} is not a picture that can be read here; try a PNG or JPEG") from error
    upright.thumbnail((max_side, max_side))
    return np.array(upright)
