"""How a command of the data scripts ends: with an exit code, and one sentence where something went wrong."""

import sys
from collections.abc import Callable

from data_scripts._errors import DataError, sentence
from data_scripts._polite_kill import polite_kill


def exit_code(work: Callable[[], int | None], when_interrupted: str) -> int:
    """Do the work of a command: its own exit code, or 0; 1 after an error; 130 after Ctrl-C. SIGTERM cleans up too."""
    try:
        with polite_kill():
            return work() or 0
    except (DataError, OSError, RuntimeError, ValueError) as error:
        print(f"error: {sentence(error) if isinstance(error, OSError) else error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: {when_interrupted}", file=sys.stderr)
        return 130
