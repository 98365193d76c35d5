"""Check a prepared data folder, and report everything that is wrong with it at once.

    python -m data_scripts.check_camvid [DIR]

Exit code 0: sound, with a table of the splits. Exit code 1: all problems, grouped by kind.
"""

import argparse
import shlex
import sys
from pathlib import Path

from course_utils.data_layout import SPLITS
from course_utils.files import named_path
from data_scripts._checks import Report, check_folder, differences, published_version
from data_scripts._command import exit_code
from data_scripts._destination import DEFAULT_DEST
from data_scripts._errors import DataError
from data_scripts._sources import SOURCES

_LINES_PER_KIND = 5


def check_camvid(root: Path) -> tuple[Report, dict[str, list[str]]]:
    """Check a prepared folder, and compare it with the published version that its names claim to be.

    Returns:
        The report, and all problems by kind (the report's, and any differences from the published version).

    Raises:
        DataError: if there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: prepare CamVid with `python -m data_scripts.download_camvid`")
    report = check_folder(root)
    problems = dict(report.problems)
    version = published_version(report, SOURCES)
    if version is not None and (found := differences(report, version)):
        problems[f"differs from the published CamVid ({version.name})"] = found
    return report, problems


def table(report: Report) -> str:
    """The splits of a sound folder: photographs, size in pixels, share of void."""
    sizes = ", ".join(f"{width}x{height}" for width, height in sorted(report.sizes))
    rows = [f"{'split':<6} {'photographs':>11}  {'void':>6}"]
    for split in SPLITS:
        rows.append(f"{split:<6} {len(report.splits[split]):>11}  {report.void_share[split]:>6.1%}")
    return "\n".join([*rows, f"{len(report.codes)} classes with void, {sizes} pixels"])


def _print_problems(root: Path, problems: dict[str, list[str]], remedy: str) -> None:
    total = sum(map(len, problems.values()))
    print(f"{root}: {total} problem{'s' * (total != 1)}", file=sys.stderr)
    for kind, items in problems.items():
        print(f"  {kind}: {len(items)}", file=sys.stderr)
        for item in items[:_LINES_PER_KIND]:
            print(f"    {item}", file=sys.stderr)
        if len(items) > _LINES_PER_KIND:
            print(f"    ... and {len(items) - _LINES_PER_KIND} more", file=sys.stderr)
    print(remedy, file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m data_scripts.check_camvid", description="Check a prepared data folder."
    )
    parser.add_argument(
        "root", nargs="?", type=named_path, default=DEFAULT_DEST, metavar="DIR", help="default: data/camvid"
    )
    root = parser.parse_args(argv).root
    return exit_code(lambda: _report_on(root), "nothing was changed")


def _report_on(root: Path) -> int:
    report, problems = check_camvid(root)
    version = published_version(report, SOURCES)
    if problems:
        dest = shlex.quote(str(root))
        command = version and f"python -m data_scripts.download_camvid --source {version.name} --dest {dest} --force"
        _print_problems(
            root, problems, f"To replace it: {command}" if version else "Correct these, or make the folder again."
        )
        return 1
    kind = f"CamVid, the published {version.name} version" if version else "sound (not CamVid, so no counts to compare)"
    print(f"{root}: {kind}\n{table(report)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
