"""Segment photographs with a trained network: ``python -m course_utils.segment_photographs --help``."""

import argparse
import functools
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from course_utils.averaged_views import AveragedViews
from course_utils.classes import VOID_NAME
from course_utils.command_line import check_files, exit_status, usable_device
from course_utils.files import named_path, replacing
from course_utils.picture_files import read_upright
from course_utils.plots import overlay
from course_utils.progress import progress_bar
from course_utils.segmentation import scaled_sides, segment_photograph
from course_utils.trained_network import load_network


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m course_utils.segment_photographs",
        description="Segment photographs with the weights that train_camvid --save-weights wrote. Of NAME.jpg come "
        "NAME.mask.png, class codes at the photograph's own size, and NAME.overlay.png, the classes laid over it. The "
        "network sees each photograph in its own shape, at the height of those that it was trained on; Void is given "
        "to no pixel.",
    )
    parse.add_argument("photographs", type=Path, nargs="+", metavar="PHOTOGRAPH", help="in any format Pillow reads")
    parse.add_argument("--weights", type=Path, required=True, help="file of a trained network")
    parse.add_argument("--out", type=named_path, required=True, metavar="FOLDER", help="made if it is not there")
    parse.add_argument("--flips", action="store_true", help="average with the mirror image, which takes twice as long")
    parse.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    return parse


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(argv)
    return exit_status("segment_photographs", functools.partial(_run, args), "what is finished stays")


def _run(args: argparse.Namespace) -> None:
    trained = load_network(args.weights, usable_device(args.device))
    outputs = {
        path: [args.out / f"{path.stem}.{kind}.png" for kind in ("mask", "overlay")] for path in args.photographs
    }
    _check(args.photographs, outputs, trained.size)
    _make_folder(args.out)
    check_files([output for both in outputs.values() for output in both])
    model = AveragedViews(trained.model) if args.flips else trained.model
    void = trained.codes.index(VOID_NAME) if VOID_NAME in trained.codes else None
    with progress_bar(args.photographs, desc="photographs", unit="photograph") as bar:
        for path in bar:
            photograph = read_upright(path)
            _, codes = segment_photograph(model, photograph, trained.size, void)
            mask = Image.fromarray(codes).resize(photograph.size, Image.Resampling.NEAREST)
            drawn = Image.fromarray(overlay(np.array(photograph), np.array(mask), codes=trained.codes))
            for output, image in zip(outputs[path], (mask, drawn), strict=True):
                with replacing(output) as temporary:
                    image.save(temporary, format="PNG")
            bar.write(f"{path.name}: {_shares(codes, trained.codes)}")


def _check(photographs: Sequence[Path], outputs: Mapping[Path, Sequence[Path]], size: tuple[int, int]) -> None:
    """Refuse photographs that cannot be segmented, before the first one is, and answers that would replace one."""
    stems = [path.stem for path in photographs]
    for stem in stems:
        if stems.count(stem) > 1:
            raise ValueError(f"two photographs are called {stem}, and would share a mask; give one another name.")
    for path in photographs:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; name the photographs in it.")
        scaled_sides(read_upright(path), size, path)
    given = {path.resolve() for path in photographs}
    for output in itertools.chain.from_iterable(outputs.values()):
        if output.resolve() in given:
            raise ValueError(f"{output} is one of the photographs, and would be replaced; name another --out.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--out {folder} is no folder, nor can it be made ({error.strerror}); name another.") from error


def _shares(codes: np.ndarray, names: tuple[str, ...]) -> str:
    counts = np.bincount(codes.ravel(), minlength=len(names))
    order = [code for code in np.argsort(-counts, kind="stable").tolist() if counts[code]]
    return ", ".join(f"{names[code]} {counts[code] / codes.size:.1%}" for code in order)


if __name__ == "__main__":
    sys.exit(main())
