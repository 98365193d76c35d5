"""Fixtures of the browser tests: one JupyterLab and one Chromium for all, a fresh page for each notebook."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from course_utils.check_setup import HOW_TO_GET_CHROMIUM, find_chromium
from tests.browser.jupyter_lab import Server, jupyter_lab, write_notebook

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
ARTIFACTS = ROOT / "artifacts"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A headless Chromium: the system's, else Playwright's own; without either, the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: `pip install playwright`")
    path = find_chromium()
    if path is None:
        # Whoever counts on the browser must not take a missing one for success.
        stop = pytest.fail if os.environ.get("BROWSER_REQUIRED") else pytest.skip
        stop(f"no Chromium: {HOW_TO_GET_CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(chromium, tmp_path_factory) -> Iterator[Server]:
    """JupyterLab on a copy of the course's notebooks; a test may write more of them into `server.folder`."""
    with jupyter_lab(NOTEBOOKS, tmp_path_factory.mktemp("jupyterlab")) as running:
        yield running


@pytest.fixture
def open_notebook(chromium, server, request) -> Iterator[Callable]:
    """`open_notebook("NAME.ipynb")` gives a `NotebookPage` with its kernel ready and nothing run yet."""
    from tests.browser.notebook_page import READY_TIMEOUT, NotebookPage

    ARTIFACTS.mkdir(exist_ok=True)
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(READY_TIMEOUT)

    def open_(name: str) -> NotebookPage:
        return NotebookPage(context.new_page(), server.address(name), ARTIFACTS)

    yield open_
    name = re.sub(r"\W+", "-", f"{request.path.stem} {request.node.name}").strip("-")
    for page in context.pages:
        page.screenshot(path=ARTIFACTS / f"{name}.png")
        page.evaluate("async () => await window.jupyterapp.serviceManager.sessions.shutdownAll()")
    context.close()


@pytest.fixture
def lab(open_notebook) -> Callable:
    """`lab("NAME.ipynb")` opens a notebook, runs all of it and gives its `NotebookPage`; it fails on any error."""

    def run(name: str):
        notebook = open_notebook(name)
        notebook.run_all()
        notebook.assert_clean()
        return notebook

    return run


@pytest.fixture
def lab_alone(lab, server) -> Callable:
    """`lab_alone("NAME", code)` does the same with a notebook of one cell: a widget without the lesson around it."""

    def run(name: str, code: str):
        write_notebook(server.folder / "alone" / f"{name}.ipynb", code)
        return lab(f"alone/{name}.ipynb")

    return run
