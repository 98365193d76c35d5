"""Ctrl-C that waits for a good moment: the first one is noted, the second acts at once."""

import signal
import threading
from types import FrameType


class DeferredInterrupt:
    """Context in which the first SIGINT only sets `asked`; leaving it puts the old handler back.

    Signals are left alone outside Python's main thread, which alone may handle them, and where SIGINT is ignored.
    """

    def __init__(self) -> None:
        self.asked = False
        self._old = None

    def __enter__(self) -> "DeferredInterrupt":
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
            self._old = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt("stopped at once, at the second Ctrl-C.")
        self.asked = True

    def __exit__(self, *exception: object) -> None:
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)
