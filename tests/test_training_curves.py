"""The training curves show the numbers of the history."""

import numpy as np
import pytest

from course_utils.history import History
from course_utils.plots import _smoothed, training_curves


def test_smoothing_is_the_mean_of_the_last_ten():
    values = np.random.default_rng(0).random(25).tolist()
    expected = [np.mean(values[max(0, i - 9) : i + 1]) for i in range(25)]
    assert _smoothed(values) == pytest.approx(expected)


def test_curves_hold_the_metric_of_every_epoch_and_the_baseline():
    histories = {
        name: History([{"epoch": 1, "val_accuracy": 0.5}, {"epoch": 2, "val_accuracy": best}], [3.0, 2.0], [0.1, 0.1])
        for name, best in (("pretrained", 0.9), ("random", 0.7))
    }
    figure = training_curves(histories, "val_accuracy", "title", baseline=0.4)
    _, metric_ax = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in metric_ax.lines}
    assert list(lines["pretrained"]) == [0.5, 0.9] and list(lines["random"]) == [0.5, 0.7]
    assert set(lines["baseline 40.0%"]) == {0.4}
