"""When to ping a peer and when to give it up. Pure: time and the write buffer are parameters."""

from __future__ import annotations

from enum import Enum
from typing import Final

SWEEPS: Final = 40
"""How often a peer is looked at within its timeout; it is given up one or two sweeps early, never late."""

_PINGS: Final = 4


class Verdict(Enum):
    FINE = "fine"
    PING = "ping"  # nothing heard for a while: ask
    STALLED = "stalled"  # it accepts nothing: hang up


class Heartbeat:
    """One peer's signs of life: bytes from it, and bytes that it has taken off our write buffer.

    ``websockets``' own keepalive isn't used: it waits for room in the write buffer before it pings, so it
    never notices a peer that has stopped reading.

    Args:
        now: seconds.
        timeout: seconds without a sign of life after which a peer is stalled.
    """

    def __init__(self, now: float, timeout: float) -> None:
        self._timeout = timeout
        self._alive_at = now
        self._pinged_at = now
        self._checked_at = now
        self._buffered = 0

    def heard(self, now: float) -> None:
        """Bytes came from the peer. They say nothing about whether it reads while our buffer is stuck."""
        if not self._buffered:
            self._alive_at = now

    def check(self, now: float, buffered: int) -> Verdict:
        """Look at the peer, every ``timeout / SWEEPS`` seconds; its write buffer holds ``buffered`` bytes."""
        self._forgive(now)
        if buffered < self._buffered:
            self._alive_at = now
        self._buffered = buffered
        if now - self._alive_at >= self._timeout * (1 - 2 / SWEEPS):
            return Verdict.STALLED
        if not buffered and now - self._pinged_at >= self._timeout / _PINGS:
            self._pinged_at = now
            return Verdict.PING
        return Verdict.FINE

    def _forgive(self, now: float) -> None:
        """Time in which we were held up ourselves, and heard nobody, isn't the peer's silence."""
        sweep = self._timeout / SWEEPS
        held_up = now - self._checked_at - sweep
        self._checked_at = now
        if held_up > sweep:  # not the usual lateness of timers, which would add up
            self._alive_at = min(now, self._alive_at + held_up)
