"""The comparer's drawing over all its settings: what is drawn is what it says."""

import numpy as np
import pytest
import torch

from course_utils.experiments.enlargement import SCHEMES, cut_to, enlarge_again
from course_utils.experiments.photographs import photograph
from course_utils.plots.comparer import FULL_COLOUR, VIEWS, ZOOMS, ComparerFigure, Window, compare_figure
from course_utils.plots.rendering import render_png

ORIGINAL = photograph("chelsea")[:, 40:136, 80:176] / 255


@pytest.fixture(scope="module")
def made():
    return {name: enlarge_again(ORIGINAL, scheme, 2) for name, scheme in SCHEMES.items()}


@pytest.fixture(scope="module")
def drawn():
    return ComparerFigure()


def panels(figure):
    return [axes.images[0].get_array() for axes in figure.axes]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("first", SCHEMES)
def test_every_view_of_every_pair_draws(made, drawn, first, view):
    for second in SCHEMES:
        drawn.update(cut_to(ORIGINAL, 2), (first, made[first]), (second, made[second]), view)
        written = " | ".join(text.get_text() for text in drawn.figure.texts)
        assert first in written and second in written
    render_png(drawn.figure, 960)


@pytest.mark.parametrize("zoom", ZOOMS)
@pytest.mark.parametrize("at", [(0, 0), (1, 1), (0.5, 0.5), (0.1, 0.9)])
def test_every_window_stays_inside_and_shows_its_part(made, drawn, zoom, at):
    window = Window(zoom, *at)
    left, top, extent = window.square(96)
    assert 0 <= left <= 96 - extent and 0 <= top <= 96 - extent and extent == 96 // zoom
    pair = [(name, made[name]) for name in ("nearest", "bilinear")]
    shown = panels(drawn.update(cut_to(ORIGINAL, 2), *pair, "side by side", window))
    first, last = (ORIGINAL[:, at[0], at[1]] for at in ((top, left), (top + extent - 1, left + extent - 1)))
    np.testing.assert_allclose(shown[0][0, 0] / 255, first, atol=0.01)
    np.testing.assert_allclose(shown[0][-1, -1] / 255, last, atol=0.01)


@pytest.mark.parametrize("wipe", [0.0, 0.35, 1.0])
def test_the_wipe_shows_the_first_left_and_the_second_right(made, drawn, wipe):
    pair = [(name, made[name]) for name in ("nearest", "bilinear")]
    window = Window(4)
    _, first, second = panels(drawn.update(cut_to(ORIGINAL, 2), *pair, "side by side", window))
    first, second = first.copy(), second.copy()
    wiped = panels(drawn.update(cut_to(ORIGINAL, 2), *pair, "wipe", window, wipe))[1]
    border = round(wipe * wiped.shape[1])
    assert np.array_equal(wiped[:, :border], first[:, :border])
    assert np.array_equal(wiped[:, border:], second[:, border:])


def test_equal_pictures_have_a_white_difference_and_brighter_is_red(made, drawn):
    truth = cut_to(ORIGINAL * 0.5, 2)
    brighter = enlarge_again(ORIGINAL * 0.5, lambda x, factor: truth.picture + FULL_COLOUR, 2)
    pair = [("brighter", brighter), ("itself", enlarge_again(ORIGINAL * 0.5, lambda x, factor: truth.picture, 2))]
    red, white, _ = panels(drawn.update(truth, *pair, "difference", Window(1)))
    assert (white >= 245).all()
    assert red[..., 0].mean() > 2 * red[..., 2].mean()


def test_a_spectrum_is_bright_in_the_middle(made, drawn):
    pair = [(name, made[name]) for name in ("nearest", "bilinear")]
    for panel in panels(drawn.update(cut_to(ORIGINAL, 2), *pair, "spectrum")):
        brightness = panel.astype(float).sum(2)
        middle = slice(137, 152)
        assert brightness[middle, middle].mean() > 1.5 * brightness.mean()


def test_no_text_leaves_the_figure_or_meets_another(made, drawn):
    names = sorted(SCHEMES, key=len)[-2:]
    for view in VIEWS:
        figure = drawn.update(cut_to(ORIGINAL, 2), *((name, made[name]) for name in names), view)
        render_png(figure, 960)
        boxes = [text.get_window_extent() for text in figure.texts if text.get_text()]
        for i, box in enumerate(boxes):
            assert box.x0 >= 0 and box.x1 <= 960 and box.y0 >= 0 and box.y1 <= figure.bbox.height
            assert not any(box.overlaps(other) for other in boxes[i + 1 :]), view


def test_on_paper_two_schemes_are_called_by_name():
    assert len(compare_figure(ORIGINAL, ("nearest", "bicubic"), 3).axes) == 3
    with pytest.raises(ValueError, match="scheme='cubic'"):
        compare_figure(ORIGINAL, ("nearest", "cubic"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare_figure(torch.rand(3, 12, 24), ("nearest", "bicubic")), r"\(3, 12, 24\) is not square"),
        (lambda: compare_figure(torch.rand(1, 12, 12), ("nearest", "bicubic")), "in colour"),
        (lambda: Window(0), "zoom=0"),
        (lambda: Window(1.5), "zoom=1.5"),
        (lambda: Window(2, 50, 50), "x=50 and y=50"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
