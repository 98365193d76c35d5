"""Tests that interrupt a run pass however pytest was started, also in the background of a shell."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
IGNORED = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
INTERRUPTED = """import subprocess, sys
child = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGINT)"]
print("died" if subprocess.run(child, capture_output=True).returncode else "survived")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
@pytest.mark.parametrize(("setup", "outcome"), [("", "survived"), ("import tests.conftest\n", "died")])
def test_a_process_started_by_a_test_hears_an_interrupt(setup, outcome):
    command = [sys.executable, "-c", IGNORED + setup + INTERRUPTED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == outcome
