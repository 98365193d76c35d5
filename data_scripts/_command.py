"""How a command of the data scripts ends: with an exit code, and one sentence where something went wrong."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from data_scripts._errors import DataError, sentence

KILLED = 128 + 15
"""What shells report of a command that SIGTERM has ended."""


def exit_code(work: Callable[[], int | None], when_interrupted: str) -> int:
    """Do the work of a command: its own exit code, or 0; 1 after an error; 130 after Ctrl-C. SIGTERM cleans up too."""
    try:
        with _polite_kill():
            return work() or 0
    except (DataError, OSError, RuntimeError, ValueError) as error:
        print(f"error: {sentence(error) if isinstance(error, OSError) else error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: {when_interrupted}", file=sys.stderr)
        return 130


@contextmanager
def _polite_kill() -> Iterator[None]:
    """While it lasts, SIGTERM (as `kill` and job schedulers send it) leaves every `with` and `finally` properly."""
    # Python lets no other thread set a handler.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(KILLED))
    try:
        yield
    finally:
        # None stands for a handler that was not set from Python, which cannot be put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
