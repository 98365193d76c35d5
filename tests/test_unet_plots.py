"""Drawings of U-shaped networks: at scale, with the skips where they belong, and over the whole grid of settings."""

import math
import warnings
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from course_utils.classes import CLASS_NAMES, VOID
from course_utils.encoders import create_encoder
from course_utils.experiments.unet_levels import trace, u_shape
from course_utils.plots.rendering import render_png
from course_utils.plots.unet import (
    CHOSEN,
    ExplorerFigure,
    NetworkDrawing,
    accuracy,
    axes_in_inches,
    explorer_figure,
    kernel_figure,
    montage,
    network_figure,
    show_maps,
    show_predictions,
    strongest,
)
from course_utils.unet import DynamicUnet

SIZE = (64, 80)
LEVELS = u_shape(
    [(64, 568, 568), (128, 280, 280), (256, 136, 136), (512, 64, 64), (1024, 28, 28)],
    [(512, 52, 52), (256, 100, 100), (128, 196, 196), (64, 388, 388)],
    [("scores", (2, 388, 388))],
)


@pytest.fixture(scope="module")
def traces():
    torch.manual_seed(0)
    model = DynamicUnet(create_encoder("resnet18", pretrained=False), 12, SIZE, norm_type="batch")
    picture = torch.randn(1, 3, *SIZE)
    return {off: trace(model, picture, off) for off in ((), (1,), (2, 4))}


def drawing_of(figure):
    """Boxes of the levels, and the visible "off" notes, of a drawn network."""
    (ax,) = figure.axes
    boxes = [patch for patch in ax.patches if type(patch).__name__ == "Rectangle"]
    arrows = [patch for patch in ax.patches if type(patch).__name__ == "FancyArrowPatch"]
    return boxes, arrows, [text for text in ax.texts if text.get_visible()]


def test_boxes_are_at_scale_and_do_not_overlap():
    boxes, arrows, notes = drawing_of(network_figure(LEVELS, "a title"))
    heights = [box.get_height() / level.height for box, level in zip(boxes, LEVELS, strict=True)]
    assert max(heights) == pytest.approx(min(heights))
    widths = [box.get_width() / level.channels for box, level in zip(boxes[:-1], LEVELS, strict=False)]
    assert max(widths) == pytest.approx(min(widths)), "but for the thinnest, which could not be seen"
    ends = [(box.get_x(), box.get_x() + box.get_width()) for box in boxes]
    assert all(left[1] < right[0] for left, right in pairwise(ends))
    assert ends[0][0] > 0 and ends[-1][1] < 9.6
    assert len(arrows) == 4 and notes == []


def test_skips_pass_over_the_boxes_between_and_end_at_their_levels():
    boxes, arrows, _ = drawing_of(network_figure(LEVELS, "a title"))
    for source, arrow in enumerate(arrows):
        (x, y), (tip, _) = arrow._posA_posB
        target = LEVELS[source].partner
        assert x == pytest.approx(boxes[source].get_x() + boxes[source].get_width())
        assert tip == pytest.approx(boxes[target].get_x())
        for index in (source, target):
            assert y < boxes[index].get_y() + boxes[index].get_height()
        assert all(y > box.get_y() + box.get_height() for box in boxes[source + 1 : target])


def test_a_chosen_level_is_framed_and_a_skip_that_is_off_says_so():
    figure = Figure(figsize=(9.6, 3))
    NetworkDrawing(axes_in_inches(figure), (0, 0, 9.6, 3), LEVELS).update(chosen=1, off=[2])
    boxes, arrows, notes = drawing_of(figure)
    assert [box.get_linewidth() > 2 for box in boxes] == [index == 1 for index in range(len(LEVELS))]
    assert [arrow.get_linestyle() for arrow in arrows] == ["-", "--", "-", "-"]
    assert [note.get_text() for note in notes] == ["off"]


def test_a_kernel_picture_is_white_exactly_where_weights_are_zero():
    kernel = torch.zeros(4, 6, 3, 3)
    kernel[:2, :3] = 1.0
    kernel[3, 5, 1, 1] = 1e-9
    figure = kernel_figure({"one": kernel, "two": torch.ones(4, 6, 3, 3)}, (2, 3), ("up", "skip"))
    picture = figure.axes[0].images[0].get_array()
    assert picture.shape == (12, 18)
    assert (np.asarray(picture) > 0).sum() == 2 * 3 * 9 + 1
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["out: 1 to 2", "out: 3 to 4"]
    orange = [line for line in figure.axes[0].lines if line.get_color() == CHOSEN]
    assert [tuple(line.get_xdata()) for line in orange][1] == (8.5, 8.5)


def test_maps_share_a_scale_where_asked():
    maps = {"small": torch.zeros(4, 5), "large": torch.full((4, 5), 3.0)}
    limits = [ax.images[0].get_clim() for ax in show_maps(maps, shared=True).axes[:2]]
    assert limits == [(0.0, 3.0), (0.0, 3.0)]
    assert len(show_maps(maps).axes) == 2
    assert show_maps(maps, shared=True, label="volts").axes[2].get_ylabel() == "volts"


