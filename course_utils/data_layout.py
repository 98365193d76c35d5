"""Where prepared data lies, and which parts a prepared data set has."""

from pathlib import Path

DATA_DIR = Path(__file__).resolve().parents[1] / "data"
PAINTING = DATA_DIR / "painting.png"
SPLITS = ("train", "val", "test")
LAYOUT = ("codes.txt", *(f"{split}.txt" for split in SPLITS), "images", "labels")


def is_prepared(root: str | Path) -> bool:
    """Whether a folder has every part of the prepared layout."""
    return all((Path(root) / name).exists() for name in LAYOUT)
