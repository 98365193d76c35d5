"""Find the data set that the notebooks work on: real CamVid where it is prepared, painted street scenes elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from course_utils.data_layout import DATA_DIR, is_prepared
from course_utils.files import named_path
from data_scripts._command import exit_code
from data_scripts.make_street_scenes import make_street_scenes


def camvid_or_street_scenes(data_dir: str | Path | None = None, **settings: int) -> Path:
    """The folder of real CamVid if it is prepared, else of the painted street scenes, painted now if missing.

    Args:
        data_dir: folder that holds `camvid` and `street_scenes`; default: `data` in the repository.
        settings: keyword arguments of `make_street_scenes`; without any, scenes that are there are taken as they are.

    Returns:
        The root of a prepared data set; one printed line says which.

    Raises:
        FileExistsError: if the scenes that are there were made with other settings than those given.
    """
    data_dir = DATA_DIR if data_dir is None else Path(data_dir)
    shown = data_dir.name if data_dir == DATA_DIR else data_dir  # committed outputs name no folder of one machine
    camvid, scenes = data_dir / "camvid", data_dir / "street_scenes"
    if is_prepared(camvid):
        print(f"Data: real CamVid, from {shown}/{camvid.name}.")
        return camvid
    if settings or not is_prepared(scenes):
        try:
            make_street_scenes(scenes, **settings)
        except FileExistsError:
            # Scenes of other settings have come meanwhile: from another run, or back from a killed one.
            if settings or not is_prepared(scenes):
                raise
    print(f"Data: painted street scenes, from {shown}/{scenes.name} (no real CamVid is prepared there).")
    return scenes


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m data_scripts.locate",
        description="Say which data set the notebooks work on; paint the street scenes where there is none.",
    )
    parser.add_argument(
        "--data-dir", type=named_path, default=DATA_DIR, help="holds camvid, street_scenes (default: data)"
    )
    data_dir = parser.parse_args(argv).data_dir

    def work() -> None:
        camvid_or_street_scenes(data_dir)

    return exit_code(work, "the data folder is as it was")


if __name__ == "__main__":
    sys.exit(main())
