"""How fast and how late: small measures over the recent past. Pure; time is a parameter."""

from __future__ import annotations

from collections import deque
from statistics import median


class RateMeter:
    """Events a second over the last ``window`` seconds."""

    def __init__(self, window: float = 3.0) -> None:
        self._window = window
        self._times: deque[float] = deque(maxlen=1000)

    def tick(self, now: float) -> None:
        self._times.append(now)

    def rate(self, now: float) -> float:
        """0 when nothing happened within the window."""
        while self._times and self._times[0] < now - self._window:
            self._times.popleft()
        if len(self._times) < 2:
            return 0.0
        span = max(now - self._times[0], 1e-9)
        return (len(self._times) - 1) / span


class RecentMedian:
    """The median of the last ``count`` values."""

    def __init__(self, count: int = 50) -> None:
        self._values: deque[float] = deque(maxlen=count)

    def add(self, value: float) -> None:
        self._values.append(value)

    def value(self) -> float | None:
        return median(self._values) if self._values else None
