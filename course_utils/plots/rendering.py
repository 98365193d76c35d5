"""A matplotlib figure as a small PNG, quickly: what never changes is drawn once, and pictures need no resampling."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image


def render_png(figure: Figure, width: int) -> bytes:
    """The figure as a PNG `width` pixels wide: bytes that depend on what is drawn and on nothing else."""
    canvas = _canvas(figure, width)
    canvas.draw()
    return _png(canvas)


class MovingParts:
    """One figure that is drawn again and again, in which only some artists ever change.

    All else is drawn once for each width and kept as pixels, over which `moving` are drawn in their order: they must
    lie above what does not move.

    Args:
        figure: already laid out; its layout must not change any more.
        moving: everything whose look changes. None of it may be half covered by what stays.
    """

    def __init__(self, figure: Figure, moving: Sequence[Artist]) -> None:
        self.figure, self.moving = figure, tuple(moving)
        self._width, self._still = 0, None

    def render_png(self, width: int) -> bytes:
        """The PNG that `render_png` gives, in less time."""
        canvas = _canvas(self.figure, width)
        if self._still is None or width != self._width:
            self._still, self._width = self._draw_still(canvas), width
        canvas.restore_region(self._still)
        for artist in self.moving:
            artist.draw(canvas.get_renderer())
        return _png(canvas)

    def _draw_still(self, canvas: FigureCanvasAgg):
        visible = [artist.get_visible() for artist in self.moving]
        try:
            for artist in self.moving:
                artist.set_visible(False)
            canvas.draw()
            return canvas.copy_from_bbox(self.figure.bbox)
        finally:
            for artist, was in zip(self.moving, visible, strict=True):
                artist.set_visible(was)


class NearestImage(AxesImage):
    """A picture ``(H, W, 3)`` uint8 that fills its axes, each screen pixel with the nearest of its pixels.

    What ``imshow(interpolation="nearest")`` draws, and quicker: matplotlib resamples in floating point.
    Add it with ``axes.add_image`` to axes whose limits and picture both go from 0 to 1, row 0 above.
    """

    def make_image(self, renderer, magnification=1.0, unsampled=False):
        """Pixels ``(h, w, 4)`` from the bottom up, and where their lower left corner lies."""
        left, bottom, right, top = np.round(np.array(self.axes.bbox.extents) * magnification).astype(int)
        rows, columns = (
            (np.arange(target) * 2 + 1) * source // (2 * target)
            for target, source in zip((top - bottom, right - left), self._A.shape[:2], strict=True)
        )
        pixels = np.full((len(rows), len(columns), 4), 255, np.uint8)
        pixels[..., :3] = self._A[rows[::-1, None], columns]
        return pixels, left, bottom, None


def _canvas(figure: Figure, width: int) -> FigureCanvasAgg:
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    figure.set_dpi(width / figure.get_size_inches()[0])
    return canvas


def _png(canvas: FigureCanvasAgg) -> bytes:
    buffer = io.BytesIO()
    # Fast compression: the picture travels to a browser on the same machine, and is drawn anew in a moment.
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(buffer, "png", compress_level=1)
    return buffer.getvalue()
