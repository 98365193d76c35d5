"""Unpacking an archive so that no entry can leave the target folder, link anywhere or fill the disk."""

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from tqdm.auto import tqdm

from data_scripts._errors import DataError

MAX_ENTRIES = 50_000
MAX_BYTES = 4 * 2**30
"""CamVid has at most 0.6 GB in 1,404 files: anything above these limits is not CamVid."""

_WANTED = {".png", ".jpg", ".jpeg", ".txt"}
_DAMAGE = (
    EOFError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
)


def unpack(archive: Path, target: Path, *, max_bytes: int = MAX_BYTES, max_entries: int = MAX_ENTRIES) -> None:
    """Unpack the photographs, masks and lists of a .zip, .tar or compressed .tar archive into the folder `target`.

    Raises:
        DataError: if the archive is damaged, is of another type, has an entry that is a link or a device or that
            points outside of `target`, or is larger than the limits. `target` may then hold a part of it.
    """
    with archive.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    try:
        (_unpack_zip if is_zip else _unpack_tar)(archive, target, max_bytes, max_entries)
    except (*_DAMAGE, OSError) as error:
        # gzip reports damaged data as an OSError that carries no errno; a full disk does carry one.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            f"{archive} is not a complete .zip, .tar or .tgz archive ({error}): fetch or pack it again"
        ) from error


def _unpack_zip(archive: Path, target: Path, max_bytes: int, max_entries: int) -> None:
    with zipfile.ZipFile(archive) as unpacked:
        entries = unpacked.infolist()
        _refuse_if(len(entries) > max_entries, archive, f"it has {len(entries):,} entries, more than {max_entries:,}")
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)
            _refuse_if(
                kind not in (0, stat.S_IFREG, stat.S_IFDIR), archive, f"{entry.filename!r} is a link or a device"
            )
        budget = _Budget(archive, max_bytes)
        for entry in tqdm(entries, desc="Unpacking", unit="file", leave=False):
            path = _inside(archive, target, entry.filename)
            if not entry.is_dir() and _is_wanted(path):
                with unpacked.open(entry) as content:
                    budget.write(content, path)


def _unpack_tar(archive: Path, target: Path, max_bytes: int, max_entries: int) -> None:
    with tarfile.open(archive, "r:*") as unpacked:
        budget = _Budget(archive, max_bytes)
        for number, entry in enumerate(tqdm(_members(unpacked), desc="Unpacking", unit="file", leave=False)):
            _refuse_if(number >= max_entries, archive, f"it has more than {max_entries:,} entries")
            _refuse_if(not (entry.isreg() or entry.isdir()), archive, f"{entry.name!r} is a link or a device")
            path = _inside(archive, target, entry.name)
            if entry.isreg() and _is_wanted(path):
                with unpacked.extractfile(entry) as content:
                    budget.write(content, path)
            else:
                budget.skip(entry.size)


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    yield from archive


def _inside(archive: Path, target: Path, name: str) -> Path:
    """Where an entry goes; an absolute name, a drive letter or a step upwards is refused on every system."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in posix.parts or ".." in windows.parts
    _refuse_if(bool(outside) or "\0" in name, archive, f"its entry {name!r} points outside of the target folder")
    return target.joinpath(*posix.parts)


def _is_wanted(path: Path) -> bool:
    return path.suffix.lower() in _WANTED and "__MACOSX" not in path.parts and not path.name.startswith("._")


def _refuse_if(condition: bool, archive: Path, reason: str) -> None:
    if condition:
        raise DataError(f"{archive} was not unpacked because {reason}: fetch it again from a source you trust")


class _Budget:
    """Counts what is really written, since an archive can understate the sizes of its entries."""

    def __init__(self, archive: Path, max_bytes: int) -> None:
        self.archive, self.left, self.max_bytes = archive, max_bytes, max_bytes

    def skip(self, n_bytes: int) -> None:
        self.left -= n_bytes
        reason = f"it unpacks to more than {self.max_bytes:,} bytes, which CamVid does not"
        _refuse_if(self.left < 0, self.archive, reason)

    def write(self, content: IO[bytes], path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            while chunk := content.read(2**20):
                self.skip(len(chunk))
                file.write(chunk)
