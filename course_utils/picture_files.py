"""Pictures out of files as 8-bit colour: what is transparent lies on white, and grey of unknown white is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps


def read_upright(path: Path | str) -> Image.Image:
    """The picture in a file, turned as its EXIF data say, in RGB as `to_colour` makes it.

    Raises:
        ValueError: as `to_colour`; `OSError` as `opened`.
    """
    with opened(path, path) as picture:
        return to_colour(ImageOps.exif_transpose(picture), path)


@contextmanager
def opened(file: Path | str | IO[bytes], name: object) -> Iterator[Image.Image]:
    """Context with the picture in a file, where whatever Pillow raises of a damaged one becomes a sentence.

    Args:
        name: of the file, for the message.

    Raises:
        OSError: if it is no picture, or a damaged one. What the system says of a file, and errors whose sentence
            begins with `name`, stay as they are.
    """
    try:
        with Image.open(file) as picture:
            yield picture
    except Exception as error:  # of many kinds, assertions among them
        if str(error).startswith(f"{name} ") or getattr(error, "errno", None) is not None:
            raise
        raise OSError(f"{name} cannot be read as a picture ({error}); take another copy of the file.") from error


def to_colour(picture: Image.Image, name: object) -> Image.Image:
    """The opened picture in RGB, 8 bits a channel; transparent parts on white.

    Args:
        name: of its file, for the message.

    Raises:
        ValueError: for grey with more than 8 bits: Pillow would cut all of it off at white.
    """
    if picture.mode[0] in "IF":
        raise ValueError(f"{name} is grey with more than 8 bits, whose white is not known; save it as an 8-bit PNG")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
