"""What the benchmarks share: options of the command line, the file they write, the table they print."""

import argparse
import os
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path

import torch

from course_utils.command_line import check_files, command_again, provenance
from course_utils.files import write_json

NEEDED = {"fastai": "fastai", "smp": "segmentation_models_pytorch"}
MOST_THREADS = 1024


def add_common_options(parse: argparse.ArgumentParser) -> None:
    """Where to measure, how often, and where the result goes."""
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parse.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of a CPU")
    parse.add_argument("--out", type=Path, help="JSON file for the result, which is printed in any case")


def check_common_options(args: argparse.Namespace, *counts: str) -> None:
    """Refuse what would fail after minutes; `counts` are options that must be at least 1."""
    for name in counts:
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)} is less than 1.")
    if not 1 <= args.threads <= MOST_THREADS:
        raise ValueError(f"--threads {args.threads} is not from 1 to {MOST_THREADS}.")
    if args.out is not None:
        check_files([args.out])


def check_batch(args: argparse.Namespace) -> None:
    """Refuse pictures that a U-Net cannot be trained on."""
    if min(args.size) < 32:
        raise ValueError(f"--size {args.size[0]} {args.size[1]} is too small: both sides need 32 pixels.")
    if args.batch_size == 1 and max(args.size) <= 32:
        raise ValueError("one picture of 32 × 32 gives batch norm one value to train on; raise --batch-size or --size.")


def check_libraries(libraries: set[str]) -> None:
    """Refuse a comparison with what is not installed."""
    for library in sorted(libraries & set(NEEDED)):
        if find_spec(NEEDED[library]) is None:
            raise ValueError(
                f"{NEEDED[library]} is not installed; run pip install -e '.[benchmarks]' in an environment of its own."
            )


def write_record(
    parse: argparse.ArgumentParser,
    args: argparse.Namespace,
    device: torch.device,
    found: Mapping,
    places: Collection[str] = ("out", "device"),
    libraries: Mapping[str, str] | None = None,
) -> dict:
    """What was found, behind the command that repeats it and what it was found on; in the file, if one was named.

    Args:
        places: options that say where things lie on one machine, and so are no part of the command.
        libraries: versions of others than the course's own.
    """
    record = {"command": command_again(parse, args, places), **provenance(device), **found}
    record["versions"] |= libraries or {}
    if args.out is not None:
        write_json(args.out, record)
    return record
