"""The upsampling comparer: any scheme against any other, on any picture, yours too."""

from collections.abc import Mapping

import ipywidgets
import torch
from ipywidgets import IntSlider, Layout, SelectionSlider, ToggleButtons
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as v2_functional

from course_utils.experiments.enlargement import SCHEMES, Enlargement, Scheme, cut_to, enlarge_again, names_of, rings
from course_utils.experiments.photographs import photograph
from course_utils.plots.comparer import VIEWS, ZOOMS, ComparerFigure, Window
from course_utils.widgets.figure import FigureWidget, uploaded_picture

PICTURES = ("chelsea", "astronaut", "coffee", "rocket", "rings")
YOURS = "yours"
FACTORS = (2, 3, 4)
ROWS = (("picture", "upload"), ("first", "second"), ("view", "factor"), ("zoom", "wipe"), ("x", "y"))
LARGEST_SIDE, SMALLEST_SIDE, LARGEST_UPLOAD = 288, 16, 4096


class UpsamplingComparer(FigureWidget):
    """A picture is reduced, enlarged again by two schemes, and both are compared with the original.

    Args:
        schemes: by name; add your own, or a trained network, to `SCHEMES` of `course_utils.experiments.enlargement`.
            Each takes ``(3, H, W)`` floats and a factor of 2, 3 or 4, and gives ``(3, factor·H, factor·W)``.
    """

    def __init__(self, schemes: Mapping[str, Scheme] = SCHEMES) -> None:
        self._schemes = dict(schemes)
        names = names_of(self._schemes)
        self._figure = ComparerFigure()
        self._pictures: dict[str, Tensor] = {}
        self._made: dict[tuple[str, int, str], Enlargement] = {}
        start = [name if name in names else names[place] for place, name in ((0, "nearest"), (1, "bilinear"))]
        style = {"description_width": "90px"}
        wide = Layout(width="460px")
        percent = {"min": 0, "max": 100, "step": 5, "style": style, "layout": wide}
        controls = {
            "picture": ToggleButtons(
                options=[*PICTURES, YOURS],
                description="Picture",
                style={"button_width": "94px", **style},
                layout=Layout(width="720px"),
            ),
            "upload": ipywidgets.FileUpload(accept="image/*", multiple=False, description="Your picture"),
            "first": SelectionSlider(options=names, value=start[0], description="First", layout=wide, style=style),
            "second": SelectionSlider(options=names, value=start[1], description="Second", layout=wide, style=style),
            "view": ToggleButtons(
                options=VIEWS,
                description="View",
                style={"button_width": "100px", **style},
                layout=Layout(width="540px"),
            ),
            "factor": ToggleButtons(
                options=FACTORS,
                description="Factor",
                style={"button_width": "50px", **style},
                layout=Layout(width="300px"),
            ),
            "zoom": SelectionSlider(options=ZOOMS, value=4, description="Zoom", layout=wide, style=style),
            "x": IntSlider(50, description="Across (%)", **percent),
            "y": IntSlider(50, description="Down (%)", **percent),
            "wipe": IntSlider(50, description="Wipe (%)", **percent),
        }
        controls["upload"].observe(self._take_upload, names="value")  # before FigureWidget's: one drawing, not two
        super().__init__(self._draw, controls, css_class="upsampling-comparer", width=960)
        self.arrange(*([controls[name] for name in names] for names in ROWS))

    def _take_upload(self, _change: object = None) -> None:
        self._made = {key: made for key, made in self._made.items() if key[0] != YOURS}
        self._pictures.pop(YOURS, None)
        self.controls["picture"].value = YOURS

    def _draw(
        self,
        picture: str,
        upload: tuple,
        first: str,
        second: str,
        view: str,
        factor: int,
        zoom: int,
        x: int,
        y: int,
        wipe: int,
    ) -> tuple[Figure, str]:
        name, original, note = self._chosen(picture, upload)
        truth = self._enlargement(name, original, "", factor)
        made = [(scheme, self._enlargement(name, original, scheme, factor)) for scheme in (first, second)]
        figure = self._figure.update(truth, *made, view, Window(zoom, x / 100, y / 100), wipe / 100)
        shown = f"Shown: {view}" + (f", wipe at {wipe} %" if view == "wipe" else "")
        if view != "spectrum":
            shown += f"; middle at {x} % across and {y} % down, zoom {zoom}"
        return figure, f"{note}{describe(name, truth, factor, made)} {shown}."

    def _chosen(self, name: str, upload: tuple) -> tuple[str, Tensor, str]:
        """Name, picture ``(3, S, S)`` and a note if another one stands in."""
        note = ""
        if name == YOURS and YOURS not in self._pictures:
            try:
                pixels = uploaded_picture(upload, max_side=LARGEST_UPLOAD)
                if pixels is not None:
                    self._pictures[YOURS] = square(torch.from_numpy(pixels).permute(2, 0, 1))
                else:
                    note = f"No picture of yours yet: choose a file. Until then {PICTURES[0]} is shown. "
            except ValueError as error:
                note = f"{error}. {PICTURES[0]} is shown instead. "
            name = PICTURES[0] if note else YOURS
        if name not in self._pictures:
            self._pictures[name] = rings(LARGEST_SIDE) if name == "rings" else square(photograph(name))
        return name, self._pictures[name], note

    def _enlargement(self, name: str, original: Tensor, scheme: str, factor: int) -> Enlargement:
        """Made once; no scheme at all gives the original."""
        key = (name, factor, scheme)
        if key not in self._made:
            with torch.no_grad():
                made = enlarge_again(original, self._schemes[scheme], factor) if scheme else cut_to(original, factor)
            self._made[key] = made
        return self._made[key]


def square(picture: Tensor, largest: int = LARGEST_SIDE) -> Tensor:
    """Middle of a uint8 picture ``(3, H, W)``, reduced to a square of at most `largest` pixels, as floats from 0 to 1.

    288 has the factors and zooms as divisors, so that a pixel of a window is a whole number of pixels on the screen.

    Raises:
        ValueError: if a side is smaller than 16 pixels.
    """
    height, width = picture.shape[1:]
    side = min(height, width)
    if side > largest:
        picture = v2_functional.resize(picture, [largest], v2.InterpolationMode.BICUBIC)
        height, width = picture.shape[1:]
        side = largest
    if side < SMALLEST_SIDE:
        raise ValueError(
            f"a picture of {width} × {height} pixels is too small to be reduced; take {SMALLEST_SIDE} or more"
        )
    side -= side % 12  # every factor divides it
    top, left = (height - side) // 2, (width - side) // 2
    return picture[:, top : top + side, left : left + side] / 255


def describe(name: str, original: Enlargement, factor: int, made: list[tuple[str, Enlargement]]) -> str:
    """The comparison in numbers."""
    results = [
        f"{scheme}: PSNR {result.psnr:.1f} dB, checkerboard energy {result.checkerboard:.3f}, "
        f"{result.milliseconds:.1f} ms"
        for scheme, result in made
    ]
    side = original.picture.shape[-1]
    return (
        f"{name}, {side} × {side}, reduced to {side // factor} × {side // factor} and enlarged {factor} times. "
        f"{'; '.join(results)}. The original's checkerboard energy is {original.checkerboard:.3f}."
    )
