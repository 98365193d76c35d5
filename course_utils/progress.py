"""One kind of progress bar, which goes away when the work is done, for terminals and notebooks."""

import os
from typing import Any

from tqdm.auto import tqdm

from course_utils.distributed import rank


def progress_bar(*args: Any, show: bool = True, **kwargs: Any) -> tqdm:
    """A `tqdm` bar; none at all if `show` is False, in processes after the first, or where ``TQDM_DISABLE`` is 1.

    tqdm's own bar for notebooks overlooks that environment variable.
    """
    hidden = not show or rank() > 0 or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    return tqdm(*args, leave=False, disable=hidden, **kwargs)
