"""Whether a camera's frames come faster than they are decoded."""

from __future__ import annotations

from typing import Final

_DRIFT: Final = 1e-3
"""Seconds a second by which a camera's clock may differ from ours; and by which an old best is forgotten."""


class FallingBehind:
    """Tells how long what a camera has sent has waited to be decoded. Pure: time is a parameter.

    A camera sends in its own time, so between a frame's time stamp and the moment at which it is decoded lies always
    the same span, unless frames pile up before the decoder. Who is behind may decode frames only that others refer to.
    That is done for a limited time: a stream that can't be caught up with in this way isn't any better for it.

    Args:
        begin: seconds behind from which frames are passed over.
        end: seconds behind at which all are decoded again.
        longest: seconds that it may take; what is still behind then counts as the stream's own delay.
    """

    def __init__(self, begin: float = 1.0, end: float = 0.3, longest: float = 10.0) -> None:
        self._begin, self._end, self._longest = begin, end, longest
        self._least: float | None = None  # of the spans between a frame's own time and its decoding
        self._seen_at = 0.0
        self._pts = 0.0
        self._since: float | None = None  # frames are being passed over

    def passes_over(self, pts: float, now: float) -> bool:
        """Whether to pass over frames that no other refers to, after the frame at ``pts`` came at ``now``; seconds."""
        span = now - pts
        jumped = not 0 <= pts - self._pts <= self._longest
        if self._least is None or jumped:
            self._least, self._since = span, None
        else:
            self._least = min(span, self._least + _DRIFT * (now - self._seen_at))
        self._seen_at, self._pts = now, pts
        behind = span - self._least
        if self._since is None:
            self._since = now if behind > self._begin else None
        elif behind < self._end:
            self._since = None
        elif now - self._since > self._longest:
            self._least, self._since = span, None
        return self._since is not None
