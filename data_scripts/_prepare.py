"""From any upstream folder layout of CamVid to the one layout that the course reads."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image
from tqdm.auto import tqdm

from course_utils.classes import CLASS_NAMES
from course_utils.data_layout import SPLITS
from data_scripts._checks import read_lines
from data_scripts._errors import DataError
from data_scripts._sources import is_test_stem

_MAX_DEPTH = 12
_PHOTO_SUFFIXES = {".png": ".png", ".jpg": ".jpg", ".jpeg": ".jpg"}
_LAYOUT_HELP = (
    "expected a folder with train/ and trainannot/ (the SegNet tutorial's CamVid), "
    "with images/, labels/, codes.txt and valid.txt (the full CamVid), or a folder that was prepared before"
)


@dataclass(frozen=True)
class Pair:
    """One photograph with its mask; None where the upstream folder lacks the file."""

    split: str
    stem: str
    photo: Path | None
    mask: Path | None


@dataclass(frozen=True)
class Plan:
    """What a prepared folder will hold: class names, and the pairs of all splits in order."""

    codes: tuple[str, ...]
    pairs: list[Pair]


def find_camvid(folder: Path, name: str) -> tuple[Path, str]:
    """The folder at or below `folder` that holds CamVid, and its layout: segnet, full or prepared.

    `name` is what messages call the folder, which may be one that only we know.

    Raises:
        DataError: if there is none, or more than one.
    """
    found = list(_candidates(folder, _MAX_DEPTH))
    if not found:
        raise DataError(f"{name} holds no CamVid ({_MAX_DEPTH} folders deep were searched): {_LAYOUT_HELP}")
    if len(found) > 1:
        places = " and ".join(str(path.relative_to(folder)) for path, _ in found[:2])
        raise DataError(f"{name} holds CamVid {len(found)} times ({places}): pass only the one you mean with --from")
    return found[0]


def plan(folder: Path, layout: str) -> Plan:
    """Read the lists of an upstream folder. Files that are missing there are left to the checks that follow."""
    return {"segnet": _plan_segnet, "full": _plan_full, "prepared": _plan_prepared}[layout](folder)


def write(plan: Plan, target: Path, *, move: bool) -> None:
    """Write the prepared layout into the new folder `target`.

    Files are taken over byte for byte (`move`d, where they are ours to move); only palette masks are re-encoded,
    because readers would expand them to colours. What the lists name twice is written as often: the checks that follow
    find it in the lists.
    """
    for name in ("images", "labels"):
        (target / name).mkdir(parents=True)
    uses = Counter(path for pair in plan.pairs for path in (pair.photo, pair.mask))

    def transfer(path: Path, to: Path) -> None:
        uses[path] -= 1
        # A file that is named again is moved only then.
        (os.replace if move and uses[path] == 0 else shutil.copyfile)(path, to)

    for pair in tqdm(plan.pairs, desc="Preparing", unit="pair", leave=False):
        if pair.photo is not None:
            suffix = _PHOTO_SUFFIXES[pair.photo.suffix.lower()]
            transfer(pair.photo, target / "images" / f"{pair.stem}{suffix}")
        if pair.mask is not None and not _rewrite_palette_mask(pair.mask, target / "labels" / f"{pair.stem}.png"):
            transfer(pair.mask, target / "labels" / f"{pair.stem}.png")
    _write_lines(target / "codes.txt", plan.codes)
    for split in SPLITS:
        _write_lines(target / f"{split}.txt", [pair.stem for pair in plan.pairs if pair.split == split])


def _candidates(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    layout = _layout_of(folder)
    if layout is not None:
        yield folder, layout
    elif depth > 0:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith((".", "__MACOSX")):
                yield from _candidates(path, depth - 1)


def _layout_of(folder: Path) -> str | None:
    if (folder / "train").is_dir() and (folder / "trainannot").is_dir():
        return "segnet"
    if (folder / "images").is_dir() and (folder / "labels").is_dir() and (folder / "codes.txt").is_file():
        if (folder / "train.txt").is_file():
            return "prepared"
        if (folder / "valid.txt").is_file():
            return "full"
    return None


def _plan_segnet(folder: Path) -> Plan:
    """Lines of the lists read ``/SegNet/CamVid/train/NAME.png /SegNet/CamVid/trainannot/NAME.png``."""
    pairs = []
    for split in SPLITS:
        photos, masks = _photos(folder / split), _masks(folder / f"{split}annot")
        path = folder / f"{split}.txt"
        if path.is_file():
            names = [line.split() for line in read_lines(path)]
            stems = [(PurePosixPath(name[0]).stem, PurePosixPath(name[-1]).stem) for name in names]
        else:
            stems = [(stem, stem) for stem in sorted(photos.keys() | masks.keys())]
        pairs += [Pair(split, photo, photos.get(photo), masks.get(mask)) for photo, mask in stems]
    return Plan(CLASS_NAMES, pairs)


def _plan_full(folder: Path) -> Plan:
    """Masks are called ``STEM_P.png``; only the validation photographs are listed."""
    photos, masks = _photos(folder / "images"), _masks(folder / "labels")
    val = {PurePosixPath(line).stem for line in read_lines(folder / "valid.txt")}
    stems = sorted(photos.keys() | {stem.removesuffix("_P") for stem in masks} | val)
    splits = {stem: "val" if stem in val else "test" if is_test_stem(stem) else "train" for stem in stems}
    pairs = [Pair(splits[stem], stem, photos.get(stem), masks.get(f"{stem}_P")) for stem in stems]
    return Plan(tuple(read_lines(folder / "codes.txt")), pairs)


def _plan_prepared(folder: Path) -> Plan:
    photos, masks = _photos(folder / "images"), _masks(folder / "labels")
    pairs = []
    for split in SPLITS:
        path = folder / f"{split}.txt"
        for stem in read_lines(path) if path.is_file() else ():
            pairs.append(Pair(split, stem, photos.get(stem), masks.get(stem)))
    return Plan(tuple(read_lines(folder / "codes.txt")), pairs)


def _photos(folder: Path) -> dict[str, Path]:
    """Photographs of a folder by stem, PNG before JPEG."""
    return _files(folder, (".jpg", ".jpeg", ".png"))


def _masks(folder: Path) -> dict[str, Path]:
    return _files(folder, (".png",))


def _files(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    paths = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    paths = [path for path in paths if path.is_file()]
    return {path.stem: path for path in sorted(paths, key=lambda path: suffixes.index(path.suffix.lower()))}


def _rewrite_palette_mask(mask: Path, target: Path) -> bool:
    """Write a palette mask as plain class indices; False, and nothing written, if it is no palette image."""
    try:
        with Image.open(mask) as image:
            if image.mode != "P":
                return False
            indices = Image.frombytes("L", image.size, image.tobytes())
    except Exception:  # unreadable: taken over as it is, so that the checks report it with everything else
        return False
    indices.save(target, format="PNG")
    return True


def _write_lines(path: Path, lines: list[str] | tuple[str, ...]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
