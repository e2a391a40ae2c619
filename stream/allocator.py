"""What C's allocator does with memory that isn't used any more."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Final

# Of <malloc.h>.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

LARGEST_KEPT: Final = 32 << 20
"""Bytes: an activation or a frame up to this size is taken from memory that the process has."""

KEPT: Final = 128 << 20
"""Bytes that may stay at the end of the heap, unused."""


def keep_freed_memory() -> bool:
    """Let freed activations and frames be used again instead of going back to the kernel; whether that could be said.

    As it comes, glibc maps each block of some hundred kilobytes or more anew and unmaps it when it is freed, so that
    every inference and every frame touches thousands of pages that the kernel must find and clear first: a seventh of
    ``extract``'s CPU time. Elsewhere than on glibc nothing happens.

    Threads share few arenas: as it comes, there are eight for each core, and each would keep room for the largest
    frame that its threads have ever held.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    kept = mallopt(_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, KEPT)
    return bool(kept and mallopt(_ARENA_MAX, max(2, (os.cpu_count() or 1) // 2)))


def give_back_unused_memory() -> bool:
    """Let the kernel have every page that nothing lies in; whether there was any. Blocks for milliseconds.

    Each thread allocates from an arena of its own, and cameras that come and go, in other sizes, leave holes in all of
    them: what :func:`keep_freed_memory` keeps would grow for hours. Elsewhere than on glibc nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))
