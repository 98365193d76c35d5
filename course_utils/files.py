"""Files that are written whole or not at all: whatever stops a program leaves the old file, or none."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path


def temporary_path(path: Path) -> Path:
    """Where a file grows before it replaces the old one: in the same folder, so that moving it is atomic."""
    return path.with_name(f".{path.name}.tmp")


def prove_writable(path: Path) -> None:
    """Write the file that would become `path` and remove it, also while another process does the same.

    Raises:
        OSError: if it cannot be written.
    """
    temporary = temporary_path(path.resolve())
    temporary.write_bytes(b"")
    temporary.unlink(missing_ok=True)


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
    record = read_record(path, kind) if path.exists() else {"format": kind}
    change(record)
    write_json(path, record)
    return record


def read_record(path: Path, kind: str) -> dict:
    """What a command put into a JSON file of its own; `kind` is the ``"format"`` that it wrote there.

    Raises:
        ValueError: if the file is something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no JSON file ({error}); name another file.") from error
    if not isinstance(record, dict) or record.get("format") != kind:
        raise ValueError(f"{path} is no record of {kind.partition(',')[0]}; name another file.")
    return record
