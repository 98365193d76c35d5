"""Every notebook of the course runs in JupyterLab without an error in a cell or in the browser's console."""

import pytest

from tests.browser.conftest import NOTEBOOKS

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def test_runs_clean(lab, name):
    lab(name)
