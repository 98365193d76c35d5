"""The restoration wipe: damage a picture as you like, and wipe between the damage and what a network makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets
import torch
from ipywidgets import IntSlider, Layout, SelectionSlider, ToggleButtons
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.experiments.photographs import PHOTOGRAPHS, photograph
from course_utils.plots.restoration import Judged, WipeFigure, gain, judge
from course_utils.restoration import Compose, Degradation, Jpeg, LowerResolution, Overprint
from course_utils.widgets.comparer import LARGEST_UPLOAD, YOURS, square
from course_utils.widgets.figure import FigureWidget, uploaded_picture

PictureRestorer = Callable[[Tensor], Tensor]

PICTURES = (*PHOTOGRAPHS["test"], *PHOTOGRAPHS["val"])
ORIGINAL = "original"
FACTORS = (1, 1.5, 2, 3, 4)
OFF = "off"
QUALITIES = (OFF, 90, 70, 50, 30, 20, 10, 5)
SIDE = 144
FIGURE_HEIGHT = 13 / SIDE
"""Of a printed number, as a share of the picture's height."""
KEPT = 128
ROWS = (("picture", "upload"), ("restorer",), ("factor", "quality"), ("numbers", "seed"), ("wipe",))


@dataclass(frozen=True)
class Damage:
    """What is done to the picture.

    Attributes:
        factor: the resolution is divided by it; 1 leaves it.
        quality: of JPEG, or "off".
        numbers: so many are printed over the picture.
        seed: of the numbers and their places.
    """

    factor: float
    quality: int | str
    numbers: int
    seed: int

    def degradation(self) -> Degradation:
        """The steps that are asked for; with none, the picture stays as it is."""
        steps: list[Degradation] = [LowerResolution(self.factor)]  # always, so that the next step keeps its own seed
        if self.numbers:
            steps.append(Overprint(self.numbers, FIGURE_HEIGHT))
        if self.quality != OFF:
            steps.append(Jpeg((self.quality, self.quality)))
        return Compose(steps)

    def __str__(self) -> str:
        done = [f"resolution divided by {self.factor}"] if self.factor != 1 else []
        if self.numbers:
            done.append(f"{self.numbers} number{'s' if self.numbers > 1 else ''} printed with seed {self.seed}")
        if self.quality != OFF:
            done.append(f"JPEG quality {self.quality}")
        return ", ".join(done) or "as it is, because no damage is asked for"


