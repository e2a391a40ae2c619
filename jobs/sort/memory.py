"""Whether there is room to tell so many faces apart: clustering holds each pair's distance twice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from facestream.errors import ConfigError

_BYTES: Final = 8.0  # for each pair of rows, N² of them: two arrays of N² / 2 doubles
_MEMINFO: Final = Path("/proc/meminfo")


def check_room(faces: int, available: int | None) -> None:
    """Refuse more faces than fit, before the machine is out of memory. Pure.

    Args:
        available: bytes of memory; None where nobody knows.

    Raises:
        ConfigError: they don't fit.
    """
    needed = _BYTES * faces**2
    if available is not None and needed > available:
        most = int((available / _BYTES) ** 0.5)
        raise ConfigError(
            f"{faces} faces can't be told apart at once in {available / 1e9:.1f} GB of memory, about {most} can: "
            "put them into several folders and sort these with --batch-mode"
        )


def available_memory() -> int | None:
    """Bytes that can be had without anything being swapped out; None where the system doesn't tell."""
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
