"""Drive a widget through its settings without a front end: which of them raise?"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from course_utils.widgets.figure import FigureWidget

FAILED = "This could not be drawn"
MOST_VALUES = 8


def values_of(control: ipywidgets.DOMWidget) -> list[Any]:
    """Every value a control can have, in order; a `FileUpload` has none but the one it starts with."""
    if isinstance(control, ipywidgets.Checkbox):
        return [False, True]
    if isinstance(control, ipywidgets.IntSlider):
        return [*range(control.min, control.max, control.step), control.max]
    options = getattr(control, "options", None)
    if options is None:
        return [control.value]
    pairs = options.items() if isinstance(options, Mapping) else options
    return [option[1] if isinstance(option, tuple) else option for option in pairs]


def settings_of(widget: FigureWidget, mixtures: int = 6) -> Iterator[dict[str, Any]]:
    """Every value of every control, the others as they are; then `mixtures` of random values of all controls.

    Of a long slider the ends and some values between them stand for all.
    """
    values = {name: values_of(control) for name, control in widget.controls.items()}
    for name, choices in values.items():
        step = max(1, (len(choices) - 1) // MOST_VALUES + 1)
        yield from ({name: value} for value in dict.fromkeys([*choices[::step], choices[-1]]))
    generator = random.Random(0)
    for _ in range(mixtures):
        yield {name: generator.choice(choices) for name, choices in values.items()}


def failures(widget: FigureWidget) -> list[str]:
    """A line for each setting that raises, cannot be drawn or cuts a text off; the widget ends as it began."""
    start, found = widget.values, []
    for setting in settings_of(widget):
        try:
            widget.set(**start | setting)
            if widget.sentence.startswith(FAILED):
                found.append(f"{setting}: {widget.sentence}")
            found += [f"{setting}: the figure cuts off {text!r}" for text in cut_off(widget.figure)]
        except Exception as error:
            found.append(f"{setting}: {type(error).__name__}: {error}")
    widget.set(**start)
    return found


def cut_off(figure: Figure) -> list[str]:
    """The texts of a drawn figure that reach over its edge."""
    texts = [*figure.texts, *(text for ax in figure.axes if ax.get_visible() for text in (*ax.texts, ax.title))]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    found = []
    for text in texts:
        if text.get_visible() and text.get_text().strip() and not text.get_clip_on():
            box, page = text.get_window_extent(), figure.bbox
            if min(box.x0 - page.x0, box.y0 - page.y0, page.x1 - box.x1, page.y1 - box.y1) < -1:
                found.append(text.get_text())
    return found
