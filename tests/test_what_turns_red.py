"""A broken solution, a stub that raises, a stale output: each turns the test run red, and its summary says why.

A small notebook in a temporary folder is run by pytest with the settings of this repository. The two others that must
turn it red are in test_notebook_style.py (a dead link) and test_every_widget_setting.py (a widget's setting).
"""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_utils.exercises import check
from tests.exercise_answers import RIGHT
from tests.notebook_rules import saved_from_one_clean_run

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = "import torch\n\nfrom course_utils.exercises import check"
SOLUTION = "def even_out(weight, stride):\n    weight = weight.clone()\n    for row in range(stride):\n"
SOLUTION += "        for column in range(stride):\n            share = weight[row::stride, column::stride]\n"
SOLUTION += "            share /= share.sum()\n    return weight\n\ncheck('even_out', even_out)"
STUB = "def even_out(weight, stride):\n    ...\n\ncheck('even_out', even_out)"


def said_of(answer: object) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        check("even_out", answer)
    return printed.getvalue().rstrip("\n")


PASSED, NOT_YET = said_of(RIGHT["even_out"]), said_of(None)

CELLS = {
    "imports": (IMPORTS, ""),
    "solution": (SOLUTION, PASSED),
    "stub": (STUB, NOT_YET),
    "fresh": ("print(1 + 1)", "2"),
    "broken solution": (SOLUTION.replace("share.sum()", "share.mean()"), PASSED),
    "stale": ("print(1 + 1)", "3"),
    "stub that raises": (STUB.replace("check(", "even_out(torch.eye(2), 1).shape\ncheck("), NOT_YET),
    "after it": ("print(1)", "1"),
}
"""Code and saved output of each cell."""


@pytest.fixture(scope="module", params=[(), ("-n", "2")], ids=["alone", "side by side"])
def report(request, tmp_path_factory):
    """What pytest says of each cell, and all it says; in one process, and in two as the test command has it."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "conftest.py").write_text((ROOT / "notebooks" / "conftest.py").read_text())
    cells = []
    for number, (source, saved) in enumerate(CELLS.values(), 1):
        outputs = [new_output("stream", name="stdout", text=f"{saved}\n")] if saved else []
        cells.append(new_code_cell(source, execution_count=number, outputs=outputs))
    nbformat.write(new_notebook(cells=cells), folder / "small.ipynb")
    command = [sys.executable, "-m", "pytest", "-v", "-c", ROOT / "pyproject.toml", "--rootdir", folder, folder]
    command += ["-p", "no:cacheprovider", f"--junit-xml={folder / 'report.xml'}", *request.param]
    environment = os.environ | {"COLUMNS": "200"}  # else the reasons are cut to the width of a terminal
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    cases = {
        case.get("name"): [child.tag for child in case]
        for case in ElementTree.parse(folder / "report.xml").iter("testcase")
    }
    return {name: cases[f"Cell {i}"] for i, name in enumerate(CELLS)}, done.stdout


def test_what_is_whole_passes_and_what_is_broken_fails(report):
    assert report[0] == {
        "imports": [],
        "solution": [],
        "stub": [],
        "fresh": [],
        "broken solution": ["failure"],
        "stale": ["failure"],
        "stub that raises": ["failure"],
        "after it": ["skipped"],
    }


@pytest.mark.parametrize(
    "why",
    ["== '✘ even_out: ", r"'3\n' == '2\n'", "AttributeError: 'NoneType' object has no attribute 'shape'"],
)
def test_the_summary_says_why(report, why):
    summary = report[1].partition("short test summary")[2]
    assert why in summary, report[1][-3000:]


def test_a_saved_error_is_a_fault_of_its_own():
    error = new_output("error", ename="AttributeError", evalue="no", traceback=[])
    book = new_notebook(cells=[new_code_cell(STUB, execution_count=1, outputs=[error])])
    assert saved_from_one_clean_run(book, Path("lesson.ipynb")) == ["code cell 1 shows an error"]
