"""Notices a stream that is connected and has frozen."""

from __future__ import annotations

import math


class Watchdog:
    """Watches the times of one connection's frames. Pure: time is a parameter.

    A stream that sends nothing, or nothing that can be decoded, shows by itself: whoever reads it waits in vain. One
    that goes on sending the same moment doesn't: an encoder that lost its camera and repeats its last pictures, a relay
    that plays its buffer again, a camera whose clock stands still or was set back. What they have in common is that for
    a long time no frame is newer than the newest before.

    Frames that look the same are no sign of it. A still scene, well compressed, gives the same picture for minutes, and
    so do a locked screen and a recorder that shows "no signal" instead of a camera that it lost itself; connecting
    again would help none of them.

    Args:
        patience: seconds for which frames may come without a newer one among them.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.restart()

    def restart(self) -> None:
        """Another connection begins, with times of its own."""
        self._newest = -math.inf
        self._newest_at = math.inf
        self._damaged = 0

    def frame(self, pts: float, now: float, damaged: int = 0) -> str:
        """A frame with ``pts`` came at ``now``, both in seconds.

        Args:
            damaged: packets of the connection so far that couldn't be decoded.

        Returns:
            what is wrong with the stream, or "".
        """
        self._damaged = damaged
        if pts > self._newest:
            self._newest, self._newest_at = pts, now
        elif now - self._newest_at > self._patience:
            back = self._newest - pts
            what = f"went back by {back:.1f} s" if back > self._patience else "stand still"
            return f"it is frozen: frames come, but for {now - self._newest_at:.0f} s their time stamps {what}"
        return ""

    def lost(self, reason: str, damaged: int) -> str:
        """``reason``, why the connection was lost, with what came of it in the end."""
        last = damaged - self._damaged
        return reason if last <= 0 else f"{reason} (since its last picture: {last} damaged packets)"
