"""What a pixel shuffle starts from decides what training has to remove."""

import pytest
import torch

from course_utils.experiments.initialisation_runs import PATCH, SCALES, STARTS, WATCHED, face, lesson, watch, watch_all


@pytest.fixture(scope="module")
def runs():
    return watch_all()


def test_every_setting_is_watched_at_every_step(runs):
    assert len(runs) == 2 * len(STARTS) * len(SCALES)
    for states in runs.values():
        assert tuple(states) == WATCHED
        assert all(state.picture.shape == (120, 120) and state.picture.isfinite().all() for state in states.values())


def test_the_face_and_the_lesson_fit_every_scale():
    assert face().shape == (1, 3, 120, 120) and 0 <= face().min() < face().max() <= 1
    assert lesson().shape[1:] == (3, PATCH, PATCH)
    assert all(120 % scale == 0 and PATCH % scale == 0 for scale in SCALES)


@pytest.mark.parametrize("scale", SCALES)
def test_only_a_random_start_makes_a_checkerboard_of_plain_colours(runs, scale):
    assert runs["random", False, scale][0].plain > 10
    assert runs["ICNR", False, scale][0].plain < 1e-3
    assert runs["random", False, scale][0].energy > 0.5


def test_blur_averages_over_all_four_pixels_of_scale_2_and_of_no_other(runs):
    assert all(state.plain < 1e-3 for state in runs["random", True, 2].values())
    assert runs["random", True, 3][0].plain > 5 and runs["random", True, 4][0].plain > 5


def test_training_helps_and_leaves_icnr_ahead_in_evenness(runs):
    for setting, states in runs.items():
        assert states[WATCHED[-1]].psnr > states[0].psnr + 8, setting
    for scale in SCALES:
        after = {start: runs[start, False, scale][WATCHED[-1]].plain for start in STARTS}
        assert after["ICNR"] < after["random"] / 2


def test_a_run_is_reproducible(runs):
    again = watch("ICNR", True, 4, lesson())
    torch.testing.assert_close(again[WATCHED[-1]].picture, runs["ICNR", True, 4][WATCHED[-1]].picture)
