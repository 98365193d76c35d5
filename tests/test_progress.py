"""Bars are shown where they are wanted, in notebooks too, and hidden by the variable that tqdm documents."""

import pytest

from course_utils.progress import progress_bar


@pytest.mark.parametrize(("variable", "show", "hidden"), [("1", True, True), ("0", False, True), ("0", True, False)])
def test_who_decides(monkeypatch, variable, show, hidden):
    monkeypatch.setenv("TQDM_DISABLE", variable)
    with progress_bar(range(3), show=show) as bar:
        assert bar.disable is hidden
        assert list(bar) == [0, 1, 2]
