"""The painting whose style the task *monet* learns: read from a file, told apart from others, refused if unfit."""

import hashlib
from pathlib import Path

from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from course_utils.experiments.restoration_tasks import SIZE
from course_utils.picture_files import opened, read_upright

PAINTING_SIDE, LEAST_SIDE = 512, 28


def read_painting(path: Path) -> Tensor:
    """A picture file, upright, as floats ``(3, H, W)``, reduced until its longer side has `PAINTING_SIDE` pixels."""
    picture = read_upright(path)
    picture.thumbnail((PAINTING_SIDE, PAINTING_SIDE), Image.Resampling.LANCZOS)
    return pil_to_tensor(picture) / 255


def painting_digest(path: Path) -> str:
    """The same for the same pixels, however their file is called or packed."""
    return hashlib.sha256(read_painting(path).numpy().tobytes()).hexdigest()[:16]


def check_painting_file(path: Path) -> None:
    """Refuse a file that is no picture, is black, or is too small for patches of `SIZE` pixels.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it does not do.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no painting {path}; make one with python -m data_scripts.painting.")
    try:
        with opened(path, path) as painting:
            too_small, deep = min(painting.size) < SIZE, painting.mode[0] in "IF"
        picture = None if too_small or deep else read_painting(path)
        black = picture is not None and not picture.any()
    except OSError as error:
        raise ValueError(f"{path} is no picture that can be read; name another one with --painting.") from error
    if deep:
        raise ValueError(f"the painting {path} is grey with more than 8 bits; save it as an 8-bit PNG.")
    if too_small or black:
        said = "black" if black else f"smaller than {SIZE} pixels"
        raise ValueError(f"the painting {path} is {said}; name another one with --painting.")
    if min(picture.shape[1:]) < LEAST_SIDE:
        raise ValueError(
            f"the painting {path} is too narrow: at {PAINTING_SIDE} pixels, its other side needs {LEAST_SIDE}; "
            "name another one with --painting."
        )
