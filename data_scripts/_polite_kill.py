"""A polite kill (SIGTERM, as `kill` and job schedulers send it) cleans up just as Ctrl-C does."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_CODE = 128 + 15
"""What shells report of a command that SIGTERM has ended."""


@contextmanager
def polite_kill() -> Iterator[None]:
    """While it lasts, SIGTERM leaves every `with` and `finally` properly; then the old handler is back.

    Raises:
        SystemExit: with `EXIT_CODE`, when the signal comes.
    """
    # Python lets no other thread set a handler.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_CODE))
    try:
        yield
    finally:
        # None stands for a handler that was not set from Python, which cannot be put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
