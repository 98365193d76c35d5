"""A prepared data set of eight small pictures, left half sky and right half road, to test command lines on."""

from pathlib import Path

import numpy as np
from PIL import Image

from course_utils.classes import CLASS_NAMES


def write_two_halves(root: Path) -> Path:
    """Pictures of 64×64 in random colours: four to train on, two for val, two for test; returns `root`."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 3
    stems = [f"p{i}" for i in range(8)]
    for stem in stems:
        picture = rng.integers(0, 60, (64, 64, 3)) + np.where(mask[..., None] == 3, 20, 150)
        Image.fromarray(picture.astype(np.uint8)).save(root / "images" / f"{stem}.png")
        Image.fromarray(mask).save(root / "labels" / f"{stem}.png")
    (root / "codes.txt").write_text("\n".join(CLASS_NAMES))
    for split, names in (("train", stems[:4]), ("val", stems[4:6]), ("test", stems[6:])):
        (root / f"{split}.txt").write_text("\n".join(names))
    return root
