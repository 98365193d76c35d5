"""The drawing functions of convolution arithmetic: every setting of the explorer draws, and shows the right numbers."""

import itertools
import random

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from course_utils.conv_arithmetic import overlap_counts
from course_utils.experiments.arithmetic_walk import WALKS, Geometry, take_step
from course_utils.plots.arithmetic import (
    ArithmeticFigure,
    arithmetic_figure,
    count_colours,
    log_spectrum,
    show_counts,
    show_grids,
    show_spectra,
)
from course_utils.widgets.arithmetic import RANGES

GRID = list(itertools.product(*(range(low, high + 1) for _, low, high in RANGES.values())))


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def texts(figure):
    titles = [text for ax in figure.axes for text in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    return [text.get_text() for text in (*figure.texts, *titles)]


def test_the_whole_grid_of_settings_draws_or_explains_itself():
    drawing = ArithmeticFigure()
    chance = random.Random(0)
    drawn = refused = 0
    for setting in GRID:
        try:
            geometry = Geometry(*setting)
        except ValueError as problem:
            figure = drawing.refuse(str(problem))
            refused += 1
            assert drawing.texts == [f"There is no such layer: {problem}"]
            assert not any(ax.get_visible() for ax in figure.axes)
            continue
        walk = chance.choice(WALKS)
        figure = drawing.update(geometry, walk, chance.randrange(geometry.steps(walk)))
        drawn += 1
        assert all(ax.get_visible() for ax in figure.axes)
        assert {"Inputs per output pixel", "Input", "Kernel", geometry.formula()} <= set(drawing.texts)
    assert drawn > 600 and refused > 400


def test_texts_stay_within_the_picture_and_apart():
    drawing = ArithmeticFigure()
    width, height = drawing.figure.bbox.width, drawing.figure.bbox.height
    for setting in [(4, 4, 1, 0, 0, 1), (4, 4, 1, 2, 0, 1), (4, 4, 3, 4, 2, 2), (2, 3, 2, 1, 1, 1), (4, 3, 2, 4, 1, 2)]:
        geometry = Geometry(*setting)
        for walk in WALKS:
            for step in range(0, geometry.steps(walk), 5):
                drawing.update(geometry, walk, step)
                boxes = text_boxes(drawing)
                assert len(boxes) == len(drawing.texts) >= 7
                assert all(box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes), drawing.texts
                assert not any(one.overlaps(two) for one, two in itertools.combinations(boxes, 2)), drawing.texts
                assert state_sum(drawing) == take_step(geometry, walk, step).sum
    for impossible in (4, 4, 1, 4, 2, 1), (2, 4, 1, 4, 0, 2):
        with pytest.raises(ValueError) as problem:
            Geometry(*impossible)
        drawing.refuse(str(problem.value))
        (box,) = text_boxes(drawing)
        assert box.x1 <= width


def text_boxes(drawing):
    patches = [patch for patch in drawing.figure.artists if patch.get_visible()]
    corners = [patch.get_transform().transform(patch.get_path().vertices) for patch in patches]
    return [Bbox([points.min(0), points.max(0)]) for points in corners]


def state_sum(drawing):
    """The sum of the step, put together from the lines it is wrapped to."""
    after_the_formula = [text.startswith("side = ") for text in drawing.texts].index(True) + 1
    return " ".join(drawing.texts[after_the_formula:])


def test_a_kept_figure_shows_what_a_new_one_shows():
    kept = ArithmeticFigure()
    kept.update(Geometry(4, 4, 3, 2, 2, 2), WALKS[1], 7)
    kept.refuse("for a reason")
    for geometry, walk, step in [(Geometry(), WALKS[0], 12), (Geometry(3, 3, 2, 1, 1), WALKS[1], 8)]:
        new = ArithmeticFigure().update(geometry, walk, step)
        np.testing.assert_array_equal(pixels(kept.update(geometry, walk, step)), pixels(new))


def test_each_step_and_walk_looks_different():
    drawing = ArithmeticFigure()
    seen = {pixels(drawing.update(Geometry(), WALKS[0], step)).tobytes() for step in range(25)}
    seen |= {pixels(drawing.update(Geometry(), WALKS[1], step)).tobytes() for step in range(4)}
    assert len(seen) == 29


def test_on_paper_the_walk_is_over_output_pixels():
    kept = ArithmeticFigure().update(Geometry(), WALKS[0], 3)
    np.testing.assert_array_equal(pixels(arithmetic_figure(Geometry(), step=3)), pixels(kept))


def test_counts_get_darker_and_nought_is_white():
    colours = count_colours(np.array([0, 1, 2, 3, 4, 8, 16, 100]))
    assert (colours[0] == 1).all()
    brightness = colours.sum(axis=1)
    assert (np.diff(brightness[:6]) < 0).all()
    assert colours.shape == (8, 3)


@pytest.mark.parametrize("show", [show_grids, show_counts])
def test_grids_of_any_shape_stand_side_by_side(show):
    grids = {"one": torch.eye(2), "overlap": overlap_counts(3, 3, 3, stride=2), "a row": torch.arange(9)[None]}
    figure = show(grids)
    assert {"one", "overlap", "a row"} <= set(texts(figure))
    assert len(figure.axes) == 3
    boxes = [ax.get_position() for ax in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and box.y1 <= 1 for box in boxes)
    assert (pixels(figure)[..., :3] < 100).any()


def test_different_numbers_give_different_pictures():
    one, two = (pixels(show_grids({"grid": torch.tensor([[1, value]])})) for value in (2, 3))
    assert (one != two).any()


def test_a_period_of_two_is_at_the_edge_of_the_spectrum():
    rows = torch.tensor([1.0, 2.0]).repeat(8)[:, None].expand(16, 16)
    spectrum = log_spectrum(rows)
    assert spectrum[8, 8] == 0, "the mean is in the middle"
    assert spectrum[0, 8] == pytest.approx(np.log10(1 / 3), abs=1e-6)
    spectrum[0, 8] = spectrum[8, 8] = -8
    assert spectrum.max() < -6


def test_spectra_stand_below_their_pictures():
    flat = torch.ones(8, 8) + 1e-7 * torch.rand(8, 8)
    figure = show_spectra({"flat": flat, "noise": torch.rand(8, 8)})
    assert len(figure.axes) == 5, "two pictures, two spectra, their scale"
    assert {"flat", "noise", "strength of each wave", "cycles per pixel"} <= set(texts(figure))
    pixels(figure)
    low, high = figure.axes[0].images[0].get_clim()
    assert high - low > 1, "rounding errors would look like a pattern"


def test_a_title_stands_above_the_pictures():
    bare, titled = (show_spectra({"noise": torch.rand(8, 8)}, title) for title in ("", "What waves there are"))
    assert titled.get_size_inches()[1] > bare.get_size_inches()[1] and "What waves there are" in texts(titled)
    pixels(titled)
    title = next(text for text in titled.texts if text.get_text() == "What waves there are")
    picture_title = titled.axes[0].title
    assert title.get_window_extent().y0 > picture_title.get_window_extent().y1
