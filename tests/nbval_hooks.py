"""How pytest runs the notebooks: the environment of their kernels, and failures one can read in a summary.

`notebooks/conftest.py` hands these hooks to pytest, so that they apply from every folder and to one notebook alone.
The refresher and the browser tests start their kernels in the same environment, so all three see the same outputs.
"""

import os
import re
from pathlib import Path
from unittest import mock

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback
from nbval.plugin import IPyNbCell, NbCellError


def kernel_threads(cores: int, processes: int) -> int:
    """Two threads, as in all committed outputs; beside other processes of `pytest -n` a share of the cores.

    Where more threads compute than there are cores, they take turns, and each waits for the others.
    """
    return 2 if processes == 1 else max(1, min(2, cores // processes))


THREADS = kernel_threads(os.cpu_count() or 1, processes=int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
KERNEL_ENVIRONMENT = {
    "TQDM_DISABLE": "1",  # a bar saved in a notebook is frozen, and its times differ in every run
    "OMP_NUM_THREADS": str(THREADS),
    "MKL_NUM_THREADS": str(THREADS),
    "CUDA_VISIBLE_DEVICES": "",  # committed outputs are those of the default setting, which is the CPU
    "PYTHONHASHSEED": "0",
}
SANITIZE_FILE = Path(__file__).with_name("nbval_sanitize.cfg")

BROKEN_BY = pytest.StashKey[int]()
COMPARED = re.compile(r"""['"].* == ['"]""")
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def pytest_configure(config: pytest.Config) -> None:
    """Name the sanitise file by its full path: in the settings file it would be relative to the current folder."""
    if not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(SANITIZE_FILE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    """Start the kernel in `KERNEL_ENVIRONMENT`, and skip what follows a cell that raised in the same notebook."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    if BROKEN_BY in item.parent.stash:
        pytest.skip(f"cell {item.parent.stash[BROKEN_BY]} above it raised")
    with mock.patch.dict(os.environ, KERNEL_ENVIRONMENT):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Give a failed cell one line in the short summary; remember a cell that raised."""
    report = yield
    if isinstance(item, IPyNbCell) and call.excinfo is not None and isinstance(call.excinfo.value, NbCellError):
        error = call.excinfo.value
        if "differ" not in str(error):
            item.parent.stash[BROKEN_BY] = item.cell_num
        report.longrepr = cell_failure(item, str(report.longrepr), one_line(error))
    return report


def one_line(error: NbCellError) -> str:
    """What went wrong in a cell: the error's last line, or the first line that differs."""
    lines = [line.strip() for line in ANSI_COLOUR.sub("", error.inner_traceback or "").splitlines() if line.strip()]
    if "differ" in str(error):
        return f"{error}: {next((line for line in lines if COMPARED.match(line)), lines[0])}"
    return lines[-1] if lines else str(error)


def cell_failure(item: IPyNbCell, text: str, message: str) -> ReprExceptionInfo:
    """nbval's text, and the message that pytest's short summary looks for, in a form that `pytest -n` can pass on."""
    place = ReprFileLocation(str(item.path), item.cell_num, message)
    return ReprExceptionInfo(ReprTraceback([ReprEntryNative([text])], extraline=None, style="native"), place)
