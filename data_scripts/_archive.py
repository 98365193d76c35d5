"""Unpacking an archive so that no entry can leave the target folder, link anywhere or fill the disk."""

import errno
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from tqdm.auto import tqdm

from data_scripts._errors import DataError

MAX_ENTRIES = 50_000
MAX_BYTES = 4 * 2**30
"""CamVid has at most 0.6 GB in 1,406 files: anything above these limits is not CamVid."""

_WANTED = {".png", ".jpg", ".jpeg", ".txt"}
_DAMAGE = (
    EOFError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
IMPOSSIBLE_NAMES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
"""An entry that is a file and a folder at once, or whose name is too long for the file system."""


def unpack(archive: Path, target: Path, *, name: str) -> None:
    """Unpack the photographs, masks and lists of a .zip, .tar or .tgz archive into the new folder `target`.

    `name` is what messages call the archive.

    Raises:
        DataError: if the archive is damaged, is of another type, has an entry that is a link or a device or that
            points outside of `target`, or is larger than the limits. `target` may then hold a part of it.
    """
    target.mkdir()
    writer = _Writer(name, target)
    with archive.open("rb") as file:
        magic = file.read(2)
    try:
        if magic == b"PK":
            _unpack_zip(archive, writer)
        else:
            with (gzip.open if magic == b"\x1f\x8b" else open)(archive, "rb") as stream:
                _unpack_tar(stream, writer)
    except (*_DAMAGE, OSError) as error:
        # gzip reports damaged data as an OSError without a number, and a damaged offset ends in an invalid seek;
        # a full disk and the like have numbers of their own, but not what comes of impossible names of entries.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, *IMPOSSIBLE_NAMES):
            raise
        reason = error.strerror if getattr(error, "errno", None) in IMPOSSIBLE_NAMES else str(error).rstrip(".")
        raise DataError(
            f"{name} is not a complete .zip, .tar or .tgz archive ({reason}): fetch or pack it again"
        ) from error


def _unpack_zip(archive: Path, writer: "_Writer") -> None:
    with zipfile.ZipFile(archive) as unpacked:
        for entry in tqdm(unpacked.infolist(), desc="Unpacking", unit="file", leave=False):
            kind = stat.S_IFMT(entry.external_attr >> 16)
            path = writer.path_of(entry.filename, is_plain=kind in (0, stat.S_IFREG, stat.S_IFDIR))
            writer.count(entry.file_size)
            if path is not None and not entry.is_dir():
                with unpacked.open(entry) as content:
                    writer.write(content, path, entry.file_size)


def _unpack_tar(stream: IO[bytes], writer: "_Writer") -> None:
    with tarfile.open(fileobj=stream, mode="r:") as unpacked:
        for entry in tqdm(unpacked, desc="Unpacking", unit="file", leave=False):
            path = writer.path_of(entry.name, is_plain=entry.isreg() or entry.isdir())
            writer.count(entry.size)
            if path is not None and entry.isreg():
                with unpacked.extractfile(entry) as content:
                    writer.write(content, path, entry.size)
        # A damaged header looks like the end to tarfile. The real end is a block of zeros with zeros behind it, and
        # only who reads up to there has also had gzip compare its checksum.
        if stream.tell() < unpacked.offset + tarfile.BLOCKSIZE:
            raise tarfile.ReadError("its end is missing")
        while rest := stream.read(2**20):
            writer.count(len(rest))
            if any(rest):
                raise tarfile.ReadError("it has an unreadable entry")


class _Writer:
    """Decides what may be written below `target`, and keeps count against the limits."""

    def __init__(self, name: str, target: Path) -> None:
        self.name, self.target = name, target
        self.n_bytes = self.n_entries = 0

    def path_of(self, entry: str, *, is_plain: bool) -> Path | None:
        """Where an entry goes; None if nobody needs it. An unsafe entry is refused even if nobody needs it."""
        self._refuse_if(not is_plain, f"its entry {entry!r} is a link or a device")
        posix, windows = PurePosixPath(entry), PureWindowsPath(entry)
        # The rules of both systems everywhere, so that an archive is safe or unsafe wherever it is unpacked.
        leaves = posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts or "\0" in entry
        self._refuse_if(bool(leaves), f"its entry {entry!r} points outside of the target folder")
        junk = "__MACOSX" in posix.parts or posix.name.startswith("._")
        return None if junk or posix.suffix.lower() not in _WANTED else self.target.joinpath(*posix.parts)

    def count(self, n_bytes: int) -> None:
        """Count one entry of a stated size."""
        self.n_entries += 1
        self.n_bytes += n_bytes
        self._refuse_if(self.n_entries > MAX_ENTRIES, f"it has more than {MAX_ENTRIES:,} entries")
        self._refuse_if(self.n_bytes > MAX_BYTES, f"it unpacks to more than {MAX_BYTES:,} bytes")

    def write(self, content: IO[bytes], path: Path, n_bytes: int) -> None:
        """Write one file, and no more of it than its entry stated."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            while chunk := content.read(2**20):
                n_bytes -= len(chunk)
                self._refuse_if(n_bytes < 0, f"{path.name} is larger than its entry states")
                file.write(chunk)

    def _refuse_if(self, condition: bool, reason: str) -> None:
        if condition:
            raise DataError(f"{self.name} is not safe to unpack ({reason}): get it again from a source you trust")
