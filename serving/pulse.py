"""The event loop's heartbeat: how late it is, and what is to be done at each beat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from facestream.stream.histogram import Histogram

PERIOD: Final = 0.5
"""Seconds between two beats."""

LAGS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Pulse:
    """Beats while the event loop does.

    Args:
        clock: seconds that never decrease.

    Attributes:
        lag: seconds by which a beat came late, because something else held up the loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lag = Histogram(LAGS)
        self._clock = clock
        self._callbacks: list[Callable[[float], None]] = []

    def on_beat(self, callback: Callable[[float], None]) -> None:
        """Call ``callback(now)`` at each beat."""
        self._callbacks.append(callback)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            due = self._clock() + PERIOD
            await asyncio.sleep(PERIOD)
            now = self._clock()
            self.lag.observe(max(0.0, now - due))
            for callback in self._callbacks:
                callback(now)
