"""The initialisation explorer without a front end: every setting draws, every control changes picture and sentence."""

from itertools import product

import pytest

from course_utils.experiments.initialisation_runs import SCALES, STARTS, WATCHED, watch_all
from course_utils.widgets.initialisation import InitialisationExplorer


@pytest.fixture(scope="module")
def runs():
    return watch_all()


@pytest.fixture
def explorer(runs):
    return InitialisationExplorer(runs)


def test_it_opens_at_the_checkerboard(explorer):
    assert explorer.sentence.startswith("Random start, no blur, × 2, before training: checkerboard energy 1.")
    assert "the true picture's is 0.0" in explorer.sentence


def test_every_setting_draws_another_picture_and_says_another_sentence(explorer):
    seen = set()
    for start, blur, scale, steps in product(STARTS, (False, True), SCALES, WATCHED):
        explorer.set(start=start, blur=blur, scale=scale, steps=steps)
        seen.add((explorer.png, explorer.sentence))
        state = explorer.runs[start, blur, scale][steps]
        assert f"energy {state.energy:.3f}" in explorer.sentence and f"{state.plain:.1f} grey" in explorer.sentence
    assert len(seen) == len({png for png, _ in seen}) == len({text for _, text in seen}) == 60


def test_every_control_changes_picture_and_sentence(explorer):
    moves = [{"steps": 10}, {"start": "ICNR"}, {"blur": True}, {"scale": 4}]
    assert {name for move in moves for name in move} == set(explorer.controls)
    for move in moves:
        png, sentence = explorer.png, explorer.sentence
        explorer.set(**move)
        assert explorer.png != png and explorer.sentence != sentence, move
