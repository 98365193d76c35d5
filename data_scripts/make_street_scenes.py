"""Paint the course's embedded data set: street scenes with the classes of CamVid, in the same layout on disk.

    python -m data_scripts.make_street_scenes --help

A scene depends only on the seed, its split, its number and its size, never on how many others are painted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tqdm.auto import tqdm

from course_utils.classes import CLASS_NAMES
from course_utils.data_layout import DATA_DIR, LAYOUT, SPLITS
from course_utils.files import named_path
from course_utils.progress import progress_bar
from data_scripts._command import exit_code
from data_scripts._destination import (
    foreign_names,
    is_where_we_work,
    put_in_place,
    resolved,
    scratch,
    unlisted_names,
    workplace,
)
from data_scripts._scene_plan import paint_scene
from data_scripts._scene_workers import paint_all

__all__ = ["make_street_scenes", "paint_scene"]

DEFAULT_DEST = DATA_DIR / "street_scenes"
SETTINGS_FILE = "settings.json"
MADE = {*LAYOUT, SETTINGS_FILE}
PAINTER = 1
"""Raise this when a change makes the same seed paint other pixels, so that old folders are recognised as such."""
SMALLEST = {"n_train": 1, "n_val": 1, "n_test": 1, "height": 32, "width": 32, "seed": 0, "painter": 1}
"""The settings of a data set, each with its lower limit."""
LARGEST = {"n_train": 100_000, "n_val": 100_000, "n_test": 100_000, "height": 4096, "width": 4096}


def make_street_scenes(
    dest: str | Path = DEFAULT_DEST,
    *,
    n_train: int = 200,
    n_val: int = 40,
    n_test: int = 60,
    height: int = 180,
    width: int = 240,
    seed: int = 0,
    force: bool = False,
) -> bool:
    """Paint a data set of street scenes into the folder `dest`, all of it or nothing, and one run at a time.

    Args:
        dest: folder to make; it appears only when it is complete.
        n_train, n_val, n_test: number of scenes in each split.
        height, width: size of each scene in pixels.
        seed: which streets; every seed gives others.
        force: replace the street scenes that are at `dest` now; anything else is never replaced.

    Returns:
        False if `dest` already held exactly this data set, perhaps from a run that this one has waited for, and
        nothing was painted, else True.

    Raises:
        ValueError: if a setting is out of range.
        FileExistsError: if `dest` holds anything else, or other street scenes and `force` is not set.
        RuntimeError: if a process that helps painting fails.
    """
    counts = {"n_train": n_train, "n_val": n_val, "n_test": n_test}
    settings = {**counts, "height": height, "width": width, "seed": seed, "painter": PAINTER}
    check_settings(settings)
    dest = Path(dest).absolute()
    if not force and is_made(dest, settings):
        return False
    check_destination(dest, settings, force)
    dest = resolved(dest)
    with workplace(dest, passing_note) as work:
        # While this run waited, another may have painted; and what a killed one had moved away is back.
        if not force and is_made(dest, settings):
            return False
        check_destination(dest, settings, force)
        with scratch(work) as room:
            write_scenes(room / "new", settings)
            put_in_place(room / "new", dest, work)
    return True


def passing_note(text: str) -> tqdm:
    """Shows `text` where progress bars are shown, until the `with` block ends."""
    return progress_bar(desc=text, bar_format="{desc}")


def check_settings(settings: dict[str, int]) -> None:
    """Raise ValueError, naming the setting, the value and the remedy, if one is out of range."""
    for name, least in SMALLEST.items():
        value = settings[name]
        # True and False are integers to Python, but nobody counts with them.
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} is {value!r}: give an integer of {least} or more")
        if value > LARGEST.get(name, value):
            raise ValueError(f"{name} is {value!r}: give {LARGEST[name]} or less")


def check_destination(dest: Path, settings: dict[str, int], force: bool) -> None:
    """Raise FileExistsError if painting into `dest` would destroy something it should not."""
    if dest.is_dir() and is_where_we_work(dest):
        raise FileExistsError(f"{dest} holds the folder you work in: choose another --dest")
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return
    if not dest.is_dir() or dest.is_symlink():
        raise FileExistsError(f"{dest} is not an ordinary folder: choose another --dest")
    made_with = read_settings(dest)
    stems = {stem for split in SPLITS for stem in split_stems(split, made_with)} if made_with else set()
    foreign = foreign_names(dest, MADE) or unlisted_names(dest, stems.__contains__, (".png",))
    if foreign or made_with is None:
        what = f"such as {foreign[0]!r}" if foreign else f"and no {SETTINGS_FILE} of street scenes"
        raise FileExistsError(f"{dest} holds other things, {what}: choose another --dest; --force replaces none")
    # A run that ended just now may have made what the caller missed.
    if not force and not is_made(dest, settings):
        raise FileExistsError(
            f"{dest} holds street scenes of other settings, or not all of them: choose another --dest, or replace them "
            "with --force"
        )


def read_settings(dest: Path) -> dict | None:
    """The settings that a folder of street scenes was made with; None if it holds anything but exactly such."""
    try:
        found = json.loads((dest / SETTINGS_FILE).read_text(encoding="utf-8"))
        check_settings(found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.keys() == SMALLEST.keys() else None


def is_made(dest: Path, settings: dict[str, int]) -> bool:
    """Whether `dest` holds the complete data set of these settings."""
    if read_settings(dest) != settings:
        return False
    files = {f"{stem}.png" for split in SPLITS for stem in split_stems(split, settings)}
    lists = all((dest / name).is_file() for name in ("codes.txt", *(f"{split}.txt" for split in SPLITS)))
    return lists and all({path.name for path in (dest / name).glob("*.png")} == files for name in ("images", "labels"))


def split_stems(split: str, settings: dict[str, int]) -> list[str]:
    """File names, without their endings, of a split's scenes."""
    return [f"{split}_{index:04d}" for index in range(settings[f"n_{split}"])]


