"""The prepared folder and the hidden places beside it: one run at a time, and all or nothing."""

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from course_utils.data_layout import DATA_DIR, LAYOUT, PHOTO_SUFFIXES, SPLITS, find_photo
from course_utils.files import lock_for
from data_scripts._checks import read_lines
from data_scripts._errors import DataError
from data_scripts._sources import Source, is_camvid_stem

DEFAULT_DEST = DATA_DIR / "camvid"
_PREPARED_NAMES = set(LAYOUT)
_PICTURE_FOLDERS = {"images", "labels"}
_LITTER = {".DS_Store", "Thumbs.db"}
"""Files that systems leave in folders one looks at, and that nobody misses."""
_SCRATCH_PREFIX = "scratch-"
_PREVIOUS = "previous"


def resolved(path: Path) -> Path:
    """The path in full, links followed: what lies beside it is then on the same disk."""
    return path.expanduser().resolve()


@contextmanager
def _printed(text: str) -> Iterator[None]:
    """Prints `text`, which stays."""
    print(text, flush=True)
    yield


@contextmanager
def workplace(dest: Path, waiting: Callable[[str], AbstractContextManager] = _printed) -> Iterator[Path]:
    """A hidden folder beside `dest` for one run at a time; it stays only while it keeps a part of a download.

    An exchange of folders that a killed run left half-done is put right first, so look at `dest` again in here.

    Args:
        dest: the folder to prepare, `resolved`; whether it may be replaced is for the caller to check.
        waiting: shows a sentence for as long as another run has the place.
    """
    made: list[Path] = []
    lock = lock_for(dest)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            with waiting(f"Another run is preparing {dest}; waiting for it to end"):
                lock.acquire()
        made = [folder for folder in dest.parents if not folder.exists()]
        dest.parent.mkdir(parents=True, exist_ok=True)
        work = dest.with_name(f".{dest.name}.part")
        try:
            work.mkdir(exist_ok=True)
            _settle(dest, work)
            for stale in work.glob(f"{_SCRATCH_PREFIX}*"):
                # A helper of a killed run may still write there; what is left then goes with the next run.
                shutil.rmtree(stale, ignore_errors=True)
            yield work
        finally:
            with suppress(OSError):
                work.rmdir()
    finally:
        for folder in made:  # innermost first: those made for what has failed are empty
            with suppress(OSError):
                folder.rmdir()
        lock.release()


@contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """A new folder below `work`, gone at the end however that comes."""
    with tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=work, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def put_in_place(prepared: Path, dest: Path, work: Path) -> None:
    """Rename the complete folder `prepared` to `dest`; what was there before goes only when that has worked."""
    try:
        if dest.exists():
            os.replace(dest, work / _PREVIOUS)
        os.replace(prepared, dest)
    finally:
        _settle(dest, work)


def refuse_foreign(dest: Path) -> None:
    """Refuse to replace what holds more than a prepared CamVid.

    Raises:
        DataError: if `dest` is a file, or a folder with other things in it.
    """
    if not dest.exists():
        return
    if not dest.is_dir():
        raise DataError(f"{dest} is a file: choose a folder with --dest")
    if is_where_we_work(dest):
        raise DataError(f"{dest} holds the folder you work in: choose another with --dest")
    lists = [path for split in SPLITS if (path := dest / f"{split}.txt").is_file()]
    # Folders of pictures alone are somebody's.
    is_set = bool(lists) or (dest / "codes.txt").is_file()
    foreign = foreign_names(dest, _PREPARED_NAMES if is_set else ())
    if not foreign:
        listed = {stem for path in lists for stem in read_lines(path)}
        # A set that lost a list may be replaced: CamVid's own names are known without it.
        foreign = unlisted_names(dest, lambda stem: stem in listed or is_camvid_stem(stem), PHOTO_SUFFIXES)
    if foreign:
        raise DataError(f"{dest} holds other things, such as {foreign[0]!r}: choose an empty or new folder with --dest")


