"""Ctrl-C that waits for a good moment: the first one is noted, the second acts at once."""

import signal
import threading
import time
from types import FrameType


class DeferredInterrupt:
    """Context in which the first SIGINT only sets `asked`; leaving it puts the old handler back.

    Signals are left alone outside Python's main thread, which alone may handle them, and where SIGINT is ignored.

    Args:
        passed_on: one Ctrl-C may come twice, from the terminal and from a parent that passes it on: what comes within
            a second of the first is no second one.
    """

    def __init__(self, passed_on: bool = False) -> None:
        self.asked = False
        self._quiet_seconds = 1.0 if passed_on else 0.0
        self._asked_at = 0.0
        self._old = None

    def __enter__(self) -> "DeferredInterrupt":
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
            self._old = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked, self._asked_at = True, time.monotonic()
        elif time.monotonic() - self._asked_at >= self._quiet_seconds:
            raise KeyboardInterrupt("stopped at once, at the second Ctrl-C.")

    def __exit__(self, *exception: object) -> None:
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)
