"""A JupyterLab server of its own for the browser tests: it shares nothing with the user's and leaves nothing behind."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tests.nbval_hooks import KERNEL_ENVIRONMENT

START_TIMEOUT = 120.0
FOLDER_VARIABLES = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
}
SETTINGS = {
    # Otherwise a message asks for leave to fetch news, and lies over the page.
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False},
}


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: where it is, and the folder of copied notebooks that it shows."""

    url: str
    token: str
    folder: Path

    def address(self, notebook: str) -> str:
        """Page that opens `notebook` (a path below `folder`) alone, in a fresh workspace."""
        return f"{self.url}/doc/tree/{notebook}?reset&token={self.token}"


@contextmanager
def jupyter_lab(notebooks: Path, temporary: Path) -> Iterator[Server]:
    """Serve a copy of the folder `notebooks` from below `temporary` until the block ends.

    Raises:
        RuntimeError: if the server does not answer within two minutes; the message ends with its log.
    """
    folder = temporary / "notebooks"
    # A copy, for opening a notebook writes checkpoints and a kernelspec into it.
    shutil.copytree(
        notebooks, folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__", "conftest.py")
    )
    folders = {variable: str(temporary / name) for variable, name in FOLDER_VARIABLES.items()}
    for name, content in SETTINGS.items():
        path = temporary / "settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", secrets.token_hex(16), folder)
    log = temporary / "jupyterlab.log"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={server.token}", f"--ServerApp.root_dir={folder}"]
    with log.open("w") as output:
        environment = os.environ | folders | KERNEL_ENVIRONMENT
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_answers(server, process, log)
        yield server
    finally:
        process.terminate()  # it ends its kernels on the way out
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(server: Server, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/api/status?token={server.token}", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start:\n" + "\n".join(log.read_text().splitlines()[-20:]))


def write_notebook(path: Path, code: str) -> None:
    """A notebook of one cell."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)], metadata={"kernelspec": kernel})
    path.parent.mkdir(exist_ok=True)
    nbformat.write(book, path)