def write_scenes(root: Path, settings: dict[str, int]) -> None:
    """Write the whole layout into a new folder `root`."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    (root / "codes.txt").write_text("\n".join(CLASS_NAMES) + "\n", encoding="utf-8")
    tasks = []
    for number, split in enumerate(SPLITS):
        stems = split_stems(split, settings)
        (root / f"{split}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")
        for index, stem in enumerate(stems):
            seed = [settings["seed"], number, index]
            tasks.append({"stem": stem, "seed": seed, "height": settings["height"], "width": settings["width"]})
    with progress_bar(total=len(tasks), desc="painting streets", unit="scene") as bar:
        paint_all(root, tasks, bar.update)
    (root / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def short_path(path: Path) -> str:
    """The path as seen from the current folder if it lies in there, else as it is."""
    try:
        seen = os.path.relpath(path)
    except (ValueError, OSError):  # another drive, or a folder that was removed
        return str(path)
    return str(path) if seen.startswith(os.pardir) else seen


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m data_scripts.make_street_scenes", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--dest", type=named_path, default=DEFAULT_DEST, help="folder to make (default: data/street_scenes)"
    )
    parser.add_argument("--n-train", type=int, default=200, help="scenes to train on (default: %(default)s)")
    parser.add_argument("--n-val", type=int, default=40, help="scenes to choose settings on (default: %(default)s)")
    parser.add_argument("--n-test", type=int, default=60, help="scenes for the final figure (default: %(default)s)")
    parser.add_argument("--height", type=int, default=180, help="pixels (default: %(default)s)")
    parser.add_argument("--width", type=int, default=240, help="pixels (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed paints other streets (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace the street scenes that are at DEST now")
    options = vars(parser.parse_args(arguments))
    dest = options.pop("dest")

    def work() -> None:
        state = "painted" if make_street_scenes(dest, **options) else "already there, nothing to do:"
        total = sum(options[f"n_{split}"] for split in SPLITS)
        print(f"{state} {total} scenes of {options['height']}x{options['width']} pixels in {short_path(dest)}")

    return exit_code(work, f"{dest} is as it was")


if __name__ == "__main__":
    sys.exit(main())