def is_where_we_work(folder: Path) -> bool:
    """Whether to replace a folder would take the one away in which the command was started."""
    here = Path.cwd().resolve()
    return folder.resolve() in (here, *here.parents)


def foreign_names(folder: Path, known: Collection[str]) -> list[str]:
    """Names of what lies in a folder besides the `known` and what systems leave; hidden ones last.

    A file where a folder of pictures belongs, or a folder where a file does, is not known.
    """
    names = [
        path.name
        for path in folder.iterdir()
        if not _is_litter(path) and (path.name not in known or path.is_dir() != (path.name in _PICTURE_FOLDERS))
    ]
    return sorted(names, key=lambda name: (name.startswith("."), name))


def unlisted_names(folder: Path, is_listed: Callable[[str], bool], photo_suffixes: Collection[str]) -> list[str]:
    """What lies in `images` and `labels` of a data set, as ``images/NAME``, and is no picture of a listed stem.

    Args:
        is_listed: whether the data set has a scene of this stem.
        photo_suffixes: endings of its photographs; a mask ends in .png.
    """
    return [
        f"{name}/{path.name}"
        for name, suffixes in (("images", photo_suffixes), ("labels", (".png",)))
        if (folder / name).is_dir()
        for path in sorted((folder / name).iterdir())
        if not _is_litter(path) and not (path.is_file() and path.suffix in suffixes and is_listed(path.stem))
    ]


def _is_litter(path: Path) -> bool:
    return path.name in _LITTER and path.is_file()


def already_there(dest: Path, source: Source | None) -> bool:
    """Whether `dest` is prepared, by a quick look at names and lists that opens no picture.

    Raises:
        DataError: if it is incomplete, or holds another version than `source` (None: any version will do).
    """
    if not dest.exists() or not any(dest.iterdir()):
        return False
    remedy = "add --force to replace it, or choose another --dest"
    missing = _first_missing(dest)
    if missing is not None:
        raise DataError(f"{dest} is incomplete ({missing} is missing or empty): {remedy}")
    counts = {split: len(read_lines(dest / f"{split}.txt")) for split in SPLITS}
    n_codes = len(read_lines(dest / "codes.txt"))
    held = f"{', '.join(f'{count} {split}' for split, count in counts.items())}; {n_codes} classes with void"
    if source is not None and (counts != dict(source.counts) or n_codes != source.n_codes):
        raise DataError(f"{dest} holds another set ({held}) than --source {source.name}: {remedy}")
    print(f"{dest} is already prepared ({held}): nothing to do (--force prepares it again)")
    return True


def refuse_overlap(origin: Path, dest: Path) -> None:
    """Refuse to read from and write to the same place.

    Raises:
        DataError: if one of the two folders is or contains the other.
    """
    for inner, outer in ((dest, origin), (origin, dest)):
        if any(_is_same(outer, path) for path in (inner, *inner.parents)):
            raise DataError(f"--from {origin} and --dest {dest} overlap: choose another --dest")


def _is_same(first: Path, second: Path) -> bool:
    """Compares the folders, not their names: two spellings can mean one folder on some systems."""
    return first.exists() and second.exists() and first.samefile(second)


def _first_missing(dest: Path) -> str | None:
    for name in ("codes.txt", *(f"{split}.txt" for split in SPLITS)):
        if not (dest / name).is_file() or not read_lines(dest / name):
            return name
    for split in SPLITS:
        for stem in read_lines(dest / f"{split}.txt"):
            photo, mask = find_photo(dest / "images", stem), dest / "labels" / f"{stem}.png"
            if photo is None or photo.stat().st_size == 0:
                return f"the photograph {stem}"
            if not mask.is_file() or mask.stat().st_size == 0:
                return f"the mask {stem}"
    return None


def _settle(dest: Path, work: Path) -> None:
    """Finish or undo an exchange of folders, also one that a killed run left half-done."""
    previous = work / _PREVIOUS
    if previous.exists():
        if dest.exists():
            shutil.rmtree(previous)
        else:
            os.replace(previous, dest)
