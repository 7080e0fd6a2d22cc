"""What a process takes for itself while it trains or calibrates: memory, and threads."""

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of mallopt(3)
_FEW_SCORES = 1_000_000


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


def memory_bytes(device: torch.device | str = "cpu") -> int:
    """What a device has in all; on the CPU no more than this process may take (RLIMIT_AS, and a container's limit)."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY:
        limits.append(allowed)
    of_container = Path("/sys/fs/cgroup/memory.max")
    if of_container.exists() and (text := of_container.read_text().strip()).isdecimal():
        limits.append(int(text))
    return min(limits)


def peak_bytes(device: torch.device | str = "cpu") -> int:
    """The most that this process has held so far: in main memory, or of tensors on a GPU."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_units(num_bytes: float) -> str:
    """5.6 TB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:,.1f} TB"


@contextmanager
def threads_for(num_scores: int) -> Iterator[None]:
    """One thread while the scores of a step are few, else as many as there were; afterwards what was before.

    On such a step a second thread gains nothing, and where the cores have other work to do each of its hundred
    meeting points waits for the scheduler: the demo then took ten times as long.
    """
    before = torch.get_num_threads()
    if num_scores < _FEW_SCORES:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
