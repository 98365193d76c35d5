"""Every notebook of the course shows in JupyterLab without an error in a cell or in the browser's console.

All but the three that train longest are run. Those that a test beside this file opens whole, to work their widget, are
not run a second time here.
"""

import re
from pathlib import Path

import nbformat
import pytest

from tests.browser.conftest import NOTEBOOKS

pytestmark = pytest.mark.browser

NAMED = re.compile(r'^NOTEBOOK = "(.+\.ipynb)"$', re.MULTILINE)
RUN_ELSEWHERE = {name for path in Path(__file__).parent.glob("test_*.py") for name in NAMED.findall(path.read_text())}
LONGEST = (
    "04_pixel_shuffle_and_icnr.ipynb",
    "06_hooked_unet_on_camvid.ipynb",
    "08_one_network_five_restorations.ipynb",
)
"""On one thread they train for minutes: nbval runs them, and here the outputs that were saved are shown."""

REST = sorted({path.name for path in NOTEBOOKS.glob("*.ipynb")} - RUN_ELSEWHERE - set(LONGEST))


@pytest.mark.parametrize("name", REST)
def test_runs_clean(lab, name):
    lab(name)


@pytest.mark.parametrize("name", LONGEST)
def test_shows_its_saved_outputs(open_notebook, name):
    from playwright.sync_api import expect

    outputs = [out for cell in nbformat.read(NOTEBOOKS / name, as_version=4).cells for out in cell.get("outputs", ())]
    data = [out.get("data", {}) for out in outputs]
    saved = [kinds for kinds in data if "image/png" in kinds or "<img" in kinds.get("text/html", "")]
    assert len(saved) > 5
    notebook = open_notebook(name)
    expect(notebook.page.locator(".jp-OutputArea-output img")).to_have_count(len(saved))
    notebook.assert_clean()


def test_no_notebook_is_forgotten():
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == RUN_ELSEWHERE | {*LONGEST, *REST}
