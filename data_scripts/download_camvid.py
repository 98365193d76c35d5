"""Fetch CamVid, verify it, and prepare it for the course.

    python -m data_scripts.download_camvid                  # the SegNet tutorial's version, into data/camvid
    python -m data_scripts.download_camvid --source full    # all 32 classes at 960x720
    python -m data_scripts.download_camvid --from PATH      # an archive or folder that you already have

The destination appears all at once, when everything in it has been checked; until then it stays as it was. What a
broken-off download has brought is kept beside it and continued, where the server names its version of the file for good
(a strong ETag); else the same command starts over.

CamVid is the work of G. Brostow, J. Fauqueur and R. Cipolla ("Semantic object classes in video", Pattern Recognition
Letters, 2009); the default version is the one that A. Kendall's SegNet tutorial distributes.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from course_utils.data_layout import SPLITS
from course_utils.files import named_path
from data_scripts._archive import IMPOSSIBLE_NAMES, unpack
from data_scripts._checks import Report, check_folder, differences, published_version, summary
from data_scripts._command import exit_code
from data_scripts._destination import (
    DEFAULT_DEST,
    already_there,
    put_in_place,
    refuse_foreign,
    refuse_overlap,
    resolved,
    scratch,
    workplace,
)
from data_scripts._download import Expected, Patience, download
from data_scripts._errors import DataError
from data_scripts._prepare import find_camvid, plan, write
from data_scripts._sources import SEGNET, SOURCES, Source
from data_scripts.make_street_scenes import read_settings

DEFAULT_PATIENCE = Patience()


def download_camvid(
    dest: Path = DEFAULT_DEST, source: Source = SEGNET, *, force: bool = False, patience: Patience = DEFAULT_PATIENCE
) -> None:
    """Fetch a published version of CamVid into the prepared folder `dest`.

    Does nothing if `dest` holds that version already, unless `force` asks for a new copy.

    Raises:
        DataError: if anything fails or differs from what is published; `dest` is then as it was before.
        OSError: if the disk refuses.
    """
    dest = resolved(dest)
    refuse_foreign(dest)
    with workplace(dest) as work:
        if not force and already_there(dest, source):
            return
        archive = work / f"{source.name}-archive"
        print(f"Fetching CamVid ({source.name}) from {source.url}", flush=True)
        download(source.url, archive, Expected(source.archive_bytes, source.head_bytes, source.head_md5), patience)
        try:
            with scratch(work) as room:
                unpack(archive, room / "unpacked", name=source.url)
                report = _prepare(room / "unpacked", room / "prepared", name=source.url, source=source, move=True)
                if found := differences(report, source):
                    raise DataError(
                        f"{source.url} is not the published CamVid: {'; '.join(found)}; "
                        "if you want it all the same, fetch it yourself and pass it with --from"
                    )
                put_in_place(room / "prepared", dest, work)
        except (DataError, OSError) as error:
            # It arrived whole, so where it is wrong, the next run must not use it again; a full disk is not its fault.
            if isinstance(error, DataError) or error.errno in IMPOSSIBLE_NAMES:
                archive.unlink()
            raise
        archive.unlink()
        _say_prepared(dest, report)


def import_camvid(
    origin: Path,
    dest: Path = DEFAULT_DEST,
    source: Source | None = None,
    *,
    force: bool = False,
    known: Mapping[str, Source] = SOURCES,
) -> None:
    """Prepare CamVid from an archive or folder that is already here; `origin` is only read.

    A smaller, resized or otherwise different set is accepted with a note, one with faults is not. `source` insists
    on one of the `known` versions.

    Raises:
        DataError: if there is no sound CamVid in `origin`; `dest` is then as it was before.
    """
    origin, dest = resolved(origin), resolved(dest)
    if not origin.exists():
        raise DataError(f"{origin} does not exist: pass an archive or a folder with --from")
    if not origin.is_dir() and not origin.is_file():
        raise DataError(f"{origin} is no ordinary file or folder: pass an archive or a folder with --from")
    refuse_overlap(origin, dest)
    refuse_foreign(dest)
    with workplace(dest) as work:
        if not force and already_there(dest, source):
            return
        with scratch(work) as room:
            folder, is_archive = origin, not origin.is_dir()
            if is_archive:
                folder = room / "unpacked"
                unpack(origin, folder, name=str(origin))
            report = _prepare(folder, room / "prepared", name=str(origin), source=source, move=is_archive)
            put_in_place(room / "prepared", dest, work)
        _say_prepared(dest, report)
        version = published_version(report, known)
        if version is not None and (found := differences(report, version)):
            print(
                f"note: this is not the published CamVid ({version.name}): {'; '.join(found)}; "
                "scores on it do not compare with published ones",
                file=sys.stderr,
            )


def _prepare(folder: Path, target: Path, *, name: str, source: Source | None, move: bool) -> Report:
    """Write what `folder` holds into the new folder `target` and check it; `name` is what messages call it."""
    found, layout = find_camvid(folder, name)
    if layout == "prepared" and read_settings(found) is not None:
        raise DataError(f"{name} holds painted street scenes, not CamVid: pass CamVid with --from")
    content = plan(found, layout)
    if source is not None and len(content.codes) != source.n_codes:
        raise DataError(
            f"{name} holds CamVid with {len(content.codes)} classes, but --source {source.name} has "
            f"{source.n_codes}: leave --source out, or pass another archive"
        )
    write(content, target, move=move)
    report = check_folder(target)
    if report.problems:
        raise DataError(f"{name} is not a sound CamVid: {summary(report.problems)}: fetch or pack it again")
    return report


def _say_prepared(dest: Path, report: Report) -> None:
    counts = ", ".join(f"{len(report.splits[split])} {split}" for split in SPLITS)
    print(f"Prepared {dest}: {counts}; {len(report.codes)} classes with void")


def _parser(sources: Mapping[str, Source]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data_scripts.download_camvid", description="Fetch, verify and prepare CamVid."
    )
    parser.add_argument("--source", choices=list(sources), help="published version (default: segnet)")
    parser.add_argument("--dest", type=named_path, default=DEFAULT_DEST, metavar="DIR", help="default: data/camvid")
    parser.add_argument(
        "--from", dest="origin", type=named_path, metavar="PATH", help="use this archive or folder, fetch nothing"
    )
    parser.add_argument("--force", action="store_true", help="replace a prepared folder that is already there")
    return parser


def main(
    argv: list[str] | None = None,
    *,
    sources: Mapping[str, Source] = SOURCES,
    patience: Patience = DEFAULT_PATIENCE,
) -> int:
    """Run the command line; returns the exit code."""
    options = _parser(sources).parse_args(argv)

    def work() -> None:
        if options.origin is not None:
            source = sources[options.source] if options.source else None
            import_camvid(options.origin, options.dest, source, force=options.force, known=sources)
        else:
            source = sources[options.source or SEGNET.name]
            download_camvid(options.dest, source, force=options.force, patience=patience)

    return exit_code(work, f"{options.dest} is as it was, and the same command goes on or starts anew")


if __name__ == "__main__":
    sys.exit(main())
