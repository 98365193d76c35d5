"""Every notebook of the course runs in JupyterLab without an error in a cell or in the browser's console.

Those that a test beside this file opens whole, to work their widget, are not run a second time here.
"""

import re
from pathlib import Path

import pytest

from tests.browser.conftest import NOTEBOOKS

pytestmark = pytest.mark.browser

NAMED = re.compile(r'^NOTEBOOK = "(.+\.ipynb)"$', re.MULTILINE)
RUN_ELSEWHERE = {name for path in Path(__file__).parent.glob("test_*.py") for name in NAMED.findall(path.read_text())}
REST = sorted({path.name for path in NOTEBOOKS.glob("*.ipynb")} - RUN_ELSEWHERE)


@pytest.mark.parametrize("name", REST)
def test_runs_clean(lab, name):
    lab(name)


def test_no_notebook_is_forgotten():
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} >= RUN_ELSEWHERE
