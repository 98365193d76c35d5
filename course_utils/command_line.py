"""What the command lines of the course share: find the data, refuse bad input early, say where numbers come from."""

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import date
from pathlib import Path

import torch
import torchvision

from course_utils.data_layout import DATA_DIR, is_prepared
from course_utils.devices import hardware, pick_device
from course_utils.encoders import LITE0
from course_utils.files import prove_writable


def add_encoder_options(group: argparse._ArgumentGroup) -> None:
    """Which encoder, and from which weights."""
    group.add_argument(
        "--encoder", default=LITE0, help="efficientnet_lite0, _lite1 or _lite2, or a torchvision classifier as resnet34"
    )
    group.add_argument("--random", action="store_true", help="start the encoder from random weights")


def add_speed_options(group: argparse._ArgumentGroup) -> None:
    """What makes training quicker on a CPU, at the same maths."""
    group.add_argument("--keep-memory", action="store_true", help="glibc: keep freed memory (faster on a CPU)")
    group.add_argument(
        "--winograd",
        action="store_true",
        help="on a CPU, without --amp: quicker convolutions for encoders with wide 3×3 kernels (resnet34); same maths",
    )


def add_data_option(parse: argparse._ActionsContainer) -> None:
    """``--data``, for `find_data`; absent from the arguments where it is not given, as a place on one machine."""
    help = "prepared data set (default: data/camvid, else data/street_scenes)"
    parse.add_argument("--data", type=Path, default=argparse.SUPPRESS, help=help)


def find_data(given: Path | None) -> Path:
    """The folder given, else real CamVid, else street scenes, in the repository's data folder."""
    if given is not None:
        return given
    for root in (DATA_DIR / "camvid", DATA_DIR / "street_scenes"):
        if is_prepared(root):
            return root
    raise FileNotFoundError(
        "no data set is prepared; run python -m data_scripts.download_camvid or "
        "python -m data_scripts.make_street_scenes, or name a folder with --data."
    )


def usable_device(name: str) -> torch.device:
    """The device called `name`, after a number was put there and read again."""
    try:
        device = pick_device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"--device {name} cannot be used here ({reason}); take --device cpu.") from error
    return device


def check_files(paths: Sequence[Path]) -> None:
    """Refuse files that could not be written, hours before they are; what is no file, as a device, is not replaced."""
    for path in paths:
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{path.parent} is no folder; make it first, or name another file.")
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; name a file in it.")
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is no ordinary file; name one.")
        try:
            prove_writable(path)
        except OSError as error:
            raise OSError(f"{path} cannot be written ({error.strerror}); name another file.") from error
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(f"{path} cannot be written; name another file.")


def exit_status(name: str, work: Callable[[], None], stopped: str = "nothing was written") -> int:
    """Do the work of the command `name`: 0; 1 after a sentence on what is wrong; 130 after Ctrl-C."""
    try:
        work()
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: stopped; {stopped}.", file=sys.stderr)
        return 130
    return 0


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse a list of seeds that names one twice, or one that `check_seed` refuses."""
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"--seeds {' '.join(map(str, seeds))} names one twice.")
    for seed in seeds:
        check_seed(seed)


def check_seed(seed: int) -> None:
    """Refuse what numpy's and torch's generators cannot take."""
    if seed < 0:
        raise ValueError(f"seed {seed} is negative; take 0 or more.")
    if seed >= 2**63:
        raise ValueError(f"seed {seed} is too large; take less than 2**63.")


def command_again(parse: argparse.ArgumentParser, args: argparse.Namespace, places: Collection[str]) -> str:
    """The command that gives `args`, without the options in `places`, which say where things lie on one machine."""
    positional = {action.dest for action in parse._actions if not action.option_strings}
    first, then = [parse.prog], []
    for name, value in vars(args).items():
        if name in places or value == parse.get_default(name):
            continue
        values = [] if isinstance(value, bool) else value if isinstance(value, (list, tuple)) else [value]
        words = [shlex.quote(str(word)) for word in values]
        if name in positional:
            first += words  # an option that takes several values would swallow them
        else:
            then += [("--no-" if value is False else "--") + name.replace("_", "-"), *words]
    return " ".join(first + then)


def provenance(device: torch.device) -> dict:
    """Date, hardware and versions that measured numbers depend on."""
    return {
        "date": date.today().isoformat(),
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }
