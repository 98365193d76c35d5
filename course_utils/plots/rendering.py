"""A matplotlib figure as a small PNG, quickly: what never changes is drawn once, and pictures need no resampling."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from course_utils.plots.png import encode_png


def render_png(figure: Figure, width: int) -> bytes:
    """The figure as a PNG `width` pixels wide: bytes that depend on what is drawn and on nothing else."""
    canvas = _canvas(figure, width)
    canvas.draw()
    return _png(canvas)


class MovingParts:
    """One figure that is drawn again and again, in which only some artists ever change.

    All else is drawn once and kept as pixels, over which `moving` are drawn in their order: they must lie above what
    does not move. Of them, those before the first that has changed are kept as pixels too.

    Args:
        figure: already laid out; its layout must not change any more. Nothing else may draw it between a change and
            `render_png`: drawing is what tells matplotlib that a change has been seen.
        moving: everything whose look changes, what changes seldom first. None of it may be half covered by what stays.
        width: of the PNG, in pixels.
    """

    def __init__(self, figure: Figure, moving: Sequence[Artist], width: int) -> None:
        self.figure, self.moving, self.width = figure, tuple(moving), width
        self._kept = self._still = self._draw_still()
        self._n_kept = 0

    def render_png(self) -> bytes:
        """The PNG that `render_png` gives, in less time."""
        canvas = _canvas(self.figure, self.width)
        changed = next((i for i, artist in enumerate(self.moving) if artist.stale), len(self.moving))
        if changed < self._n_kept:
            self._kept, self._n_kept = self._still, 0
        canvas.restore_region(self._kept)
        if changed > self._n_kept:
            self._draw(canvas, self._n_kept, changed)
            self._kept, self._n_kept = canvas.copy_from_bbox(self.figure.bbox), changed
        self._draw(canvas, changed, len(self.moving))
        return _png(canvas)

    def _draw(self, canvas: FigureCanvasAgg, first: int, end: int) -> None:
        for artist in self.moving[first:end]:
            artist.draw(canvas.get_renderer())
            artist.stale = False  # what is invisible or empty does not say so itself

    def _draw_still(self):
        canvas = _canvas(self.figure, self.width)
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
    `NearestImage.on` puts it there; the picture comes with ``set_data``.
    """

    @classmethod
    def on(cls, axes: Axes) -> "NearestImage":
        """A picture that fills `axes`, from 0 to 1 each way, row 0 above."""
        image = cls(axes)
        axes.set(xlim=(0, 1), ylim=(1, 0))
        axes.add_image(image)
        return image

    def make_image(self, renderer, magnification=1.0, unsampled=False):
        """Pixels ``(h, w, 4)`` from the bottom up, and where their lower left corner lies."""
        left, bottom, right, top = np.round(np.array(self.axes.bbox.extents) * magnification).astype(int)
        rows, columns = (
            (np.arange(target) * 2 + 1) * source // (2 * target)
            for target, source in zip((top - bottom, right - left), self._A.shape[:2], strict=True)
        )
        small = np.asarray(self._A)  # plain: a masked array is slower
        wide = np.full((len(small), len(columns), 4), 255, np.uint8)
        wide[..., :3] = small[:, columns]
        return wide[rows[::-1]], left, bottom, None  # whole rows, which copy quickly


def _canvas(figure: Figure, width: int) -> FigureCanvasAgg:
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    figure.set_dpi(width / figure.get_size_inches()[0])
    return canvas


def _png(canvas: FigureCanvasAgg) -> bytes:
    return encode_png(np.asarray(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")))
