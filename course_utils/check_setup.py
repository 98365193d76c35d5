"""What this machine has of what the course needs, as a short table: ``python -m course_utils.check_setup``.

Here only the standard library is imported: the table has to come even where PyTorch cannot be imported. What needs
PyTorch runs in a Python of its own.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_utils.data_layout import DATA_DIR, is_prepared

OK, NOTE, PROBLEM = "ok", "note", "problem"
ROOT = DATA_DIR.parent
INSTALL = "python -m pip install -r requirements.txt"
FRESH = "make a fresh environment and install requirements.txt as it is (README, first command)"
PYTHONS = ((3, 11), (3, 12))
GIB = 2**30
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET_CHROMIUM = "`python -m playwright install --with-deps chromium`, or your system's package of that name"

PROBE = """
import course_utils
print("course", course_utils.__file__, flush=True)
import torch
print("torch", torch.__version__, flush=True)
import torchvision
torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
print("torchvision", torchvision.__version__, flush=True)
from course_utils.encoders import create_encoder
create_encoder("efficientnet_lite0", pretrained=True)
print("weights", flush=True)
from course_utils.devices import hardware, pick_device
device = pick_device()
torch.zeros(1, device=device).add_(1).item()
print("device", device.type, hardware(device), flush=True)
"""
"""One line for each step that works; the first that does not ends it with an error."""
STEPS = ("course", "torch", "torchvision", "weights", "device")


@dataclass(frozen=True)
class Finding:
    """One line of the table; `remedy` says what to do where `state` is not "ok"."""

    name: str
    state: str
    text: str
    remedy: str = ""


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """The course runs on the versions in `PYTHONS`; others are worth a try if they are near."""
    text = ".".join(map(str, version)) + f", {sys.executable}"
    wanted = " or ".join(".".join(map(str, pair)) for pair in PYTHONS)
    if version in PYTHONS:
        return Finding("Python", OK, text)
    if version > PYTHONS[-1]:
        return Finding("Python", NOTE, text, f"the course is tested with {wanted}")
    return Finding("Python", PROBLEM, text, f"make the environment with Python {wanted}")


def read_pins(path: Path = ROOT / "requirements.txt") -> dict[str, tuple[str, bool]]:
    """For each package of a requirements file its version, and whether only the tests need it."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = (re.match(r"([\w-]+)==(\S+)\s*#\s*(.*)", line) for line in lines)
    return {match[1]: (match[2], match[3].startswith("tests")) for match in found if match}


def check_packages(pins: dict[str, tuple[str, bool]]) -> Finding:
    """Installed versions beside the pinned ones."""
    have = {name: _installed(name) for name in pins}
    missing = [name for name, version in have.items() if version is None]
    other = [f"{name} {have[name]} for {pins[name][0]}" for name in pins if have[name] not in (None, pins[name][0])]
    told = [f"missing: {', '.join(missing)}"] if missing else []
    told += [f"another version: {', '.join(other)}"] if other else []
    if not told:
        return Finding("packages", OK if pins else NOTE, f"{len(pins)} as pinned in requirements.txt")
    stops = any(not pins[name][1] for name in missing)
    return Finding("packages", PROBLEM if stops else NOTE, "; ".join(told), INSTALL)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name).partition("+")[0]  # "2.15.0+cpu" is the build, not another version
    except importlib.metadata.PackageNotFoundError:
        return None


