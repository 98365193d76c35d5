"""The arithmetic explorer without a front end: every control moves it, every setting draws or explains itself."""

import ipywidgets
import pytest

from course_utils.experiments.arithmetic_walk import WALKS, Geometry
from course_utils.widgets.arithmetic import RANGES, ArithmeticExplorer, describe


@pytest.fixture
def explorer():
    return ArithmeticExplorer()


def test_it_opens_at_the_middle_of_the_lectures_drawing(explorer):
    assert explorer.values["step"] == 13
    assert explorer.sentence == (
        "2 × 2 becomes 5 × 5; output pixel 13 of 25: 4 stamps meet here. Inputs per output pixel: 1, 2, 4. "
        "16% of the gather view's products touch an input pixel."
    )


def test_every_control_changes_picture_and_sentence(explorer):
    moves = [
        *({"step": step} for step in (14, 25, 1)),
        {"n": 3},
        {"kernel_size": 4},
        {"padding": 1},
        {"stride": 3},
        {"output_padding": 2},
        {"dilation": 2},
        {"walk": WALKS[1]},
        {"step": 2},
    ]
    assert {name for move in moves for name in move} == set(explorer.controls)
    for move in moves:
        png, sentence = explorer.png, explorer.sentence
        explorer.set(**move)
        assert explorer.png != png, move
        assert explorer.sentence != sentence, move


def test_the_steps_follow_the_geometry(explorer):
    step = explorer.controls["step"]
    explorer.set(n=4)
    assert step.max == 81 and step.value == 13
    explorer.set(step=81)
    explorer.set(n=1)
    assert step.max == step.value == 9
    assert "output pixel 9 of 9" in explorer.sentence
    explorer.set(walk=WALKS[1])
    assert step.max == 1
    explorer.set(n=2)
    assert step.max == 4


def test_an_impossible_setting_says_why_and_the_next_one_draws(explorer):
    explorer.set(padding=4)
    assert explorer.sentence == (
        "There is no such layer: padding=4 takes 8 pixels from a side of 5 (n=2): nothing is left."
    )
    explorer.set(padding=0, output_padding=2)
    assert "output_padding=2 must be smaller than stride=2" in explorer.sentence
    explorer.set(output_padding=1)
    assert explorer.sentence.startswith("2 × 2 becomes 6 × 6")


def test_a_move_draws_once(explorer, monkeypatch):
    calls = []
    update = explorer._figure.update
    monkeypatch.setattr(explorer._figure, "update", lambda *a: calls.append(a) or update(*a))
    explorer.controls["step"].value = 25
    explorer.controls["n"].value = 1
    assert len(calls) == 2, "the geometry and the step that had to follow it are one drawing"


def test_the_extremes_of_all_sliders_draw(explorer):
    for end in (1, 2):
        explorer.set(**{name: bounds[end] for name, bounds in RANGES.items() if name != "output_padding"})
        for walk in WALKS:
            explorer.set(walk=walk)
            explorer.set(step=explorer.controls["step"].max)
            assert "becomes" in explorer.sentence or "no such layer" in explorer.sentence


def test_all_controls_work_by_keyboard_and_are_shown(explorer):
    shown, waiting = set(), list(explorer.children)
    while waiting:
        child = waiting.pop()
        shown.add(child)
        waiting += getattr(child, "children", ())
    assert set(explorer.controls.values()) | {explorer.play} <= shown
    allowed = (ipywidgets.IntSlider, ipywidgets.ToggleButtons)
    assert all(isinstance(control, allowed) for control in explorer.controls.values())


def test_it_opens_at_any_geometry():
    explorer = ArithmeticExplorer(Geometry(3, 3, 2, 1, 1))
    assert explorer.sentence.startswith("3 × 3 becomes 6 × 6; output pixel 18 of 36")


def test_the_sentence_counts_steps_from_one():
    assert "input pixel 1 of 4: stamp 1 of 4 lands" in describe(Geometry(), WALKS[1], 1)


@pytest.mark.parametrize("geometry", [Geometry(n=10), Geometry(kernel_size=6), Geometry(stride=4)])
def test_a_setting_outside_of_the_sliders_is_refused(geometry):
    with pytest.raises(ValueError, match="the slider's range"):
        ArithmeticExplorer(geometry)
