"""One kind of progress bar, which goes away when the work is done, for terminals and notebooks."""

import os
import sys
from typing import Any

from tqdm.auto import tqdm


def progress_bar(*args: Any, show: bool = True, **kwargs: Any) -> tqdm:
    """A `tqdm` bar; none at all if `show` is False, in processes after the first, or where ``TQDM_DISABLE`` is 1.

    tqdm's own bar for notebooks overlooks that environment variable.
    """
    hidden = not show or _rank() > 0 or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    return tqdm(*args, leave=False, disable=hidden, **kwargs)


def _rank() -> int:
    """The number of this process; a program that has not loaded torch works alone, and need not load it for this."""
    if "torch" not in sys.modules:
        return 0
    from course_utils.distributed import rank

    return rank()
