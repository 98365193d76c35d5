"""Run notebooks from a clean kernel, top to bottom, and write their outputs in place: same code, same bytes.

Every output is written anew, so a saved output always comes from a run of exactly the code above it. --check writes
nothing: it runs the notebooks and names each cell whose saved outputs are not what it gives now. Of cells tagged
nbval-ignore-output (durations, results that depend on the platform) it compares the kinds of output only. --out keeps
how long each notebook took, and how much memory.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import nbformat
import torch
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

from course_utils.command_line import check_files, provenance
from course_utils.files import write_json
from tests.nbval_hooks import ANSI_COLOUR, KERNEL_ENVIRONMENT
from tests.notebook_outputs import differences, tidy

NOTEBOOKS = Path(os.path.relpath(Path(__file__).resolve().parent.parent / "notebooks"))


class NotebookError(Exception):
    """A cell raised, took too long or lost its kernel; the message says which one and shows its source."""


def execute(notebook: NotebookNode, folder: Path, *, timeout: float) -> int | None:
    """Run every code cell of `notebook`, in place, from a clean kernel of this environment in `folder`.

    Returns:
        Peak memory of the kernel's process in bytes; None where the operating system has no /proc.

    Raises:
        NotebookError: if a cell fails; the cells after it are not run.
    """
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager()),
        timeout=timeout,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        shutdown_kernel="immediate",  # nothing is left to save, and a cell that hangs would hold a graceful one up
    )
    code_cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    kernel = client.setup_kernel(stderr=subprocess.DEVNULL, cleanup_kc=True)
    # Cell by cell rather than `client.execute()`: that one does not tell which cell it was that failed.
    with mock.patch.dict(os.environ, KERNEL_ENVIRONMENT), kernel:
        for number, (index, cell) in enumerate(code_cells, 1):
            try:
                client.execute_cell(cell, index, execution_count=number)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise NotebookError(_describe(number, cell, error, timeout)) from None
        return _peak_memory(client.km.provisioner.pid)


def _describe(number: int, cell: NotebookNode, error: Exception, timeout: float) -> str:
    if isinstance(error, CellExecutionError):
        reason = ANSI_COLOUR.sub("", f"{error.ename}: {error.evalue}")
    elif isinstance(error, CellTimeoutError):
        reason = f"It took longer than {timeout:g} s."
    else:
        reason = "The kernel died: most often the machine was out of memory."
    source = "\n".join("    " + line for line in cell.source.splitlines())
    return f"code cell {number} (id {cell.id}) failed:\n{source}\n{reason}"


def _peak_memory(pid: int) -> int | None:
    status = Path(f"/proc/{pid}/status")
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return int(peak[1]) * 1024 if peak else None


def write_atomically(notebook: NotebookNode, path: Path) -> None:
    """Replace `path` in one step: whatever happens, it holds either the old notebook or the new one."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as file:
        file.write(nbformat.writes(notebook).rstrip("\n") + "\n")
    os.chmod(file.name, path.stat().st_mode)
    os.replace(file.name, path)


def process(path: Path, *, check: bool, timeout: float) -> tuple[bool, dict]:
    """Refresh or check one notebook and print what came of it: whether all is well, and what the run took."""
    saved = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    try:
        peak = execute(fresh, path.parent, timeout=timeout)
    except NotebookError as error:
        print(f"{path}: {error}", flush=True)
        return False, {}
    seconds = time.perf_counter() - start
    tidy(fresh)
    if check:
        problems = list(differences(saved, fresh))
        verdict = "STALE" if problems else "up to date"
    else:
        problems = []
        write_atomically(fresh, path)
        verdict = "refreshed"
    memory = f"{peak / 2**20:.0f} MiB" if peak else "peak memory unknown"
    print("\n    ".join([f"{path}: {verdict}, {seconds:.1f} s, {memory}", *problems]), flush=True)
    return not problems, {"seconds": round(seconds, 1), "peak_mib": round(peak / 2**20) if peak else None}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.refresh_notebooks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: every notebook there is")
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a notebook is stale")
    parser.add_argument(
        "--timeout", type=float, default=300, metavar="SECONDS", help="for one cell (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file for seconds and peak memory")
    options = parser.parse_args(arguments)
    paths = options.notebooks or [*sorted(NOTEBOOKS.glob("*.ipynb")), *sorted(NOTEBOOKS.glob("solutions/*.ipynb"))]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        parser.error(f"no such notebook: {', '.join(missing)}" if missing else f"no notebooks in {NOTEBOOKS}")
    if options.out is not None:
        try:
            check_files([options.out])
        except OSError as error:
            parser.error(str(error))
    results = {
        f"{path.absolute().parent.name}/{path.stem}": process(path, check=options.check, timeout=options.timeout)
        for path in paths
    }
    if options.out is not None:
        threads = {"threads": int(KERNEL_ENVIRONMENT["OMP_NUM_THREADS"])}
        taken = {name: found for name, (_, found) in results.items() if found}
        write_json(options.out, provenance(torch.device("cpu")) | threads | {"notebooks": taken})
    return 0 if all(fine for fine, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
