"""The training curves show the numbers of the history."""

import numpy as np
import pytest

from course_utils.history import History
from course_utils.plots.charts import _smoothed, training_curves


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


def test_a_thin_line_stands_where_a_stage_ends_and_another_begins():
    history = History([{"epoch": epoch, "val_accuracy": 0.5} for epoch in (1, 1, 2, 1, 2)], [1.0] * 20, [0.1] * 20)
    plain, staged = (
        training_curves({"run": history}, "val_accuracy", "title", **options) for options in ({}, {"stages": (1, 2, 2)})
    )
    for before, after, places in zip(plain.axes, staged.axes, ([3.5, 11.5], [1.5, 3.5]), strict=True):
        added = after.lines[len(before.lines) :]
        assert [line.get_xdata()[0] for line in added] == places
        assert after.get_legend() is None, "it would lie over a curve"
    assert [text.get_text() for text in staged.legends[0].get_texts()] == ["run"]


def test_a_line_breaks_where_other_pictures_begin():
    history = History([{"epoch": i, "val_accuracy": i / 10} for i in range(1, 6)], [1.0] * 5, [0.1] * 5)
    _, ax = training_curves({"run": history}, "val_accuracy", "title", breaks=[3]).axes
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2, 3], [4, 5]]
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["run"]
