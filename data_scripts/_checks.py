"""Checks of a prepared data folder: every problem is collected before anything is reported."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from course_utils.classes import CLASS_NAMES, VOID_NAME
from course_utils.data_layout import SPLITS, find_photo
from data_scripts._sources import Source, is_camvid_stem

_EXAMPLES = 3


@dataclass
class Report:
    """What the checks found in a prepared folder.

    Attributes:
        codes: class names, one a mask value.
        splits: the stems that each split lists.
        problems: kind of problem -> the things that have it. Such a folder must not be used.
        sizes: (width, height) -> number of masks.
        void_share: split -> share of its mask pixels that are void, 0 to 1.
        digest: `mask_digest` of the folder; None where a mask could not be read.
    """

    codes: tuple[str, ...] = ()
    splits: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    sizes: Counter = field(default_factory=Counter)
    void_share: dict[str, float] = field(default_factory=dict)
    digest: str | None = None

    def add(self, kind: str, *items: str) -> None:
        """Note the things that have a problem of this kind, if there are any."""
        if items:
            self.problems.setdefault(kind, []).extend(items)

    def looks_like_camvid(self) -> bool:
        """Whether most of the listed stems are named as CamVid's frames are."""
        stems = [stem for split in self.splits.values() for stem in split]
        return 2 * sum(map(is_camvid_stem, stems)) > len(stems)


@dataclass(frozen=True)
class _Mask:
    """What one mask holds: its size, the digest of its pixels and how often each value occurs."""

    size: tuple[int, int]
    digest: str
    histogram: np.ndarray


def summary(problems: dict[str, list[str]]) -> str:
    """All problems in one line: how many of each kind, with the first few of each."""
    parts = []
    for kind, items in problems.items():
        more = ", ..." if len(items) > _EXAMPLES else ""
        parts.append(f"{kind}: {len(items)} ({', '.join(items[:_EXAMPLES])}{more})")
    return "; ".join(parts)


