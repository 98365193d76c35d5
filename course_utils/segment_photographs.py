"""Segment photographs with a trained network: ``python -m course_utils.segment_photographs --help``."""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from course_utils.averaged_views import AveragedViews
from course_utils.command_line import exit_status, usable_device
from course_utils.files import replacing
from course_utils.picture_files import to_colour
from course_utils.plots import overlay
from course_utils.progress import progress_bar
from course_utils.segmentation import segment_photograph
from course_utils.trained_network import load_network


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.segment_photographs",
        description="Segment photographs with the weights that train_camvid --save-weights wrote. Of NAME.jpg come "
        "NAME.mask.png, class codes at the photograph's own size, and NAME.overlay.png, the classes laid over it.",
    )
    parse.add_argument("photographs", type=Path, nargs="+", metavar="PHOTOGRAPH", help="in any format Pillow reads")
    parse.add_argument("--weights", type=Path, required=True, help="file of a trained network")
    parse.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="made if it is not there")
    parse.add_argument("--flips", action="store_true", help="average with the mirror image, which takes twice as long")
    parse.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    return parse


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    return exit_status("segment_photographs", functools.partial(_run, args), "what is finished stays")


def _run(args: argparse.Namespace) -> None:
    stems = [path.stem for path in args.photographs]
    for stem in stems:
        if stems.count(stem) > 1:
            raise ValueError(f"two photographs are called {stem}, and would share a mask; segment them one by one.")
    for path in args.photographs:
        _upright(path)  # an unreadable one is found before the first is segmented
    trained = load_network(args.weights, usable_device(args.device))
    model = AveragedViews(trained.model) if args.flips else trained.model
    args.out.mkdir(parents=True, exist_ok=True)
    with progress_bar(args.photographs, desc="photographs", unit="photograph") as bar:
        for path in bar:
            photograph = _upright(path)
            _, codes = segment_photograph(model, str(path), trained.size)
            mask = Image.fromarray(codes).resize(photograph.size, Image.Resampling.NEAREST)
            drawn = Image.fromarray(overlay(np.array(photograph), np.array(mask), codes=trained.codes))
            for kind, image in (("mask", mask), ("overlay", drawn)):
                with replacing(args.out / f"{path.stem}.{kind}.png") as temporary:
                    image.save(temporary, format="PNG")
            bar.write(f"{path.name}: {_shares(codes, trained.codes)}")


def _upright(path: Path) -> Image.Image:
    """The photograph as it is looked at, in colour."""
    with Image.open(path) as picture:
        return to_colour(ImageOps.exif_transpose(picture), path)


def _shares(codes: np.ndarray, names: tuple[str, ...]) -> str:
    counts = np.bincount(codes.ravel(), minlength=len(names))
    order = [code for code in np.argsort(-counts, kind="stable").tolist() if counts[code]]
    return ", ".join(f"{names[code]} {counts[code] / codes.size:.1%}" for code in order)


if __name__ == "__main__":
    sys.exit(main())
