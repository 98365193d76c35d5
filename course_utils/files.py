"""Files with a name, written whole or not at all: whatever stops a program leaves the old file, or none."""

import argparse
import contextlib
import glob
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from filelock import FileLock, Timeout


def named_path(text: str) -> Path:
    """A path of the command line; an empty one, as of a shell variable that is not set, is refused."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty; name a file or folder")
    return Path(text)


def temporary_path(path: Path, process: int | None = None) -> Path:
    """Where a process lets a file grow before it replaces the old one: in the same folder, so that moving is atomic."""
    return path.with_name(f".{path.name}.{platform.node()}-{process or os.getpid()}.tmp")


def prove_writable(path: Path) -> None:
    """Write the file that would become `path` and remove it, with all that killed processes left of it.

    Raises:
        OSError: if it cannot be written.
    """
    temporary = temporary_path(path.resolve())
    temporary.write_bytes(b"")
    temporary.unlink(missing_ok=True)  # another thread may have
    before, after = temporary.name.rsplit(str(os.getpid()), 1)
    for other in temporary.parent.glob(f"{glob.escape(before)}*{after}"):
        process = other.name.removeprefix(before).removesuffix(after)
        if process.isdecimal() and _is_gone(int(process)):
            other.unlink(missing_ok=True)


def _is_gone(process: int) -> bool:
    """Whether no process of this machine has that number; False where that cannot be asked without harm."""
    if os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's, or a number that no process can have
        pass
    return False


def lock_for(path: Path) -> FileLock:
    """A lock that one process of this machine at a time has for `path`; it lies where temporary files lie."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    return FileLock(Path(tempfile.gettempdir()) / f"unet-course-{user}-{digest}.lock")


@contextlib.contextmanager
def one_at_a_time(path: Path, wait: bool = True) -> Iterator[None]:
    """Context that one process of this machine at a time has for `path`.

    Raises:
        OSError: if another process has it, and this one is not to `wait`.
    """
    lock = lock_for(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        raise OSError(f"another process is at work on {path}; let it end, or name another file.") from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write to, which becomes `path` at the end: whatever stops that leaves the old file or none.

    That holds for a power cut too. A link stays one: the file that it leads to is replaced.
    """
    path = path.resolve()
    temporary = temporary_path(path)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system lets a folder be opened (Windows does not)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, record: Mapping) -> None:
    """Write `record` as JSON, whole or not at all.

    Raises:
        ValueError: if it holds nan or an infinite number, which JSON does not know.
    """
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def update_record(path: Path, kind: str, change: Callable[[dict], None]) -> dict:
    """Read the record at `path`, or begin one, change it, and put it back whole; what others added meanwhile stays.

    Raises:
        ValueError: as for `read_record` and `write_json`.
    """
    with one_at_a_time(path):
        record = read_record(path, kind) if path.exists() else {"format": kind}
        change(record)
        write_json(path, record)
    return record


def read_record(path: Path, kind: str, fields: Collection[str] = ()) -> dict:
    """What a command put into a JSON file of its own; `kind` is the ``"format"`` that it wrote there.

    Args:
        fields: what each of its ``"runs"`` must have.

    Raises:
        ValueError: if the file is something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no JSON file ({error}); name another file.") from error
    if not isinstance(record, dict) or record.get("format") != kind:
        raise ValueError(f"{path} is no record of {kind.partition(',')[0]}; name another file.")
    runs = record.get("runs", [])
    if not isinstance(runs, list) or not all(isinstance(run, dict) and run.keys() >= set(fields) for run in runs):
        raise ValueError(f"{path} is damaged: one of its runs is none; restore the file, or name another.")
    return record
