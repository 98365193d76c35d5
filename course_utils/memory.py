"""One switch for training on a CPU under Linux: keep freed memory instead of handing it back to the system."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Tell glibc to reuse the large blocks that each training step frees and asks for again.

    Without it every large activation is mapped and cleared by the kernel anew. Call it once, before the first large
    tensor; memory then stays with the process until it ends. The arithmetic does not change.

    Returns:
        True where it took effect; False, and nothing happens, on systems without glibc (macOS, Windows, musl).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))
    return all(libc.mallopt(name, value) == 1 for name, value in settings)
