"""The U-Net explorer without a front end: every control moves picture and sentence, every setting draws."""

from itertools import product

import ipywidgets
import pytest
import torch

from course_utils.encoders import create_encoder
from course_utils.plots.rendering import render_png
from course_utils.unet import DynamicUnet
from course_utils.widgets import unet as unet_widget
from course_utils.widgets.unet import UnetExplorer

SIZE = (64, 80)


def make_model(**options):
    torch.manual_seed(0)
    return DynamicUnet(create_encoder("resnet18", pretrained=False), 12, SIZE, norm_type="batch", **options)


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, *SIZE), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, 12, (2, *SIZE), generator=generator)


@pytest.fixture
def explorer(data):
    return UnetExplorer(make_model(last_cross=False), *data)


def test_it_opens_with_all_skips_on(explorer):
    assert explorer.sentence.startswith(
        "down 1: 64 channels on 32 × 40; skip 1 goes on to up 1. Picture 0, all skips on: "
    )


def test_every_control_changes_picture_and_sentence(explorer):
    moves = [{"picture": 1}, {"level": "up 4"}, {"level": "scores"}, *({f"skip_{k}": False} for k in (1, 2, 3, 4))]
    assert {name for move in moves for name in move} == set(explorer.controls)
    for move in moves:
        png, sentence = explorer.png, explorer.sentence
        explorer.set(**move)
        assert explorer.png != png and explorer.sentence != sentence, move


def test_every_setting_draws(explorer):
    for level, skips in product(explorer.levels, product((True, False), repeat=4)):
        explorer.set(level=level.name, **{f"skip_{k}": on for k, on in enumerate(skips, 1)})
        assert explorer.sentence.startswith(f"{level.name}: {level.channels} channels on {level.grid}")
        assert ("all skips on" in explorer.sentence) == all(skips)


def test_the_picture_depends_on_the_settings_alone_not_on_the_way_to_them(data, explorer):
    """Only what has changed is drawn anew; the whole figure is, to compare."""
    ways = [{"level": "up 4"}, {"skip_4": False}, {"picture": 1}, {"level": "middle"}, {"level": "down 1"}]
    model = explorer.model
    for way in ways:
        explorer.set(**way)
        fresh = UnetExplorer(model, *data)
        fresh.set(**explorer.values)
        assert explorer.png == fresh.png == render_png(fresh.figure, 960), way


def test_the_sentence_says_what_changed(explorer):
    explorer.set(level="up 2", skip_2=False, skip_4=False)
    assert explorer.sentence.startswith("up 2: 256 channels on 16 × 20; skip 2 comes from down 2, switched off.")
    assert "Picture 0 without skips 2, 4: " in explorer.sentence
    changed = float(explorer.sentence.rpartition("right, ")[2].partition("%")[0])
    assert 0 < changed <= 100


def test_the_network_runs_once_for_each_picture_and_choice_of_skips(data, monkeypatch):
    runs = []
    monkeypatch.setattr(unet_widget, "trace", lambda *a, real=unet_widget.trace: runs.append(a[2]) or real(*a))
    explorer = UnetExplorer(make_model(last_cross=False), *data)
    for _ in range(2):
        for level in explorer.levels:
            explorer.set(level=level.name)
        explorer.set(skip_1=False)
        explorer.set(skip_1=True, picture=1)
        explorer.set(picture=0)
    assert len(runs) == 3


def test_the_buttons_set_all_skips(explorer):
    none, every = (next(b for b in buttons(explorer) if b.description == d) for d in ("No skip", "All skips"))
    none.click()
    assert "without skips 1, 2, 3, 4" in explorer.sentence
    every.click()
    assert "all skips on" in explorer.sentence


def buttons(widget):
    found, waiting = [], list(widget.children)
    while waiting:
        child = waiting.pop()
        waiting += getattr(child, "children", ())
        found += [child] if isinstance(child, ipywidgets.Button) else []
    return found


def test_all_controls_work_by_keyboard(explorer):
    allowed = (ipywidgets.IntSlider, ipywidgets.SelectionSlider, ipywidgets.Checkbox)
    assert all(isinstance(control, allowed) for control in explorer.controls.values())


def test_bad_input_is_one_sentence(data):
    images, masks = data
    with pytest.raises(ValueError, match="2 images and 1 masks"):
        UnetExplorer(make_model(), images, masks[:1])
    with pytest.raises(ValueError, match=r"not uint8 \(N, 3, H, W\)"):
        UnetExplorer(make_model(), images / 255, masks)
    with pytest.raises(ValueError, match=r"and masks \(2, 32, 80\), not"):
        UnetExplorer(make_model(), images, masks[:, :32])
    with pytest.raises(ValueError, match="masks holds the codes 2, 3"):
        UnetExplorer(make_model(), images, masks, ("Sky", "Void"))
    with pytest.raises(ValueError, match="no skips to look at"):
        UnetExplorer(make_model(skip="none", last_cross=False), images, masks)


def test_every_output_needs_a_name(data):
    codes = tuple(map(str, range(13)))
    with pytest.raises(ValueError, match="the model has 12 outputs for 13 codes"):
        UnetExplorer(make_model(last_cross=False), *data, codes)
