"""The one error of the data scripts: a sentence for the reader, instead of a traceback."""

import errno

_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DataError(Exception):
    """What went wrong with the data and what to do about it, in one sentence."""


def sentence(error: OSError) -> str:
    """Say what the operating system refused, on which path, and what helps."""
    if error.errno is None:
        return str(error)  # one of our own
    where = f" at {error.filename}" if error.filename else ""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    if error.errno in _OUT_OF_SPACE:
        return f"the disk is full or a quota is reached ({reason}{where}): free some space, or choose another --dest"
    return f"the system refused a file operation ({reason}{where}): check the path and its permissions"
