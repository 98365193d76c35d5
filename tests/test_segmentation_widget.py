"""The segmentation viewer without a front end: its pure functions over their whole grid of settings, its controls."""

import itertools

import ipywidgets
import numpy as np
import pytest
import torch

from course_utils.classes import CLASS_NAMES, VOID
from course_utils.plots import class_colours
from course_utils.plots.rendering import render_png
from course_utils.widgets.segmentation import LAYERS, SegmentationViewer, describe_view, segmentation_view

COLOURS = class_colours()


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (3, 3, 12, 16), generator=generator).byte()
    masks = torch.randint(12, (3, 12, 16), generator=generator).byte()
    predictions = torch.where(torch.rand(masks.shape, generator=generator) < 0.7, masks, 3)
    return images, masks, predictions


def settings_grid():
    some = np.isin(np.arange(12), (3, 9))
    return itertools.product(LAYERS, (0, 0.3, 1), (np.ones(12, bool), np.zeros(12, bool), some))


def test_the_view_colours_the_pixels_it_should_and_no_others(data):
    image, mask, prediction = data[0][0].permute(1, 2, 0).numpy(), data[1][0].numpy(), data[2][0].numpy()
    grey = image.mean(axis=2).round()
    checked = 0
    for layer, opacity, shown in settings_grid():
        view = segmentation_view(image, mask, prediction, layer, opacity, shown, COLOURS, VOID)
        assert view.shape == image.shape
        assert view.dtype == np.uint8
        for y, x in np.ndindex(mask.shape):
            truth, said = mask[y, x], prediction[y, x]
            code = truth if layer == "truth" else said
            coloured = {
                "truth": shown[truth] and truth != VOID,
                "prediction": shown[said] and said != VOID,
                "errors": shown[truth] and truth not in (VOID, said) and said != VOID,
            }[layer]
            base = image[y, x] if layer != "errors" else np.full(3, grey[y, x])
            expected = (1 - opacity) * base + opacity * COLOURS[code] if coloured else base
            assert np.abs(view[y, x] - expected).max() <= 1
            checked += coloured
    assert checked > 100


def test_the_sentence_counts_labelled_pixels_only():
    mask = np.array([[3, 3, 9, VOID]])
    prediction = np.array([[3, 1, 9, 9]])
    everything, people = np.ones(12, bool), np.arange(12) == 9
    said = describe_view("Picture 4", mask, prediction, everything, CLASS_NAMES, VOID)
    assert said == "Picture 4. 66.7% of the labelled pixels are right. Void is not counted."
    said = describe_view("Picture 4", mask, prediction, people, CLASS_NAMES, VOID)
    assert "Pedestrian: 33.3% of the truth, of which 100.0% right" in said
    assert "All but Pedestrian: 66.7%" in describe_view("Picture 4", mask, prediction, ~people, CLASS_NAMES, VOID)
    assert "No class: 0.0%" in describe_view("Picture 4", mask, prediction, ~everything, CLASS_NAMES, VOID)
    assert "right" not in describe_view("Picture 4", mask, None, people, CLASS_NAMES, VOID)


def test_every_control_changes_the_picture(data):
    images, masks, predictions = data
    viewer = SegmentationViewer(images, masks, {"first": predictions, "second": masks})
    moves = [
        {"picture": 2},
        {"layer": "prediction"},
        {"opacity": 20},
        {"network": "second"},
        *({f"class_{i}": False} for i in range(11)),
        {"layer": "truth"},
        {"layer": "errors"},
    ]
    for move in moves[:-1]:
        before = viewer.png
        viewer.set(**move)
        assert viewer.png != before, move
    viewer.set(**moves[-1])
    assert viewer.values["layer"] == "errors"
    assert set(viewer.controls) == {"picture", "layer", "opacity", "network", *(f"class_{i}" for i in range(11))}


def test_the_legend_of_errors_counts_the_pixels_that_are_coloured(data):
    images, masks, predictions = data
    viewer = SegmentationViewer(images, masks, predictions)
    only_sky = {f"class_{code}": code == 0 for code in range(12) if code != VOID}
    for classes in ({}, only_sky):
        viewer.set(layer="errors", opacity=100, **classes)
        shown = np.array([viewer.values.get(f"class_{code}", False) for code in range(12)])
        wrong = (masks[0] != predictions[0]) & (masks[0] != VOID) & torch.from_numpy(shown)[masks[0].long()]
        for code, (patch, name, share) in viewer._legend.items():
            counted = int((wrong & (predictions[0] == code)).sum())
            assert name.get_text() == CLASS_NAMES[code]
            assert share.get_text() == f"{counted / int((masks[0] != VOID).sum()):.1%}"
            assert {artist.get_alpha() for artist in (patch, name, share)} == {1 if counted else 0.25}


