"""What holds for every command that fetches, makes or checks data."""

import subprocess
import sys

import pytest

from course_utils.check_setup import ROOT

COMMANDS = sorted(path.stem for path in (ROOT / "data_scripts").glob("[!_]*.py"))


@pytest.mark.parametrize("name", COMMANDS)
def test_it_starts_without_torch_which_takes_seconds_to_import(name):
    code = f"import sys; import data_scripts.{name}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
