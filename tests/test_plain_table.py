"""Tables of text: columns as wide as their widest cell, none where every cell is empty."""

from course_utils.experiments.plain_table import plain_table


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [["name", "%", "verdict", "s"], ["nearest", "12.50", "noise", ""], ["×", "7.25", "", "1"]]
    assert plain_table(rows, left=(0, 2)).splitlines() == [
        "name        % verdict s",
        "nearest 12.50 noise",
        "×        7.25         1",
    ]


def test_a_column_of_empty_cells_is_left_out():
    assert plain_table([["a", "", "b"], ["c", "", "dd"]]) == "a  b\nc dd"
