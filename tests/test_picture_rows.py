"""Rows of pictures: each pixel where it belongs, and what cannot be shown is named."""

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_utils.plots.pictures import GAP, LABEL, TITLE_HEIGHT, TITLE_LINE, show_rows

PICTURES = torch.rand(3, 3, 12, 20, generator=torch.Generator().manual_seed(0))


def drawn_pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize("zoom", [1, 2, 3])
def test_every_pixel_is_a_square_of_pixels_on_the_screen(zoom):
    rows = {"as it is": PICTURES, "two\nlines": 1.5 - 2 * PICTURES}  # what lies beyond black and white is cut off
    figure = show_rows(rows, zoom=zoom, columns=2)
    drawn = drawn_pixels(figure)
    assert [text.get_text() for text in figure.texts] == list(rows) and len(figure.axes) == 4
    high, wide = (side * zoom for side in PICTURES.shape[2:])
    for row, pictures in enumerate(rows.values()):
        for column in range(2):
            top, left = GAP + row * (high + GAP), LABEL + column * (wide + GAP)
            expected = (pictures[column].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            part = drawn[top : top + high, left : left + wide]
            assert np.array_equal(part, expected.repeat(zoom, 0).repeat(zoom, 1)), (row, column)


def test_titles_stand_above_their_columns_and_move_the_pictures_down():
    rows = {"black": torch.zeros(2, 3, 60, 96), "white": torch.ones(2, 3, 60, 96)}
    titles = ["super-\nresolution", "JPEG"]
    figure = show_rows(rows, titles=titles)
    bare, titled = drawn_pixels(show_rows(rows)), drawn_pixels(figure)
    added = len(titled) - len(bare)
    assert added == 2 * TITLE_LINE and np.array_equal(titled[added + GAP :], bare[GAP:])
    middles = []
    for text, title in zip(figure.texts, titles, strict=False):
        box = text.get_window_extent()
        assert text.get_text() == title and box.y1 <= len(titled) and box.width < 96
        assert box.y0 >= len(titled) - added - GAP
        middles.append((box.x0 + box.x1) / 2)
    assert middles == pytest.approx([LABEL + 48, LABEL + 96 + GAP + 48], abs=1)


@pytest.mark.parametrize("titles", [(), ("one", "two")])
def test_a_title_of_the_figure_moves_everything_down(titles):
    rows = {"black": torch.zeros(2, 3, 60, 96), "white": torch.ones(2, 3, 60, 96)}
    figure = show_rows(rows, title="Four squares", titles=titles)
    bare, titled = drawn_pixels(show_rows(rows, titles=titles)), drawn_pixels(figure)
    added = len(titled) - len(bare)
    assert added == TITLE_HEIGHT and np.array_equal(titled[added + GAP :], bare[GAP:])
    title = next(text for text in figure.texts if text.get_text() == "Four squares")
    box = title.get_window_extent()
    assert len(titled) - added <= box.y0 and box.y1 <= len(titled)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: show_rows({}), r"shapes \[\]"),
        (lambda: show_rows({"a": PICTURES, "b": PICTURES[:2]}), "all of one shape"),
        (lambda: show_rows({"a": PICTURES[:, :1]}), r"\(3, 1, 12, 20\)"),
        (lambda: show_rows({"a": (255 * PICTURES).byte()}), "row 'a' is torch.uint8"),
        (lambda: show_rows({"a": PICTURES.numpy()}), "row 'a' is an object of type ndarray"),
        (lambda: show_rows({"a": torch.nan * PICTURES}), "not finite"),
        (lambda: show_rows({"a": PICTURES}, zoom=0), "zoom=0"),
        (lambda: show_rows({"a": PICTURES}, zoom=1.5), "zoom=1.5"),
        (lambda: show_rows({"a": PICTURES}, columns=-1), "columns=-1"),
        (lambda: show_rows({"a": PICTURES}, columns=2, titles=["one"]), "1 titles for 2 columns"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