def test_the_picture_depends_on_the_settings_alone_not_on_the_way_to_them(data):
    images, masks, predictions = data
    viewer = SegmentationViewer(images, masks, predictions)
    chance = np.random.default_rng(0)
    for _ in range(15):
        settings = {"picture": int(chance.integers(3)), "layer": LAYERS[chance.integers(3)]}
        settings |= {"opacity": 10 * int(chance.integers(11)), "class_0": bool(chance.integers(2))}
        viewer.set(**dict(list(settings.items())[: chance.integers(1, 5)]))
        fresh = SegmentationViewer(images, masks, predictions)
        fresh.set(**viewer.values)
        assert viewer.png == fresh.png == render_png(fresh.figure, 900), viewer.values


@pytest.mark.parametrize("codes", [("Void",), ("A", "Background")])
def test_classes_without_void_and_void_alone_draw_what_the_whole_figure_shows(data, codes):
    images, masks, _ = data
    viewer = SegmentationViewer(images, masks % len(codes), None, codes)
    viewer.set(picture=1)
    assert viewer.png == render_png(viewer.figure, 900)


def test_the_whole_grid_of_controls_draws(data):
    images, masks, predictions = data
    viewer = SegmentationViewer(images, masks, predictions)
    seen = set()
    for picture, layer, opacity, everything in itertools.product(range(3), LAYERS, (0, 50, 100), (True, False)):
        viewer.set(picture=picture, layer=layer, opacity=opacity, **{f"class_{i}": everything for i in range(11)})
        assert viewer.sentence.startswith(f"Picture {picture}.")
        seen.add(viewer.png)
    assert len(seen) >= 3 * 3 * 3


def test_without_predictions_there_is_the_truth_alone(data):
    viewer = SegmentationViewer(data[0], data[1])
    assert viewer.controls["layer"].options == ("truth",)
    assert "network" not in viewer.controls
    viewer.set(picture=1, opacity=0)
    assert viewer.sentence == "Picture 1. Void is not counted."


def test_all_controls_work_by_keyboard(data):
    allowed = (ipywidgets.IntSlider, ipywidgets.ToggleButtons, ipywidgets.Checkbox)
    viewer = SegmentationViewer(*data)
    assert all(isinstance(control, allowed) for control in viewer.controls.values())
    shown = set()
    for child in viewer.children:
        shown |= {child, *getattr(child, "children", ())}
    assert set(viewer.controls.values()) <= shown


def test_buttons_switch_all_classes(data):
    viewer = SegmentationViewer(*data)
    buttons = {b.description: b for row in viewer.children for b in getattr(row, "children", ()) if hasattr(b, "click")}
    everything = viewer.png
    buttons["No class"].click()
    assert not any(value for name, value in viewer.values.items() if name.startswith("class_"))
    assert viewer.png != everything
    buttons["All classes"].click()
    assert viewer.png == everything


def test_other_class_tables_and_missing_void(data):
    codes = [f"class {i}" for i in range(12)]
    viewer = SegmentationViewer(*data, codes=codes)
    assert viewer.void == -1
    assert len([name for name in viewer.controls if name.startswith("class_")]) == 12


def test_unequal_numbers_are_named(data):
    images, masks, predictions = data
    with pytest.raises(ValueError, match=r"\[3, 2, 3\]"):
        SegmentationViewer(images, masks[:2], predictions)
    with pytest.raises(ValueError, match="at least one"):
        SegmentationViewer(images[:0], masks[:0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images, masks, found: (images, masks, {}), "predictions names no network"),
        (lambda images, masks, found: (images, masks, found + 9), r"prediction\[0\] holds the codes .*12"),
        (lambda images, masks, found: (images, masks.int() - 1, found), r"masks\[0\] holds the codes -1"),
        (lambda images, masks, found: (images, masks, {"net": found.float()}), r"net\[0\] is torch.float32"),
        (lambda images, masks, found: (images, masks, torch.zeros(3, 12, 12, 16)), r"of logits take logits\.argmax"),
        (lambda images, masks, found: (images, masks[:, :6], None), r"masks\[0\] is .*, not class codes \(12, 16\)"),
        (lambda images, masks, found: (images, masks, found, CLASS_NAMES[:4]), "only 0 to 3 are classes"),
    ],
)
def test_maps_that_do_not_fit_are_named(data, change, message):
    with pytest.raises(ValueError, match=message):
        SegmentationViewer(*change(*data))
