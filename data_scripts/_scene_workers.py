"""Paint many scenes on all processor cores: helper processes take a share of the list each.

They are started as commands, not with `multiprocessing`, so that it works from a notebook, from a script without a
main guard, and next to libraries that must not be forked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from data_scripts._errors import sentence
from data_scripts._scene_plan import paint_scene

WORTH_A_PROCESS = 16
"""Fewer scenes than this are painted sooner than a helper process has started."""
MOST_PROCESSES = 8


def paint_one(root: Path, task: dict[str, Any]) -> None:
    """Paint one scene into `images` and `labels` below `root`; a task has stem, seed, height and width."""
    image, mask = paint_scene(tuple(task["seed"]), task["height"], task["width"])
    Image.fromarray(image).save(root / "images" / f"{task['stem']}.png", compress_level=1)
    Image.fromarray(mask).save(root / "labels" / f"{task['stem']}.png")


def paint_all(root: Path, tasks: list[dict[str, Any]], advance: Callable[[int], object]) -> None:
    """Paint all scenes; `advance(n)` is called as they get ready.

    Raises:
        RuntimeError: if a helper process fails, with the last line that it or another one said.
        OSError: if one does not start.
    """
    count = min(available_cores(), MOST_PROCESSES, len(tasks) // WORTH_A_PROCESS)
    if count < 2:
        for task in tasks:
            paint_one(root, task)
            advance(1)
        return
    with tempfile.TemporaryFile("w+") as errors:
        helpers = []
        try:
            for i in range(count):
                helpers.append(start_helper(root, tasks[i::count], errors))
            follow(helpers, root / "labels", advance)
            codes = [helper.returncode for helper in helpers if helper.returncode]  # before the others are killed
        finally:
            for helper in helpers:
                helper.kill()
                helper.wait()
        if codes:
            errors.seek(0)
            # The last line of a traceback names the error. A helper that was killed for its memory says nothing.
            said = errors.read().strip().splitlines() or [f"it ended with exit code {codes[0]}"]
            raise RuntimeError(f"a process that paints scenes failed: {said[-1]}")


def available_cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_helper(root: Path, tasks: list[dict[str, Any]], errors: Any) -> subprocess.Popen:
    """Start a process that paints `tasks`, which it reads from its standard input."""
    repository = Path(__file__).resolve().parents[1]
    # Not a pipe: writing to that would fail, with a reason that says nothing, if the process has died already.
    with tempfile.TemporaryFile("w+") as list_of_tasks:
        json.dump(tasks, list_of_tasks)
        list_of_tasks.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", "data_scripts._scene_workers", str(root)],
            cwd=repository,
            stdin=list_of_tasks,
            stderr=errors,
        )


def follow(helpers: list[subprocess.Popen], folder: Path, advance: Callable[[int], object]) -> None:
    """Wait for the helpers, or for the first that fails, and report the files that appear in `folder`."""
    seen = 0
    while True:
        states = [helper.poll() for helper in helpers]
        ready = len(os.listdir(folder))
        advance(ready - seen)
        seen = ready
        if any(states) or all(state is not None for state in states):
            return
        unfinished = helpers[states.index(None)]
        try:
            unfinished.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue


def main() -> int:
    """Paint the tasks on the standard input, as a helper; returns the exit code."""
    try:
        for task in json.load(sys.stdin):
            paint_one(Path(sys.argv[1]), task)
    except OSError as error:
        print(sentence(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
