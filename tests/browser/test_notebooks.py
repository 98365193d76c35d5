"""Every notebook of the course runs in JupyterLab without an error in a cell or in the browser's console.

Those with a test of their widget beside this file are run there, and not a second time here. Those that train for more
than a minute run whole where ALL_IN_BROWSER is set, as it is for every change of the course; elsewhere their widgets
run in the browser, alone, and their cells by nbval.
"""

import os
import re
from pathlib import Path

import pytest

from tests.browser.conftest import NOTEBOOKS

pytestmark = pytest.mark.browser

NAMED = re.compile(r'^NOTEBOOK = "(.+\.ipynb)"$', re.MULTILINE)
RUN_ELSEWHERE = {name for path in Path(__file__).parent.glob("test_*.py") for name in NAMED.findall(path.read_text())}
REST = sorted({path.name for path in NOTEBOOKS.glob("*.ipynb")} - RUN_ELSEWHERE)


@pytest.mark.skipif(not os.environ.get("ALL_IN_BROWSER"), reason="long; ALL_IN_BROWSER=1 runs it in the browser too")
@pytest.mark.parametrize("name", REST)
def test_runs_clean(lab, name):
    lab(name)


def test_no_notebook_is_forgotten():
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} >= RUN_ELSEWHERE
