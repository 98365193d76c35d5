"""Every widget of the course draws at every value of every control, and at mixtures of all of them."""

import importlib
import pkgutil
from itertools import product

import ipywidgets
import matplotlib.pyplot as plt
import pytest
import torch

import course_utils.widgets
from course_utils.encoders import create_encoder
from course_utils.experiments.initialisation_runs import SCALES, STARTS, WATCHED, State, face
from course_utils.unet import DynamicUnet
from course_utils.widgets import SegmentationViewer
from course_utils.widgets.arithmetic import ArithmeticExplorer
from course_utils.widgets.comparer import UpsamplingComparer
from course_utils.widgets.figure import FigureWidget
from course_utils.widgets.initialisation import InitialisationExplorer
from course_utils.widgets.photograph import PhotographSegmenter
from course_utils.widgets.restoration import RestorationWipe
from course_utils.widgets.unet import UnetExplorer
from tests.widget_settings import failures, settings_of

SIZE = (32, 48)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def scenes():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2, 3, *SIZE), generator=generator).byte()
    return images, torch.randint(12, (2, *SIZE), generator=generator).byte()


def viewer():
    images, masks = scenes()
    return SegmentationViewer(images, masks, {"one": masks.flip(0), "two": masks})


def explorer():
    torch.manual_seed(0)
    model = DynamicUnet(create_encoder("resnet18", pretrained=False), 12, SIZE, last_cross=False)
    return UnetExplorer(model, *scenes())


def segmenter():
    return PhotographSegmenter(lambda picture: (picture, picture[..., 0] // 22), scenes()[0][0].movedim(0, 2).numpy())


def starts():
    """Twelve networks that were never trained: training them is tested with the explorer itself."""
    state = State(torch.rand(face()[0].shape[-2:], generator=torch.Generator().manual_seed(0)), 0.5, 1.0, 20.0)
    settings = product(STARTS, (False, True), SCALES)
    return InitialisationExplorer({setting: dict.fromkeys(WATCHED, state) for setting in settings})


MAKERS = {
    SegmentationViewer: viewer,
    ArithmeticExplorer: ArithmeticExplorer,
    UpsamplingComparer: UpsamplingComparer,
    InitialisationExplorer: starts,
    UnetExplorer: explorer,
    PhotographSegmenter: segmenter,
    RestorationWipe: lambda: RestorationWipe({"nothing": lambda pictures: pictures, "negative": lambda p: 1 - p}),
}


def test_no_widget_is_forgotten():
    for module in pkgutil.iter_modules(course_utils.widgets.__path__):
        importlib.import_module(f"course_utils.widgets.{module.name}")
    ours = {kind for kind in FigureWidget.__subclasses__() if kind.__module__.startswith("course_utils.")}
    assert ours == set(MAKERS)


@pytest.mark.parametrize("kind", MAKERS, ids=lambda kind: kind.__name__)
def test_every_setting_draws(kind):
    assert failures(MAKERS[kind]()) == []


def test_a_setting_that_raises_is_found():
    figure, _ = plt.subplots(figsize=(1, 1))

    def draw(level, side, stripes):
        if level == 3 or (side == "right" and stripes):
            raise ValueError(f"no {level} on the {side}")
        return figure, f"{level} {side} {stripes}"

    controls = {
        "level": ipywidgets.IntSlider(2, 0, 5, description="level"),
        "side": ipywidgets.ToggleButtons(options=["left", "right"], description="side"),
        "stripes": ipywidgets.Checkbox(False, description="stripes"),
    }
    widget = FigureWidget(draw, controls, css_class="planted", width=50)
    found = failures(widget)
    assert found[0] == "{'level': 3}: ValueError: no 3 on the left"
    assert any("'side': 'right', 'stripes': True" in line for line in found), "only a mixture shows this one"
    assert widget.values == {"level": 2, "side": "left", "stripes": False}


def test_a_text_over_the_edge_is_found():
    figure, axes = plt.subplots(figsize=(2, 1))
    note = axes.text(0.5, 0.5, "", transform=axes.transAxes)

    def draw(words):
        note.set_text("word " * words)
        return figure, str(words)

    controls = {"words": ipywidgets.IntSlider(1, 0, 20, description="words")}
    found = failures(FigureWidget(draw, controls, css_class="wordy", width=100))
    assert found and found[-1].startswith("{'words': ") and "the figure cuts off 'word word" in found[0]
    assert not any("{'words': 0}" in line for line in found)


def test_a_long_slider_is_tried_at_its_ends_and_between():
    controls = {"place": ipywidgets.IntSlider(7, 0, 100, description="place")}
    widget = FigureWidget(lambda place: (plt.figure(), str(place)), controls, css_class="long", width=50)
    tried = [setting["place"] for setting in settings_of(widget, mixtures=0)]
    assert tried[0] == 0 and tried[-1] == 100 and 5 <= len(tried) <= 10
