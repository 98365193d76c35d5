"""Python that stands in the prose of a solution runs at the end of its lesson: it uses no name that is not there."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

SOLUTIONS = sorted(Path("notebooks/solutions").glob("*.ipynb"))
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def unknown_names(code: str) -> str:
    """What ruff says of names that nothing defines, a line for each."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "F821",
        "--output-format",
        "concise",
    ]
    done = subprocess.run([*command, "-"], input=code, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.name)
def test_every_name_is_the_lessons_or_its_own(path):
    lesson = nbformat.read(path.parents[1] / path.name, as_version=4)
    cells = [cell.source for cell in lesson.cells if cell.cell_type == "code"]
    blocks = [
        block
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
        for block in BLOCK.findall(cell.source)
    ]
    found = unknown_names("\n".join([*cells, *blocks]))
    assert not found, found


def test_a_name_that_nothing_defines_is_found():
    assert "nowhere" in unknown_names("a = 1\nprint(a, nowhere)\n") and not unknown_names("a = 1\nprint(a)\n")
