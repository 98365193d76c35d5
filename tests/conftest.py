"""Settings of all unit tests: the same random examples in every run, no failure for slowness, Ctrl-C always heard."""

import os
import signal

from hypothesis import settings

from tests.side_by_side import pytest_collection_modifyitems, pytest_xdist_make_scheduler

__all__ = ["pytest_collection_modifyitems", "pytest_xdist_make_scheduler"]

# The tests compute little at a time, and on a busy machine threads wait for each other.
# Kernels of notebooks have their own setting (tests/nbval_hooks.py).
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("course", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("course")

# A shell starts background jobs with interrupts ignored. These tests and all processes they start would inherit that,
# and tests of an interrupted run would fail.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