class RestorationWipe(FigureWidget):
    """A photograph that no network was trained on is damaged and restored; a line wipes between before and after.

    Damaged and restored pictures are kept: moving the line only draws.

    Args:
        restorers: by name; each takes damaged pictures ``(N, 3, H, W)``, white 1 and black 0, and gives restored ones
            of that shape: ``functools.partial(course_utils.restorer.restore, model)``, or any function.

    Raises:
        ValueError: without a restorer, or with one that has no name, is called "original" or is no function.
    """

    def __init__(self, restorers: Mapping[str, PictureRestorer]) -> None:
        self._restorers = _checked(restorers)
        self._figure = WipeFigure()
        self._original = lru_cache(len(PICTURES) + 1)(self._take)
        self._damaged = lru_cache(KEPT)(self._damage)
        self._right = lru_cache(KEPT)(self._restore)
        controls = _controls(tuple(self._restorers))
        controls["upload"].observe(self._take_upload, names="value")  # before FigureWidget's: one drawing, not two
        super().__init__(self._draw, controls, css_class="restoration-wipe", width=960, moving=self._figure.moving)
        self.arrange(*([controls[name] for name in names] for names in ROWS))

    def _take_upload(self, _change: object = None) -> None:
        for kept in (self._original, self._damaged, self._right):
            kept.cache_clear()
        self.controls["picture"].value = YOURS

    def _take(self, name: str) -> Tensor:
        """The picture ``(3, S, S)``; of a file that does not fit, a ValueError says why."""
        if name != YOURS:
            return square(photograph(name), SIDE)
        pixels = uploaded_picture(self.controls["upload"].value, max_side=LARGEST_UPLOAD)
        if pixels is None:
            raise ValueError("No picture of yours yet: choose a file")
        return square(torch.from_numpy(pixels).permute(2, 0, 1), SIDE)

    def _damage(self, name: str, damage: Damage) -> Judged:
        original = self._original(name)
        return judge(damage.degradation()(original[None], damage.seed)[0], original)

    def _restore(self, name: str, damage: Damage, restorer: str) -> Judged:
        """What lies right of the line."""
        original = self._original(name)
        if restorer == ORIGINAL:
            return judge(original, original)
        damaged = self._damaged(name, damage).picture[None]
        with torch.no_grad():
            restored = self._restorers[restorer](damaged.clone())  # its own copy: it may write on it
        if not isinstance(restored, Tensor) or restored.shape != damaged.shape:
            got = tuple(restored.shape) if isinstance(restored, Tensor) else type(restored).__name__
            raise ValueError(f"restorer {restorer!r} gave {got} for pictures {tuple(damaged.shape)}.")
        return judge(restored[0], original)

    def _draw(
        self,
        picture: str,
        upload: tuple,
        restorer: str,
        factor: float,
        quality: int | str,
        numbers: int,
        seed: int,
        wipe: int,
    ) -> tuple[Figure, str]:
        note = ""
        try:
            original = self._original(picture)
        except ValueError as error:
            note, picture = f"{error}. {PICTURES[0]} is shown instead. ", PICTURES[0]
            original = self._original(picture)
        damage = Damage(factor, quality, numbers, seed if numbers else 0)  # without numbers, no seed counts
        damaged, right = self._damaged(picture, damage), self._right(picture, damage, restorer)
        figure = self._figure.update(original, damaged, right, restorer, wipe / 100)
        side = original.shape[-1]
        result = f"{restorer}: {right.verdict}" + (f", {gain(damaged, right)}" if restorer != ORIGINAL else "")
        return figure, (
            f"{note}{picture}, {side} × {side}, {damage}. Damaged: {damaged.verdict}; {result}. "
            f"Wipe at {wipe} %: damaged left of the line, {restorer} right of it."
        )


def _checked(restorers: Mapping[str, PictureRestorer]) -> dict[str, PictureRestorer]:
    if not restorers:
        raise ValueError("no restorer: give one or more by name.")
    for name, restorer in restorers.items():
        if not isinstance(name, str) or not name or name == ORIGINAL or not callable(restorer):
            raise ValueError(
                f"restorer {name!r}: {restorer!r} is no function with a name of its own (not {ORIGINAL!r}); "
                "give one that takes pictures (N, 3, H, W)."
            )
    return dict(restorers)


def _controls(names: tuple[str, ...]) -> dict[str, ipywidgets.DOMWidget]:
    style = {"description_width": "150px"}
    wide = Layout(width="460px")
    slider = {"style": style, "layout": wide}
    options = (*names, ORIGINAL)
    beside = Layout(display="flex", align_items="center", max_width="950px")  # else the description stands above
    button = 34 + 8 * max(map(len, options))
    return {
        "picture": ToggleButtons(
            options=[*PICTURES, YOURS],
            description="Picture",
            style={"button_width": "120px", **style},
            layout=beside,
        ),
        "upload": ipywidgets.FileUpload(accept="image/*", multiple=False, description="Your picture"),
        "restorer": ToggleButtons(
            options=options,
            description="Right of the line",
            style={"button_width": f"{button}px", **style},
            layout=beside,
        ),
        "factor": SelectionSlider(options=FACTORS, value=2, description="Resolution divided by", **slider),
        "quality": SelectionSlider(options=QUALITIES, value=30, description="JPEG quality", **slider),
        "numbers": IntSlider(1, 0, 4, description="Printed numbers", **slider),
        "seed": IntSlider(0, 0, 9, description="Damage seed", **slider),
        "wipe": IntSlider(40, 0, 100, 5, description="Wipe (%)", style=style, layout=Layout(width="926px")),
    }
