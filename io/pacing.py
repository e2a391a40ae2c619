"""When to show the next frame of a recording."""

from __future__ import annotations


class Pacer:
    """Holds frames back until their time, so that a recording plays as it was filmed. Pure: time is a
    parameter.

    Lateness is forgiven rather than caught up: after a stall longer than ``slack`` the rest plays later, at
    its own pace, instead of in a burst. The same goes for a jump in the frames' own time.
    """

    def __init__(self, slack: float = 0.5, longest_gap: float = 10.0) -> None:
        self._slack = slack
        self._longest_gap = longest_gap
        self._zero: float | None = None  # the moment at which pts 0 is due
        self._last_pts = 0.0

    def delay(self, pts: float, now: float) -> float:
        """Seconds to wait at ``now`` before showing the frame at ``pts``; both in seconds, never negative."""
        jump = self._zero is not None and not 0 <= pts - self._last_pts <= self._longest_gap
        self._last_pts = pts
        if self._zero is None or jump or now - (self._zero + pts) > self._slack:
            self._zero = now - pts
        return max(0.0, self._zero + pts - now)


class Timeline:
    """One monotonic time line for a recording that is played again and again. Pure.

    Args:
        rate: frames a second as announced, for the gap between two rounds when a round has but one frame.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._period = 1 / (rate or 25.0)
        self._last: float | None = None
        self._offset = 0.0
        self._starting = False

    def place(self, pts: float) -> float:
        """Where the frame with ``pts`` lies on the line, in seconds. The first round keeps its times as they
        are.
        """
        if self._starting and self._last is not None:
            self._offset = self._last + self._period - pts
        self._starting = False
        placed = pts + self._offset
        if self._last is not None and placed > self._last:
            self._period = placed - self._last
        self._last = placed
        return placed

    def restart(self) -> None:
        """The next frame is the first of another round: it follows the last one by the latest gap between
        frames.
        """
        self._starting = True
