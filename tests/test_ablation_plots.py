"""The picture of an ablation shows the numbers of its record, row by row."""

import pytest

from course_utils.experiments.ablations import VARIANTS
from course_utils.plots.ablations import ablation_figure
from tests.test_ablation_record import record_of


def markers(ax):
    """Positions, colour and marker of every row of single seeds, by row."""
    rows = [line for line in ax.lines if len(line.get_xdata()) == 3]
    return {line.get_ydata()[0]: (list(line.get_xdata()), line.get_marker()) for line in rows}


def test_rows_are_sorted_and_hold_the_differences_of_every_seed():
    figure = ablation_figure(record_of())
    accuracy, iou, cost = figure.axes
    names = [text.get_text() for text in accuracy.get_yticklabels()]
    assert names == [VARIANTS[name].label for name in ("skip-none", "resblock", "nearest")]
    assert markers(accuracy)[0][0] == pytest.approx([-5, -6, -4]) and markers(accuracy)[2][0] == pytest.approx(
        [3, 1, 2]
    )
    assert markers(iou)[0][0] == pytest.approx([-2.5, -3, -2])
    assert [markers(accuracy)[row][1] for row in range(3)] == ["v", "o", "o"]
    macs, seconds, _ = cost.lines
    assert list(macs.get_xdata()) == [1, 1, 1] and list(seconds.get_xdata()) == pytest.approx([1, 1, 1.5])


def test_a_better_variant_points_up_and_a_record_without_cost_is_drawn(tmp_path):
    record = record_of({"recipe": (0.8, 0.8, 0.8), "nearest": (0.85, 0.85, 0.86)})
    del record["cost"]
    figure = ablation_figure(record)
    assert markers(figure.axes[0])[0][1] == "^"
    figure.savefig(tmp_path / "figure.png")


def test_what_is_far_off_is_a_number_at_the_edge():
    record = record_of({"recipe": (0.80, 0.81, 0.82), "nearest": (0.81, 0.82, 0.84), "skip-none": (0.5, 0.6, 0.7)})
    accuracy = ablation_figure(record).axes[0]
    assert [text.get_text() for text in accuracy.texts] == ["◂ −21.0"]
    low, high = accuracy.get_xlim()
    assert -3 < low < -0.5 and 2 < high < 3
