"""Notebooks are tests too: this file makes pytest run them as CI does, from whichever folder it is started."""

from tests.nbval_hooks import pytest_configure, pytest_runtest_makereport, pytest_runtest_setup

__all__ = ["pytest_configure", "pytest_runtest_makereport", "pytest_runtest_setup"]
