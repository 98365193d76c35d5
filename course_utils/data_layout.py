"""Where prepared data lies, and which parts a prepared data set has."""

from pathlib import Path

DATA_DIR = Path(__file__).resolve().parents[1] / "data"
PAINTING = DATA_DIR / "painting.png"
SPLITS = ("train", "val", "test")
PHOTO_SUFFIXES = (".png", ".jpg")
LAYOUT = ("codes.txt", *(f"{split}.txt" for split in SPLITS), "images", "labels")


def is_prepared(root: str | Path) -> bool:
    """Whether a folder has every part of the prepared layout."""
    return all((Path(root) / name).exists() for name in LAYOUT)


def find_photo(folder: Path, stem: str) -> Path | None:
    """The photograph of a stem in a prepared folder's `images`, PNG or JPEG; None if there is none."""
    return next((path for suffix in PHOTO_SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)
