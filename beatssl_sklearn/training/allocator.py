"""Memory that glibc keeps between the steps of a training.

Every step allocates the same large maps anew. By default, glibc takes each block above 32 MB from the kernel and gives
it back when it is freed, and the kernel clears every page again: up to a sixth of a step on a CPU. While `kept_memory`
runs, blocks come from the heap, and the heap stays.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# Names and numbers of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_NEVER = -1
_WHILE = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, 64 << 20))
# glibc's defaults. Once set, its two thresholds no longer grow by themselves: these are the largest that they grow to.
_AFTER = ((_MMAP_MAX, 65536), (_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, 64 << 20), (_TOP_PAD, 128 << 10))
# Who sets these, has tuned the allocator: it is left alone.
_TUNED = ("MALLOC_TOP_PAD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")

# One entry for each training that runs. No lock guards it, because a forked child would inherit the lock. The worst
# that two threads can do at the same moment is to set the same values twice, or to make one training slower.
_running: set[object] = set()


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let freed blocks stay in the process, and give them back at the end.

    It does nothing where the C library is not glibc, or where the environment tunes glibc's allocator. Trainings in
    several threads share it: the last one to end gives the memory back.

    Notes
    -----
    In the meantime, the process holds the largest amount of memory that it has had. Numbers do not change.
    """
    own = object()
    if not _running:
        _set(_WHILE)
    _running.add(own)
    try:
        yield
    finally:
        _running.discard(own)
        if not _running:
            _set(_AFTER, give_back=True)


def _set(values: tuple[tuple[int, int], ...], give_back: bool = False) -> None:
    library = _glibc()
    if library is None:
        return
    for name, value in values:
        library.mallopt(name, value)
    if give_back:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    """Return the C library, or None where its allocator must not or cannot be set."""
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _TUNED):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
