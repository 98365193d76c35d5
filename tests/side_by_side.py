"""`pytest -n 2`: whole files at once, the longest first, and one browser.

A notebook's cells share a kernel, and tests of a file their fixtures. The browser tests share a JupyterLab.
"""

import os
from pathlib import PurePosixPath

import pytest


def unit_of(node_id: str) -> str:
    """What one process takes on as a whole: a notebook, the browser tests, or a file of other tests."""
    path = PurePosixPath(node_id.partition("::")[0])
    return "tests/browser" if "browser" in path.parts else str(path)


def rank(node_id: str) -> int:
    """The browser is the longest; then notebooks, minutes each; short files at the end leave no process idle."""
    unit = unit_of(node_id)
    return 0 if unit == "tests/browser" else 1 if unit.endswith(".ipynb") else 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort what a worker of `pytest -n` found; alone, the usual order stays."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Give each process one unit after the other, in the order of `rank`."""
    from xdist.scheduler import LoadScopeScheduling

    class UnitScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    config.option.loadscopereorder = False  # it would put the file with the most tests first
    return UnitScheduling(config, log)
