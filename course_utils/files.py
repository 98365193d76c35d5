"""Files that are written whole or not at all: whatever stops a program leaves the old file, or none."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
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

    A link stays one: the file that it leads to is replaced.
    """
    path = path.resolve()
    temporary = temporary_path(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, record: Mapping) -> None:
    """Write `record` as JSON, whole or not at all.

    Raises:
        ValueError: if it holds nan or an infinite number, which JSON does not know.
    """
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
