"""The thread that a live source works in, and another one when it hangs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from facestream.errors import SourceUnavailable
from facestream.stream.device import Lane

MOST_HANGING: Final = 3
"""Threads of one source that may hang at once: each keeps a connection and its memory."""

_log = logging.getLogger("facestream.source")


class SourceLane:
    """One thread for all connections of a source, one after another.

    A call into FFmpeg or a driver that never returns can't be ended, only left behind with its thread. What it holds
    is let go of if it returns after all.

    Args:
        name: the source's.
        make: makes a lane, with patience.
    """

    def __init__(self, name: str, make: Callable[[], Lane]) -> None:
        self._name = name
        self._make = make
        self._lane: Lane | None = None
        self._hanging: list[Lane] = []

    def get(self) -> Lane:
        """The lane for the next connection.

        Raises:
            SourceUnavailable: too many of them hang.
        """
        self._hanging = [lane for lane in self._hanging if lane.pending]
        if self._lane is None and len(self._hanging) >= MOST_HANGING:
            raise SourceUnavailable(
                f"{len(self._hanging)} connections to {self._name} hang; it is tried again when one comes back, "
                "or restart facestream"
            )
        self._lane = self._lane or self._make()
        return self._lane

    async def leave_if_hung(self) -> None:
        """Take another thread from now on, if this one hangs."""
        lane = self._lane
        if lane is None or not lane.forsaken:
            return
        self._lane = None
        self._hanging.append(lane)
        _log.error("source %s: a call hangs in its driver or in FFmpeg; leaving its thread behind", self._name)
        await lane.aclose()

    def give_up(self) -> None:
        """Wait no longer for a call in progress: it hangs."""
        if self._lane is not None and self._lane.pending:
            self._lane.forsake()

    async def aclose(self) -> None:
        """End the thread, unless it hangs."""
        await self.leave_if_hung()
        if self._lane is not None:
            await self._lane.aclose()
        await self.leave_if_hung()
