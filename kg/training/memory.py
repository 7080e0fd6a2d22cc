"""Keep freed memory in the process while training."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of mallopt(3)


def keep_freed_memory() -> None:
    """Ask glibc not to give large freed blocks back to the kernel; a no-op elsewhere.

    A step frees and takes again some hundred megabytes of scores and gradients. By default each goes back and comes
    anew, page by page and zeroed, which costs a fifth of a training step on wn18rr.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl has none
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 64 << 20)