def mask_digest(masks: dict[tuple[str, str], _Mask]) -> str:
    """SHA-256 over the lines ``split/stem WIDTHxHEIGHT SHA256-OF-PIXELS``, sorted: names, splits and every mask pixel.

    Photographs and the compression of the masks do not enter, so a re-encoded copy keeps its digest.
    """
    lines = (f"{split}/{stem} {m.size[0]}x{m.size[1]} {m.digest}\n" for (split, stem), m in sorted(masks.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, stripped, without the empty ones."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def check_folder(root: Path) -> Report:
    """Check a prepared folder: lists, pairs, sizes, codes, readability, overlaps and duplicates.

    Never raises for what is wrong with the data: it is all in the report.
    """
    report = Report()
    _check_lists(root, report)
    _check_codes(root, report)
    _check_unlisted(root, report)
    _check_pairs(root, report)
    return report


def differences(report: Report, source: Source) -> list[str]:
    """How a folder differs from a published version, a sentence part each; nothing if it is that version."""
    found = []
    for split in SPLITS:
        there, published = len(report.splits.get(split, ())), source.counts[split]
        if there != published:
            found.append(f"{split} has {there} photographs instead of {published}")
    other_sizes = sorted(size for size in report.sizes if size != source.size)
    if other_sizes:
        width, height = other_sizes[0]
        found.append(f"masks of {width}x{height} instead of {source.size[0]}x{source.size[1]} pixels")
    if not found and source.mask_digest is not None and report.digest != source.mask_digest:
        found.append("the lists or the pixels of the masks are not the published ones")
    return found


def published_version(report: Report, known: Mapping[str, Source]) -> Source | None:
    """The published version that a folder's codes and file names claim to be; None for other pictures."""
    if not report.looks_like_camvid():
        return None
    return next((source for source in known.values() if source.n_codes == len(report.codes)), None)


def _check_codes(root: Path, report: Report) -> None:
    path = root / "codes.txt"
    if not path.is_file():
        report.add("missing file", "codes.txt")
        return
    report.codes = tuple(read_lines(path))
    repeated = sorted(name for name, count in Counter(report.codes).items() if count > 1)
    report.add("class name twice in codes.txt", *repeated)
    if VOID_NAME not in report.codes:
        report.add("class name missing from codes.txt", VOID_NAME)
    if len(report.codes) == len(CLASS_NAMES) and report.looks_like_camvid() and report.codes != CLASS_NAMES:
        report.add("class names in another order", "codes.txt")


def _check_lists(root: Path, report: Report) -> None:
    for split in SPLITS:
        path = root / f"{split}.txt"
        if not path.is_file():
            report.add("missing file", path.name)
            continue
        stems = read_lines(path)
        report.splits[split] = list(dict.fromkeys(stems))
        if not stems:
            report.add("empty list", path.name)
        report.add("listed twice", *(f"{split}/{stem}" for stem, count in Counter(stems).items() if count > 1))
    where = defaultdict(list)
    for split, stems in report.splits.items():
        for stem in stems:
            where[stem].append(split)
    overlaps = [f"{stem} in {' and '.join(splits)}" for stem, splits in where.items() if len(splits) > 1]
    report.add("in more than one split", *overlaps)


def _check_unlisted(root: Path, report: Report) -> None:
    listed = {stem for stems in report.splits.values() for stem in stems}
    for folder in ("images", "labels"):
        if not (root / folder).is_dir():
            report.add("missing folder", folder)
            continue
        stems = Counter()
        for path in sorted((root / folder).iterdir()):
            if path.name.startswith("."):
                continue
            stems[path.stem] += 1
            if path.stem not in listed:
                report.add("file in no split", f"{folder}/{path.name}")
        report.add("more than one file of a name", *(f"{folder}/{s}" for s, count in stems.items() if count > 1))


def _check_pairs(root: Path, report: Report) -> None:
    masks: dict[tuple[str, str], _Mask] = {}
    photos: dict[str, set[str]] = defaultdict(set)
    histograms = defaultdict(lambda: np.zeros(256, dtype=np.int64))
    for (split, stem), problems, mask, photo_digest in _read_pairs(root, report.splits):
        for kind in problems:
            report.add(kind, f"{split}/{stem}")
        if photo_digest is not None:
            photos[photo_digest].add(stem)
        if mask is not None:
            masks[split, stem] = mask
            report.sizes[mask.size] += 1
            histograms[split] += mask.histogram
            highest = int(mask.histogram.nonzero()[0].max())
            if report.codes and highest >= len(report.codes):
                report.add("code out of range", f"{split}/{stem} has {highest} of 0 to {len(report.codes) - 1}")
    same = (" = ".join(sorted(stems)) for stems in photos.values() if len(stems) > 1)
    report.add("same photograph under several names", *same)
    if VOID_NAME in report.codes:
        void = report.codes.index(VOID_NAME)
        report.void_share = {split: float(counts[void] / counts.sum()) for split, counts in histograms.items()}
    if len(masks) == sum(map(len, report.splits.values())):
        report.digest = mask_digest(masks)


def _read_pairs(root: Path, splits: dict[str, list[str]]) -> Iterator[tuple]:
    """Decode every listed pair, several at a time (the decoders release the interpreter lock)."""
    pairs = [(split, stem) for split, stems in splits.items() for stem in stems]
    pool = ThreadPoolExecutor()
    try:
        results = pool.map(lambda pair: (pair, *_read_pair(root, pair[1])), pairs)
        yield from tqdm(results, desc="Checking", total=len(pairs), unit="pair", leave=False)
    finally:
        pool.shutdown(cancel_futures=True)


def _read_pair(root: Path, stem: str) -> tuple[list[str], _Mask | None, str | None]:
    """Problems of one pair, what its mask holds, and the digest of its photograph's file."""
    if Path(stem).name != stem:
        return ["name is not a file stem"], None, None
    photo, mask = find_photo(root / "images", stem), root / "labels" / f"{stem}.png"
    problems, photo_size, photo_digest, found = [], None, None, None
    if photo is None:
        problems.append("missing photograph")
    else:
        photo_digest = hashlib.sha256(photo.read_bytes()).hexdigest()
        image = _decode(photo, upright=True)
        photo_size = image.size if image else None
        if image is None:
            problems.append("unreadable photograph")
        elif image.mode != "RGB":
            problems.append("photograph is not 8-bit RGB")
    if not mask.is_file():
        problems.append("missing mask")
    elif (image := _decode(mask)) is None:
        problems.append("unreadable mask")
    elif image.mode != "L":
        problems.append("mask is not 8-bit with a single channel")
    else:
        pixels = image.tobytes()
        values = np.frombuffer(pixels, dtype=np.uint8)
        found = _Mask(image.size, hashlib.sha256(pixels).hexdigest(), np.bincount(values, minlength=256))
        if photo_size is not None and photo_size != image.size:
            problems.append("mask and photograph differ in size")
    return problems, found, photo_digest


def _decode(path: Path, upright: bool = False) -> Image.Image | None:
    """The picture, if asked for turned as its EXIF data say, as training reads photographs."""
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image) if upright else image
    except Exception:  # decoders raise many types on damaged files, and each means the same: unreadable
        return None
