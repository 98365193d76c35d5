"""Notebooks are tests too: this file makes pytest run them as CI does, from whichever folder it is started."""

from tests.nbval_hooks import pytest_configure, pytest_runtest_makereport, pytest_runtest_setup
from tests.side_by_side import pytest_collection_modifyitems, pytest_xdist_make_scheduler

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_xdist_make_scheduler",
]
