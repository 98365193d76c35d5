"""Pixel centres and responses against torch's own interpolation and transform, and the drawings over their settings."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from course_utils.experiments.enlargement import bilinear_kernel
from course_utils.plots.interpolation import centres, response, show_centres, show_pictures, show_responses
from course_utils.plots.rendering import render_png


@given(st.integers(2, 12), st.integers(2, 30), st.booleans())
def test_new_centres_are_where_torch_samples(n, n_out, align_corners):
    """On a ramp, whose value is its place, interpolation returns the place, up to the border."""
    ramp = torch.arange(n, dtype=torch.float64)[None, None]
    sampled = F.interpolate(ramp, n_out, mode="linear", align_corners=align_corners)[0, 0]
    torch.testing.assert_close(centres(n, n_out, align_corners).clamp(0, n - 1), sampled)


def test_a_response_is_the_amplitude_of_the_transform():
    kernel = torch.randn(5, dtype=torch.float64)
    transformed = torch.fft.fft(F.pad(kernel, [0, 27])).abs()
    torch.testing.assert_close(response(kernel, torch.arange(32) / 32), transformed)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [2, 4, 6])
def test_centres_draw_inside_the_figure(n, factor):
    figure = show_centres(n, factor)
    render_png(figure, 900)
    for text in (text for ax in figure.axes for text in ax.texts):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 900 and box.y1 <= figure.bbox.height


def test_responses_and_pictures_draw():
    kernel = bilinear_kernel(2)
    render_png(show_responses({"bilinear": kernel[0] / kernel[0].sum() * 2}), 800)
    figure = show_pictures({"grey": torch.rand(8, 8), "colour": torch.rand(3, 4, 4)})
    assert [ax.get_title() for ax in figure.axes] == ["grey", "colour"]


def test_the_dashed_square_lies_in_the_middle_with_its_label_below():
    figure = show_pictures({"large": torch.rand(64, 64), "small": torch.rand(16, 16)}, square=1 / 4, label="fine")
    render_png(figure, 600)
    for ax, side in zip(figure.axes, (64, 16), strict=True):
        corners = ax.transData.inverted().transform(ax.patches[-1].get_window_extent().get_points())
        assert sorted(corners.flatten()) == pytest.approx([side * 3 / 8 - 0.5] * 2 + [side * 5 / 8 - 0.5] * 2)
        assert ax.texts[0].get_text() == "fine"
        assert ax.texts[0].get_window_extent().y1 < ax.patches[-1].get_window_extent().y0
    assert not show_pictures({"plain": torch.rand(8, 8)}).axes[0].patches
    with pytest.raises(ValueError, match="square=2 is no share"):
        show_pictures({"plain": torch.rand(8, 8)}, square=2)


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="factor=0"):
        show_centres(4, 0)
    with pytest.raises(ValueError, match="n=1: with less than two"):
        show_centres(1, 1)
    with pytest.raises(ValueError, match="5 kernels: draw 1 to 4"):
        show_responses({str(i): torch.ones(2) for i in range(5)})
