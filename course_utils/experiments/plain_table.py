"""Rows of text in columns, as narrow as their cells allow."""

from collections.abc import Sequence


def plain_table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """A line for each row, columns a space apart: those in `left` start at the left, the others end at the right.

    Columns that are empty from top to bottom are left out.
    """
    columns = [(i, column) for i, column in enumerate(zip(*rows, strict=True)) if any(column)]
    cells = []
    for i, column in columns:
        width = max(map(len, column))
        cells.append([f"{cell:<{width}s}" if i in left else f"{cell:>{width}s}" for cell in column])
    return "\n".join(" ".join(line).rstrip() for line in zip(*cells, strict=True))
