"""The picture of recorded trainings shows the numbers of their records."""

import pytest

from course_utils.plots.recorded_runs import val_and_test_figure

HALF, FULL = [180, 240], [360, 480]


def run(*accuracies: float, test: float, half: int = 2) -> dict:
    sizes = [HALF] * half + [FULL] * (len(accuracies) - half)
    rows = [{"size": size, "val_accuracy": score} for size, score in zip(sizes, accuracies, strict=True)]
    return {"size": FULL, "epochs": rows, "val": {"accuracy": accuracies[-1]}, "test": {"accuracy": test}}


def test_it_shows_every_epoch_and_both_ends():
    groups = {"ours": [run(0.8, 0.85, 0.9, 0.95, test=0.91), run(0.8, 0.9, test=0.88, half=1)], "theirs": []}
    left, right = val_and_test_figure(groups, {"published": ("test", 0.915)}).axes
    lines = [(list(line.get_xdata()), list(line.get_ydata()), line.get_linestyle()) for line in left.lines]
    assert lines[:2] == [([1, 2], [0.8, 0.85], ":"), ([3, 4], [0.9, 0.95], "-")]
    assert lines[2:] == [([1], [0.8], ":"), ([2], [0.9], "-")]
    assert [line.get_marker() for line in left.lines] == ["", "o", ".", "o"], "an epoch alone, and the end, are marked"
    ends = [list(line.get_ydata()) for line in right.lines[:2]]
    assert ends == [[0.95, 0.91], [0.9, 0.88]]
    (first, _), (second, _) = (line.get_xdata() for line in right.lines[:2])
    assert -0.3 < first < second < 0.3, "side by side, near val"
    known = right.lines[2]
    assert list(known.get_ydata()) == [0.915, 0.915] and 0.5 < min(known.get_xdata()) < 1 < max(known.get_xdata())
    assert [text.get_text() for text in right.texts] == ["published\n91.5%"]


def test_the_ends_have_a_scale_of_their_own():
    left, right = val_and_test_figure({"ours": [run(0.3, 0.95, test=0.9, half=1)]}, {"other": ("val", 0.96)}).axes
    assert left.get_ylim() == pytest.approx((0.8, 0.97))
    low, high = right.get_ylim()
    assert 0.88 < low < 0.9 and 0.96 < high < 0.98, "all ends and what is known, and little more"


def test_the_legend_names_each_group_and_the_dots():
    figure = val_and_test_figure({"a": [run(0.9, test=0.9, half=0)], "b": [run(0.9, test=0.9, half=0)]})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "pictures of half size"]


def test_a_run_that_did_not_read_test_ends_on_val():
    only_val = run(0.9, 0.95, test=0.9, half=1)
    del only_val["test"]
    _, right = val_and_test_figure({"ours": [only_val]}).axes
    assert (list(right.lines[0].get_xdata()), list(right.lines[0].get_ydata())) == ([0], [0.95])


def test_no_end_lies_outside_of_the_picture():
    left, _ = val_and_test_figure({"ours": [run(0.5, 0.7, test=0.6, half=1)]}, {"other": ("val", 0.98)}).axes
    low, high = left.get_ylim()
    assert low < 0.6 and high > 0.98


@pytest.mark.parametrize(
    ("groups", "known", "message"),
    [({str(i): [] for i in range(7)}, None, "7 groups"), ({}, {"x": ("train", 0.9)}, "'train', which is neither")],
)
def test_what_cannot_be_drawn_is_refused(groups, known, message):
    with pytest.raises(ValueError, match=message):
        val_and_test_figure(groups, known)