def run_probe(code: str = PROBE, timeout: float = 300) -> tuple[dict[str, str], str]:
    """Run `code` in a Python of its own, in the notebooks' folder: what it printed, by first word, and its error."""
    folder = ROOT / "notebooks"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder if folder.is_dir() else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return {}, f"no answer after {timeout:g} s"
    steps = {first: rest for first, _, rest in (line.partition(" ") for line in done.stdout.splitlines())}
    errors = [line for line in done.stderr.splitlines() if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
    ended = f"Python ended with status {done.returncode}" if done.returncode else ""
    return {step: steps[step] for step in STEPS if step in steps}, errors[-1] if errors and ended else ended


def check_torch(steps: dict[str, str], error: str) -> list[Finding]:
    """What a run of the probe says of the course's own package, PyTorch, the encoder's weights and the device."""
    failed = next((step for step in STEPS if step not in steps), None)
    findings = [_course(steps, error), _pair(steps, error)]
    if "torchvision" not in steps:
        return findings + [Finding(name, NOTE, "not checked: PyTorch comes first") for name in ("weights", "device")]
    if failed == "weights":
        findings.append(Finding("weights", PROBLEM, "EfficientNet-Lite0: " + _message(error), INSTALL))
        return [*findings, Finding("device", NOTE, "not checked: the weights come first")]
    findings.append(Finding("weights", OK, "EfficientNet-Lite0, ImageNet: complete, checksum right"))
    if failed == "device":
        remedy = "update the driver, or set CUDA_VISIBLE_DEVICES to nothing: the CPU is enough"
        return [*findings, Finding("device", PROBLEM, _message(error), remedy)]
    kind, _, name = steps["device"].partition(" ")
    return [*findings, Finding("device", OK, name + (" (the course needs no GPU)" if kind == "cpu" else f" ({kind})"))]


def _course(steps: dict[str, str], error: str) -> Finding:
    if "course" not in steps:
        return Finding("course", PROBLEM, "notebooks cannot import course_utils: " + _message(error), INSTALL)
    where = Path(steps["course"]).resolve().parent
    if where != Path(__file__).resolve().parent:
        remedy = "python -m pip install -e .  (in the folder of requirements.txt)"
        return Finding("course", PROBLEM, f"notebooks would import course_utils from {where}", remedy)
    return Finding("course", OK, f"course_utils, from {where.parent}")


def _pair(steps: dict[str, str], error: str) -> Finding:
    names = {name: _installed(name) for name in ("torch", "torchvision")}
    text = ", ".join(f"{name} {steps.get(name) or version or 'missing'}" for name, version in names.items())
    if "torchvision" in steps:
        return Finding("PyTorch", OK, f"{text}: they import together")
    if "course" not in steps:
        return Finding("PyTorch", NOTE, f"{text}: not checked, the course comes first")
    if None in names.values():
        return Finding("PyTorch", PROBLEM, text, INSTALL)
    why = "torch cannot be imported"
    if "torch" in steps:
        why = "they come from different builds" if "torchvision::nms" in error else "they do not import together"
    return Finding("PyTorch", PROBLEM, f"{text}: {why} ({_message(error)})", FRESH)


def _message(error: str) -> str:
    return error.partition(": ")[2] or error


def check_kernel() -> Finding:
    """Whether the kernel that the notebooks ask for starts this Python."""
    if importlib.util.find_spec("ipykernel") is None or importlib.util.find_spec("jupyter_client") is None:
        return Finding("kernel", PROBLEM, "no ipykernel in this environment", INSTALL)
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except (NoSuchKernel, OSError, ValueError) as error:
        remedy = "python -m ipykernel install --sys-prefix"
        return Finding("kernel", PROBLEM, f"no usable kernel python3 ({error})", remedy)
    if os.path.dirname(program) not in ("", os.path.dirname(sys.executable)):
        remedy = (
            "python -m ipykernel install --sys-prefix, or choose another kernel in the notebook's upper right corner"
        )
        return Finding("kernel", PROBLEM, f"notebooks would run in another environment: {program}", remedy)
    return Finding("kernel", OK, "python3 starts this Python")


def check_memory() -> Finding:
    """A notebook needs up to 4 GiB."""
    try:
        import psutil

        free, total = psutil.virtual_memory().available / GIB, psutil.virtual_memory().total / GIB
    except ImportError:
        return Finding("memory", NOTE, "unknown", "4 GiB should be free")
    text = f"{free:.1f} of {total:.1f} GiB are free"
    return Finding("memory", OK, text) if free >= 4 else Finding("memory", NOTE, text, "close what you do not need")


def check_disk(folder: Path = ROOT) -> Finding:
    """The first notebook paints its scenes into the repository, which has to be writable."""
    if not os.access(folder, os.W_OK):
        return Finding("disk", PROBLEM, f"{folder} cannot be written", "copy the repository to a folder of your own")
    free = shutil.disk_usage(folder).free / GIB
    text = f"{free:.1f} GiB are free"
    return (
        Finding("disk", OK, text) if free >= 1 else Finding("disk", NOTE, text, "make room: data sets need up to 1 GiB")
    )


def check_data(data_dir: Path = DATA_DIR) -> Finding:
    """Which data set the notebooks will take."""
    camvid, scenes = data_dir / "camvid", data_dir / "street_scenes"
    if is_prepared(camvid):
        return Finding("data", OK, "real CamVid")
    for folder in (camvid, scenes):
        if folder.is_dir() and not is_prepared(folder):
            remedy = (
                f"python -m data_scripts.check_camvid {folder} says what is missing; delete the folder to start anew"
            )
            return Finding("data", NOTE, f"{folder} is not complete", remedy)
    if is_prepared(scenes):
        return Finding("data", OK, "painted street scenes")
    return Finding("data", OK, "none yet: the first notebook paints street scenes, which takes a minute")


def find_chromium() -> str | None:
    """The system's Chromium, else Playwright's own."""
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found or importlib.util.find_spec("playwright") is None:
        return found
    # In a Python of its own: Playwright's synchronous interface does not start inside a notebook.
    code = (
        "from playwright.sync_api import sync_playwright as p\nwith p() as play: print(play.chromium.executable_path)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    path = done.stdout.strip()
    return path if path and os.path.exists(path) else None


def check_chromium() -> Finding:
    """Only the tests need it."""
    found = find_chromium()
    if found:
        return Finding("Chromium", OK, f"{found} (for the tests only)")
    return Finding("Chromium", NOTE, "none: the browser tests will be skipped", HOW_TO_GET_CHROMIUM)


def check_all() -> list[Finding]:
    """Every line of the table."""
    return [
        check_python(),
        check_packages(read_pins()),
        *check_torch(*run_probe()),
        check_kernel(),
        check_memory(),
        check_disk(),
        check_data(),
        check_chromium(),
    ]


def as_table(findings: Sequence[Finding]) -> str:
    """Name, state and text in columns, each remedy below its line; at the end what it comes to."""
    lines = []
    for finding in findings:
        head = f"{finding.name:10}{finding.state:9}"
        lines += textwrap.wrap(
            finding.text, 96, initial_indent=head, subsequent_indent=" " * 19, break_long_words=False
        )
        if finding.remedy:
            lines += textwrap.wrap(finding.remedy, 96, initial_indent=" " * 19 + "-> ", subsequent_indent=" " * 22)
    problems, notes = ([f.name for f in findings if f.state == state] for state in (PROBLEM, NOTE))
    verdict = f"To be solved first: {', '.join(problems)}." if problems else "Nothing stops the course."
    return "\n".join([*lines, verdict + (f" Worth a look: {', '.join(notes)}." if notes else "")])


DESCRIPTION = "Say what is fine for the course on this machine, what is not, and what to do about it."


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 1 if something in it stops the course."""
    parser = argparse.ArgumentParser(prog="python -m course_utils.check_setup", description=DESCRIPTION)
    parser.parse_args(argv)
    findings = check_all()
    print(as_table(findings))
    return int(any(finding.state == PROBLEM for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
