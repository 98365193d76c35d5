"""One kind of progress bar, which goes away when the work is done, for terminals and notebooks."""

import os
from typing import Any

from tqdm.auto import tqdm


def progress_bar(*args: Any, show: bool = True, **kwargs: Any) -> tqdm:
    """A `tqdm` bar; none at all if `show` is False or the environment variable ``TQDM_DISABLE`` is 1.

    tqdm's own bar for notebooks overlooks that variable.
    """
    hidden = not show or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    return tqdm(*args, leave=False, disable=hidden, **kwargs)
