"""The painting whose style notebook 08 learns: painted here, a file of yours, or a public-domain Monet.

python -m data_scripts.painting --help
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from course_utils.data_layout import PAINTING
from course_utils.files import named_path, replacing
from course_utils.picture_files import read_upright
from data_scripts._command import exit_code
from data_scripts._download import Expected, Patience, download
from data_scripts._errors import DataError, sentence
from data_scripts._lily_pond import paint_lily_pond

__all__ = ["load_painting", "paint_lily_pond", "prepare_painting"]

MONET = "https://commons.wikimedia.org/wiki/Special:FilePath/Claude_Monet,_Impression,_soleil_levant.jpg?width=1024"
"""*Impression, soleil levant*, 1872; the painter died in 1926, and the painting is in the public domain."""

SMALLEST_SIDE, LONGEST_SIDE, MAX_BYTES = 128, 1024, 30 * 2**20


def prepare_painting(
    dest: str | Path = PAINTING,
    *,
    source: str | Path | None = None,
    fetch: bool = False,
    seed: int = 0,
    force: bool = False,
    url: str = MONET,
    patience: Patience | None = None,
) -> bool:
    """Put a painting at `dest` as a PNG, all of it or nothing.

    Args:
        source: picture file to take; without it and `fetch`, one is painted.
        fetch: download *Impression, soleil levant* from Wikimedia Commons.
        seed: of the painted one.
        force: replace what is at `dest`.

    Returns:
        False if there was a painting and nothing was done, else True.

    Raises:
        DataError: in one sentence, if the file is missing, no picture or too small, or cannot be fetched.
    """
    dest = Path(dest)
    if source is not None and fetch:
        raise DataError("--from and --fetch name two paintings: take one of them")
    if dest.is_dir():
        raise DataError(f"{dest} is a folder: name a file in it, such as {dest / 'painting.png'}")
    if dest.exists() and not force:
        return False
    if source is not None:
        picture = _read(Path(source))
    elif fetch:
        picture = _fetched(url, patience or Patience())
    else:
        picture = paint_lily_pond(seed=seed)
    dest.parent.mkdir(parents=True, exist_ok=True)
    with replacing(dest) as temporary:
        Image.fromarray(picture).save(temporary, format="png")
    return True


def load_painting(path: str | Path = PAINTING) -> np.ndarray:
    """The prepared painting ``(H, W, 3)`` uint8, or the lily pond of this course; one line says which."""
    path = Path(path)
    if path.exists():
        picture = _read(path)
        print(f"Painting: {path.name}, {picture.shape[1]} × {picture.shape[0]} pixels.")
        return picture
    print("Painting: a lily pond in the manner of Monet, painted by data_scripts; bring yours with --from.")
    return paint_lily_pond()


def _read(path: Path) -> np.ndarray:
    try:
        picture = read_upright(path)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}: check the name after --from") from None
    except (OSError, ValueError) as error:
        raise DataError(str(error).rstrip(".") if getattr(error, "errno", None) is None else sentence(error)) from error
    sides = f"{picture.width} × {picture.height}"
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    if min(picture.size) < SMALLEST_SIDE:
        raise DataError(
            f"{path} has {sides} pixels: brush strokes need {SMALLEST_SIDE} or more, and a picture at most "
            f"{LONGEST_SIDE // SMALLEST_SIDE} times as long as wide"
        )
    return np.asarray(picture).copy()


def _fetched(url: str, patience: Patience) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "painting.jpg"
        try:
            download(url, target, Expected(max_bytes=MAX_BYTES), patience)
            return _read(target)
        except DataError as error:
            raise DataError(f"{error}; without a network, leave --fetch out or take a file with --from") from error


def main(words: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parse = argparse.ArgumentParser(
        prog="python -m data_scripts.painting",
        description="Prepare the painting whose style notebook 08 learns. Without an option, one is painted here.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--from", dest="source", type=named_path, metavar="FILE", help="a picture file of yours")
    parse.add_argument("--fetch", action="store_true", help="download Monet's Impression, soleil levant (1872)")
    parse.add_argument("--dest", type=named_path, default=PAINTING, help="PNG file to write")
    parse.add_argument("--seed", type=int, default=0, help="of the painted one")
    parse.add_argument("--force", action="store_true", help="replace the painting that is there")
    args = parse.parse_args(words)

    def work() -> None:
        if args.seed < 0:
            raise DataError(f"--seed {args.seed} is negative: take 0 or more")
        made = prepare_painting(args.dest, source=args.source, fetch=args.fetch, seed=args.seed, force=args.force)
        print(f"{args.dest}: " + ("ready." if made else "there is a painting already; --force replaces it."))

    return exit_code(work, f"{args.dest} is as it was")


if __name__ == "__main__":
    sys.exit(main())
