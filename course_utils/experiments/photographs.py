"""Photographs that installed packages ship: something to enlarge, damage and restore without a download."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as v2_functional

from course_utils.checks import check_choice, check_whole

PHOTOGRAPHS = {
    "train": ("astronaut", "motorcycle", "rocket"),
    "val": ("grace_hopper",),
    "test": ("chelsea", "coffee"),
}
"""Names by split: a photograph belongs to one split, so that no patch of it is seen in two."""


def photograph(name: str) -> Tensor:
    """One photograph, ``(3, H, W)`` uint8.

    Five come with scikit-image (its licence lists their sources, all free to use), ``grace_hopper`` with matplotlib.

    Raises:
        ValueError: if there is no photograph of this name.
        ModuleNotFoundError: if scikit-image is not installed.
    """
    check_choice("photograph", name, tuple(known for names in PHOTOGRAPHS.values() for known in names))
    if name == "grace_hopper":
        from matplotlib import get_data_path

        with Image.open(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg") as picture:
            pixels = np.array(picture.convert("RGB"))
    else:
        from skimage import data

        pixels = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).contiguous()


def patches(names: Sequence[str], size: int, n: int, *, short_side: int | None = None, seed: int = 0) -> Tensor:
    """Square patches at random places, taken from the photographs in turn: ``(n, 3, size, size)`` uint8.

    Args:
        size: side in pixels.
        short_side: first reduce each photograph (antialiased) until its shorter side has so many pixels: the same
            patch then shows more.
        seed: of the places; the same arguments give the same patches.

    Raises:
        ValueError: if a name is unknown, `n` is not positive, or a photograph is smaller than a patch.
    """
    check_whole(size=size, n=n, short_side=1 if short_side is None else short_side)
    if not names:
        raise ValueError("patches of no photograph: give at least one name.")
    generator = torch.Generator().manual_seed(seed)
    pictures = [photograph(name) for name in names]
    if short_side is not None:
        pictures = [v2_functional.resize(picture, [short_side], v2.InterpolationMode.BICUBIC) for picture in pictures]
    found = []
    for i in range(n):
        picture = pictures[i % len(pictures)]
        height, width = picture.shape[1:]
        if size > min(height, width):
            raise ValueError(f"size={size} does not fit into {names[i % len(names)]}, {height} × {width} pixels here.")
        top = int(torch.randint(height - size + 1, (), generator=generator))
        left = int(torch.randint(width - size + 1, (), generator=generator))
        found.append(picture[:, top : top + size, left : left + size])
    return torch.stack(found)
