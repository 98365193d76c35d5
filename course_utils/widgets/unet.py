"""The U-Net explorer: choose a picture and a level, look at what it holds, and switch skips off."""

from collections.abc import Sequence

import ipywidgets
import torch
from ipywidgets import Layout
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.camvid import check_mask, normalise
from course_utils.classes import CLASS_NAMES
from course_utils.experiments.unet_levels import Trace, trace
from course_utils.plots.scenes import to_codes, to_rgb
from course_utils.plots.unet import ExplorerFigure, accuracy, classes_of
from course_utils.tensor_checks import describe
from course_utils.unet import DynamicUnet
from course_utils.widgets.figure import FigureWidget


class UnetExplorer(FigureWidget):
    """A trained U-Net opened up: its drawing at scale, feature maps of any level, and its output without some skips.

    Every run of the network is kept, so each picture passes through it once for every choice of skips.

    Args:
        model: segments pictures; built with skips.
        images: ``(N, 3, H, W)`` uint8.
        masks: ``(N, H, W)`` class indices.
        codes: class names; the class called ``Void`` is not counted.

    Raises:
        ValueError: if images and masks do not fit each other or the codes, or the model has no skips, or as many
            outputs as there are codes.
    """

    def __init__(self, model: DynamicUnet, images: Tensor, masks: Tensor, codes: Sequence[str] = CLASS_NAMES) -> None:
        if len(images) != len(masks) or not len(images):
            raise ValueError(f"{len(images)} images and {len(masks)} masks: there must be equally many, at least one.")
        if images.dtype != torch.uint8 or images.shape[2:] != masks.shape[1:]:
            raise ValueError(
                f"images are {describe(images)} and masks {tuple(masks.shape)}, not uint8 (N, 3, H, W) and (N, H, W)."
            )
        check_mask(masks, len(codes), "masks")
        self.model, self.images, self.masks = model, images, masks
        self._traces: dict[tuple[int, frozenset[int]], Trace] = {}
        first = self._trace(0, frozenset())
        if len(first.output) != len(codes):
            raise ValueError(f"the model has {len(first.output)} outputs for {len(codes)} codes; name each output.")
        self.levels = first.levels
        self._figure = ExplorerFigure(self.levels, tuple(masks.shape[-2:]), codes)
        self._index = {level.name: index for index, level in enumerate(self.levels)}
        controls: dict[str, ipywidgets.DOMWidget] = {
            "picture": ipywidgets.IntSlider(0, 0, len(images) - 1, description="Picture", layout=Layout(width="330px")),
            "level": ipywidgets.SelectionSlider(
                options=list(self._index), description="Level", layout=Layout(width="420px")
            ),
        }
        self._skips = {}
        for source, level in enumerate(self.levels[: len(model.blocks)]):
            description = f"Skip {source + 1} ({level.grid})"
            self._skips[f"skip_{source + 1}"] = ipywidgets.Checkbox(
                True, description=description, indent=False, layout=Layout(width="150px")
            )
        super().__init__(
            self._draw,
            {**controls, **self._skips},
            css_class="unet-explorer",
            width=960,
            moving=self._figure.moving,
        )
        switches = self.switches(self._skips, "All skips", "No skip", "90px")
        self.arrange(list(controls.values()), [*self._skips.values(), *switches])

    def _trace(self, picture: int, off: frozenset[int]) -> Trace:
        if (picture, off) not in self._traces:
            device = next(self.model.parameters()).device
            seen = trace(self.model, normalise(self.images[picture : picture + 1].to(device)), off)
            self._traces[picture, off] = Trace(
                seen.levels,
                [activation.cpu() for activation in seen.activations],
                {index: skip.cpu() for index, skip in seen.skips.items()},
                seen.output.cpu(),
            )
        return self._traces[picture, off]

    def _draw(self, picture: int, level: str, **skips: bool) -> tuple[Figure, str]:
        off = frozenset(int(name.removeprefix("skip_")) for name, on in skips.items() if not on)
        all_on, now = self._trace(picture, frozenset()), self._trace(picture, off)
        truth, index = to_codes(self.masks[picture]), self._index[level]
        figure = self._figure.update(to_rgb(self.images[picture]), truth, all_on, now, index, off)
        found, reference = classes_of(now), classes_of(all_on)
        right = accuracy(found, truth, self._figure.void)
        return figure, f"{self._about_level(index, off)} {self._about_output(picture, off, right, found, reference)}"

    def _about_level(self, index: int, off: frozenset[int]) -> str:
        level = self.levels[index]
        text = f"{level.name}: {level.channels} channels on {level.grid}"
        if level.partner is None:
            return f"{text}, without a skip."
        number = min(index, level.partner) + 1
        other = self.levels[level.partner].name
        way = "goes on to" if level.partner > index else "comes from"
        return f"{text}; skip {number} {way} {other}" + (", switched off." if number in off else ".")

    @staticmethod
    def _about_output(picture: int, off: frozenset[int], right: float, found, reference) -> str:
        if not off:
            return f"Picture {picture}, all skips on: {right:.1%} of the labelled pixels are right."
        names = ", ".join(map(str, sorted(off)))
        changed = float((found != reference).mean())
        return (
            f"Picture {picture} without skip{'s' if len(off) > 1 else ''} {names}: {right:.1%} of the labelled pixels "
            f"are right, {changed:.1%} of all pixels have changed."
        )
