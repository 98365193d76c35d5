"""What all figures of the course share: sizes of text, colours of series, and how a notebook shows a figure."""

import base64
import html
import io

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 12, 10, 9
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
MARKERS = "osD^vP"
DASHES = ("-", "-.", ":", (0, (5, 1)), (0, (1, 3)), (0, (8, 2, 1, 2)))


class NotebookFigure(Figure):
    """A figure that a notebook shows as it is, before pyplot is ever used (until then IPython knows no figures)."""

    def png(self) -> str:
        """The figure as a PNG, base64."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})  # else the bytes name matplotlib's version
        return base64.b64encode(buffer.getvalue()).decode()

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        return {"image/png": self.png(), "text/plain": repr(self)}


class DescribedFigure:
    """A figure with a text alternative for readers who cannot see it: an HTML image, and nothing else.

    Front ends prefer HTML to a PNG beside it, which would only double the size of the notebook.

    Args:
        alt: what the figure shows and what is to be read off it, in a sentence or two.
    """

    def __init__(self, figure: Figure, alt: str) -> None:
        self.figure, self.alt = figure, alt
        plt.close(figure)  # else a pyplot figure would be shown a second time, below the cell

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        png = NotebookFigure.png(self.figure)
        picture = f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{png}" />'
        return {"text/html": picture, "text/plain": self.alt}


def titled_axes(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """A figure of `width` × `height` inches that a notebook shows, and its one plot."""
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    ax = figure.add_subplot()
    ax.set_title(title, fontsize=TITLE_SIZE)
    ax.tick_params(labelsize=TEXT_SIZE)
    return figure, ax