def test_maps_and_kernels_of_any_type_draw_without_a_warning():
    values = torch.rand(6, 8, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for maps in (values, values.bfloat16(), values.half(), (9 * values).int()):
            drawn = show_maps({"map": maps}, shared=True).axes[0].images[0].get_array()
            np.testing.assert_allclose(drawn, maps.detach().float())
        white = kernel_figure({"silent": torch.zeros(4, 4, 3, 3)}, (2, 2), ("a", "b")).axes[0].images[0].get_array()
        assert not white.any()
    with pytest.raises(ValueError, match="no maps to show"):
        show_maps({})


def test_predictions_stand_beside_the_truth_with_their_accuracy():
    truth = torch.zeros(4, 6, dtype=torch.uint8)
    truth[0] = VOID
    wrong = torch.full_like(truth, 3)
    figure = show_predictions(torch.zeros(3, 4, 6), truth, {"good": truth * 0, "bad": wrong}, CLASS_NAMES)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["picture", "truth (void is black)", "good: 100% right", "bad: 0% right", "", ""]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [CLASS_NAMES[0], CLASS_NAMES[3]]


def test_the_strongest_maps_and_their_montage():
    maps = torch.stack([torch.full((2, 2), 5.0), torch.tensor([[0.0, 9], [0, 9]]), torch.tensor([[0.0, 1], [0, 1]])])
    assert strongest(maps) == [1, 2, 0]
    sheet = montage(maps[1:] / 2, maps[1:])
    zoom = 22
    assert sheet.shape == (4 * zoom + 2, 8 * zoom + 6)
    tile = sheet[: 2 * zoom, : 2 * zoom]
    assert set(np.unique(tile)) == {0.0, 0.5}, "half as strong on the scale of the reference"
    assert np.isnan(sheet[:, 4 * zoom + 4 :]).all() and np.isnan(sheet[2 * zoom + 1]).all()


def test_the_whole_grid_of_settings_draws(traces):
    truth = np.random.default_rng(0).integers(0, 12, SIZE)
    picture = np.zeros((*SIZE, 3), np.uint8)
    levels = traces[()].levels
    figure = ExplorerFigure(levels, SIZE, CLASS_NAMES)
    pictures = set()
    for (off, now), chosen in product(traces.items(), range(len(levels))):
        drawn = figure.update(picture, truth, traces[()], now, chosen, off)
        assert drawn is figure.figure
        pictures.add(render_png(drawn, 480))
        name, texts = levels[chosen].name, figure.texts
        assert texts["leaving"].startswith(f"{name} gives: ")
        partner = levels[chosen].partner
        if partner is None:
            assert texts["arriving"] == f"no skip starts or ends at {name}"
        else:
            number = min(chosen, partner) + 1
            rest = "brings: 8 of"
            if number in off:
                rest = f"brings zeros; with all skips on, {name}" if chosen > partner else "is off: zeros go on"
            assert texts["arriving"].startswith(f"skip {number} {rest}")
    assert len(pictures) == 3 * len(levels), "every setting gives a picture of its own"


def test_where_a_skip_is_off_the_maps_stand_above_what_they_are_with_all_on(traces):
    all_on, now = traces[()], traces[(2, 4)]
    figure = ExplorerFigure(all_on.levels, SIZE, CLASS_NAMES)
    chosen = [level.name for level in all_on.levels].index("up 2")
    figure.update(np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, int), all_on, now, chosen, (2, 4))
    whole = all_on.activations[chosen]
    for place, maps in (("leaving", now.activations[chosen]), ("arriving", whole)):
        shown = figure._images[place].get_array()
        assert np.array_equal(shown.filled(np.nan), montage(maps, whole), equal_nan=True)
    assert not torch.equal(now.activations[chosen], whole)


def test_the_percentages_are_those_of_the_outputs(traces):
    now = replace(traces[(2, 4)], output=torch.randn(11, *SIZE))
    truth = now.output.argmax(0).numpy().copy()
    truth[:32] = (truth[:32] + 1) % 11
    truth[:8] = VOID
    figure = ExplorerFigure(now.levels, SIZE, CLASS_NAMES)
    figure.update(np.zeros((*SIZE, 3), np.uint8), truth, traces[()], now, 0, (2, 4))
    assert figure.texts["now"] == "now: 57% right"
    assert accuracy(truth, truth, VOID) == 1.0
    assert math.isnan(accuracy(truth, np.full_like(truth, VOID), VOID))


def test_one_setting_on_paper(traces):
    picture, truth = np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, int)
    figure = explorer_figure(picture, truth, traces[()], traces[(1,)], 3, (1,), CLASS_NAMES)
    assert len(figure.axes) == 1
