"""The explorer's picture follows what it is given; the contest's dots are the results."""

import numpy as np
import pytest
import torch

from course_utils.experiments.enlarger_scores import Result
from course_utils.plots.initialisation import InitialisationFigure, pattern_frequencies, show_contest, show_pictures
from course_utils.plots.rendering import render_png


def test_pattern_frequencies():
    assert pattern_frequencies(2) == [-0.5, 0, 0.5]
    assert pattern_frequencies(3) == pytest.approx([-1 / 3, 0, 1 / 3])
    assert pattern_frequencies(4) == [-0.5, -0.25, 0, 0.25, 0.5]


def test_the_figure_shows_what_it_is_given_and_stays_the_same_figure():
    picture = torch.rand(24, 24)
    drawing = InitialisationFigure(torch.rand(24, 24), (3, 5, 8))
    figure = drawing.update(picture, "a start", 2)
    first = render_png(figure, 600)
    assert "a start" in [text.get_text() for text in drawing.figure.texts]
    shown = [np.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]
    shades = (picture - picture.min()) / (picture.max() - picture.min())
    np.testing.assert_allclose(shown[0], shades, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(shown[1], shades[3:11, 5:13], rtol=1e-5, atol=1e-6)
    assert drawing.update(torch.rand(24, 24), "another", 3) is figure
    assert render_png(figure, 600) != first
    assert render_png(drawing.update(torch.full((24, 24), 0.5), "plain", 2), 600)


def test_the_ring_lies_on_the_checkerboards_frequency():
    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    drawing = InitialisationFigure(torch.rand(24, 24), (0, 0, 8))
    figure = drawing.update(((rows + columns) % 2).float(), "", 2)
    spectrum = np.asarray(figure.axes[2].get_images()[0].get_array())
    assert spectrum[0, 0] == spectrum.max() and spectrum[12, 0] < -4  # (-½, -½), and next to nothing at (0, -½)
    assert (-0.5, -0.5) in zip(*drawing._marks.get_data(), strict=True)


def test_no_ring_reaches_into_a_title():
    drawing = InitialisationFigure(torch.rand(24, 24), (0, 0, 8))
    figure = drawing.update(torch.rand(24, 24), "A start", 2)
    figure.draw_without_rendering()
    rings = drawing._marks.get_transform().transform(np.column_stack(drawing._marks.get_data()))
    reach = drawing._marks.get_markersize() / 2 * figure.dpi / 72
    for title in figure.texts:
        box = title.get_window_extent().padded(reach)
        assert not any(box.contains(*ring) for ring in rings), title.get_text()
        assert title.get_window_extent().y1 < figure.bbox.y1


def test_no_text_covers_another():
    drawing = InitialisationFigure(torch.rand(24, 24), (0, 0, 8))
    figure = drawing.update(torch.rand(24, 24), "Random start with blur, × 3, after 10 steps", 3)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert "The orange squares, enlarged" in [text.get_text() for text in figure.texts]


def results(shift):
    return [Result(name, 16, psnr=[30 + shift, 31], plain=[0.0, shift]) for name in ("one", "two", "three")]


def test_the_contest_has_a_dot_for_each_seed():
    figure = show_contest({"equal width": results(0), "equal MACs": results(1)}, Result("bicubic", psnr=[29.0]))
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["one", "two", "three"]
    dots = [line for line in left.lines if line.get_marker() in ("o", "s")]
    assert len(dots) == 6 and {tuple(line.get_xdata()) for line in dots} == {(30, 31), (31, 31)}
    assert len([line for line in right.lines if line.get_marker() in ("o", "s")]) == 6
    assert render_png(figure, 900)


def test_pictures_in_rows():
    figure = show_pictures({str(i): torch.rand(3, 8, 8) * 1.4 - 0.2 for i in range(6)})
    assert [ax.get_title() for ax in figure.axes[:6]] == list("012345") and len(figure.axes) == 8
    assert render_png(figure, 900)
