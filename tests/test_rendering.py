"""Quick drawing gives the pixels that matplotlib gives by itself."""

import base64
import io
import random
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image

from course_utils.experiments.initialisation_runs import SCALES, STARTS, WATCHED, State, face
from course_utils.plots.rendering import MovingParts, NearestImage, render_png
from course_utils.widgets.initialisation import InitialisationExplorer
from course_utils.widgets.restoration import RestorationWipe
from tests.widget_settings import settings_of


def pixels(png):
    return np.array(Image.open(io.BytesIO(png)))


def test_render_png_fits_any_figure_size():
    assert pixels(render_png(Figure(figsize=(6, 3)), 240)).shape == (120, 240, 3)


def test_what_moves_over_kept_pixels_gives_the_picture_that_is_drawn_from_nothing():
    figure = Figure(figsize=(4, 3))
    still, moved = figure.add_axes((0.1, 0.1, 0.3, 0.8)), figure.add_axes((0.5, 0.1, 0.4, 0.8))
    still.plot([0, 1, 3])
    (line,) = moved.plot([1, 2, 0])
    label = figure.text(0.1, 0.95, "")
    above = moved.text(0, 0, "over the line")
    parts = MovingParts(figure, [line, label, above], 400)
    changes = {
        "curve": lambda: line.set_ydata([chance.random() * 2 for _ in range(3)]),
        "seen": lambda: line.set_visible(not line.get_visible()),
        "words": lambda: label.set_text(chance.choice(["", "a", "b"])),
        "place": lambda: above.set_position((chance.random(), chance.random())),
    }
    chance = random.Random(0)
    for _ in range(30):
        for name in chance.sample(list(changes), chance.randrange(3)):
            changes[name]()
        shown = parts.render_png()
        assert shown == render_png(figure, 400)


def test_what_has_not_changed_is_not_drawn_again():
    figure = Figure(figsize=(2, 2))
    labels = [figure.text(0.1, 0.2 * i, str(i)) for i in range(4)]
    parts, drawn = MovingParts(figure, labels, 200), []
    for i, label in enumerate(labels):
        label.draw = lambda renderer, i=i, draw=label.draw: (drawn.append(i), draw(renderer))
    seen = []
    for moved in (None, 3, 3, 1, 1, 3, 3, 0, None, None):
        if moved is not None:
            labels[moved].set_text(labels[moved].get_text() + "!")
        drawn.clear()
        parts.render_png()
        seen.append("".join(map(str, drawn)))
    assert seen[1:] == ["0123", "3", "0123", "123", "123", "3", "0123", "0123", ""]


def test_the_wipe_names_everything_that_moves():
    widget = RestorationWipe({"nothing": lambda x: x, "blur": lambda x: F.avg_pool2d(x, 3, 1, 1)})
    for setting in settings_of(widget):
        widget.set(**setting)
        assert widget.png == render_png(widget.figure, 960), setting
    saved = base64.b64decode(widget._repr_mimebundle_()["image/png"])
    assert len(saved) < 0.9 * len(widget.png), "a saved notebook keeps the same picture in fewer bytes"
    assert np.array_equal(pixels(saved), pixels(widget.png))


def test_the_initialisation_explorer_names_everything_that_moves():
    drawn = torch.Generator().manual_seed(0)
    states = {
        setting: {step: State(torch.rand(face()[0].shape[-2:], generator=drawn), 0.5, 1.0, 20.0) for step in WATCHED}
        for setting in product(STARTS, (False, True), SCALES)
    }
    widget = InitialisationExplorer(states)
    for setting in settings_of(widget):
        widget.set(**setting)
        assert widget.png == render_png(widget.figure, 840), setting


@pytest.mark.parametrize("dpi", [100, 200])
@pytest.mark.parametrize("shape", [(48, 48), (7, 5), (1, 1)])
def test_a_nearest_image_is_what_imshow_draws(shape, dpi):
    colours = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    saved = []
    for ours in (True, False):
        figure = Figure(figsize=(3, 3))
        ax = figure.add_axes((0.1, 0.2, shape[1] * (48 // shape[1]) / 300, shape[0] * (48 // shape[0]) / 300))
        if ours:
            image = ax.add_image(NearestImage(ax))
            image.set_data(colours)
            ax.set(xlim=(0, 1), ylim=(1, 0))
        else:
            ax.imshow(colours, interpolation="nearest", extent=(0, 1, 1, 0), aspect="auto")
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=dpi)
        saved.append(pixels(buffer.getvalue()))
    assert np.array_equal(*saved)
