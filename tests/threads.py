"""Which threads of the program there are in this process."""

from __future__ import annotations

import threading

PATIENCE = 10.0  # seconds: one that has been told to end does so when it gets its turn


def ours(prefix: str = "facestream") -> list[str]:
    """The names of those there are now."""
    return [thread.name for thread in _ours(prefix)]


def left_over(prefix: str = "facestream") -> list[str]:
    """The names of those that don't end by themselves."""
    for thread in _ours(prefix):
        thread.join(PATIENCE)
    return ours(prefix)


def _ours(prefix: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]
