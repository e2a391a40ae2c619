"""A source's own packets, the newest of them, from which clips are made. Pure: no FFmpeg, no threads, no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

P = TypeVar("P")

_LONGEST_STEP: Final = 10.0
"""Seconds between two packets above which the source's clock has jumped rather than run."""

_MOST_REORDERED: Final = 16
"""Frames that one may be decoded before it is shown: H.264's and H.265's own limit."""

_SHORTEST_STEP: Final = 1e-3

LONGEST_GROUP: Final = 120.0
"""Seconds from a key frame to the next that are waited for. Cameras that save bits take a minute; some never send one
after the first, so that a clip would be of hours, or never begin."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept(Generic[P]):
    """A packet and what deciding about it needs.

    Attributes:
        packet: whatever is kept; it's never looked into.
        at: when it is to be decoded: seconds since the connection's first, never falling.
        delay: it is shown so many seconds later, 0 or more.
        key: decoding can begin with it.
        size: bytes.
    """

    packet: P
    at: float
    delay: float
    key: bool
    size: int


class PacketTimes:
    """Puts packets on one time line that never runs backwards, whatever their own time stamps do.

    Args:
        step: seconds between two frames, for packets without any time stamp.
    """

    def __init__(self, step: float = 0.04) -> None:
        self._step = step
        self._raw: float | None = None
        self._at = 0.0

    def place(self, dts: float | None, pts: float | None) -> tuple[float, float]:
        """``at`` and ``delay`` (see :class:`Kept`) of the next packet, by when it says that it is decoded and shown."""
        raw = self._decoded_at(dts, pts)
        if self._raw is not None:
            step = raw - self._raw
            if not 0 <= step <= _LONGEST_STEP:
                step = self._step
            elif step:
                self._step = step
            self._at += step
        self._raw = raw
        return self._at, max(0.0, pts - raw) if pts is not None else 0.0

    def _decoded_at(self, dts: float | None, pts: float | None) -> float:
        if dts is not None:
            return dts
        if pts is None:
            return 0.0 if self._raw is None else self._raw + self._step
        # FFmpeg doesn't know it for the first packets of a stream that is decoded out of order: any moment will do
        # that is late enough for the packet before and early enough for this one.
        early = pts - _MOST_REORDERED * self._step
        return early if self._raw is None else max(early, self._raw + _SHORTEST_STEP)


class PacketRing(Generic[P]):
    """The packets of the last ``seconds``, and those back to the key frame before them.

    Packets go in groups, from a key frame to before the next, as none can be decoded without those before it in its
    group. What comes before the first key frame isn't kept, nor a group that lasts longer than :data:`LONGEST_GROUP`.

    Args:
        max_bytes: where they take more, there are fewer seconds of them; none, until the next key frame, where already
            one group does.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._groups: deque[list[Kept[P]]] = deque()
        self.size = 0  # bytes

    def __len__(self) -> int:
        return sum(len(group) for group in self._groups)

    def add(self, kept: Kept[P]) -> None:
        if kept.key:
            self._groups.append([kept])
        elif self._groups:
            self._groups[-1].append(kept)
        else:
            return
        self.size += kept.size
        while len(self._groups) > 1 and self._groups[1][0].at <= kept.at - self._seconds:
            self._drop_first()
        while self.size > self._max_bytes or (
            self._groups and kept.at - self._groups[0][0].at > self._seconds + LONGEST_GROUP
        ):
            self._drop_first()

    def _drop_first(self) -> None:
        self.size -= sum(kept.size for kept in self._groups.popleft())

    def latest(self, seconds: float) -> list[Kept[P]]:
        """Those of the last ``seconds``, from the key frame before; or as many as there are."""
        if not self._groups:
            return []
        begin = self._groups[-1][-1].at - seconds
        groups = list(self._groups)
        first = max((i for i, group in enumerate(groups) if group[0].at <= begin), default=0)
        return [kept for group in groups[first:] for kept in group]


class Take(Generic[P]):
    """The packets of one clip: those that there were, and those that come until it is long enough.

    Args:
        begun: what there was, from a key frame on; where that's nothing it begins with the next key frame, unless none
            comes within :data:`LONGEST_GROUP`.
        after: seconds to come.
        max_bytes: the clip ends where it takes more than that.

    Attributes:
        packets: so far.
        complete: nothing more is needed.
    """

    def __init__(self, begun: list[Kept[P]], after: float, max_bytes: int) -> None:
        self.packets = begun
        self._after = after
        self._room = max_bytes - sum(kept.size for kept in begun)
        self._until = begun[-1].at + after if begun else None
        self._waits_since: float | None = None
        self.complete = bool(begun) and after <= 0

    def add(self, kept: Kept[P]) -> None:
        if self.complete:
            return
        if not (self.packets or kept.key):
            self._waits_since = kept.at if self._waits_since is None else self._waits_since
            self.complete = kept.at - self._waits_since > LONGEST_GROUP
            return
        if self._until is None:
            self._until = kept.at + self._after
        self.packets.append(kept)
        self._room -= kept.size
        self.complete = kept.at >= self._until or self._room <= 0


def ticks(kept: list[Kept[P]], time_base: float) -> list[tuple[P, int, int]]:
    """The packets of a clip with their new time stamps ``(packet, dts, pts)``, in units of ``time_base`` seconds.

    The first, which must be a key frame, is shown at 0. Each is decoded after the one before (the first ones before 0,
    where frames are decoded out of order), and none is shown before it is decoded. What is to be shown before the
    first needs frames from before the clip, and is left out.
    """
    if not kept:
        return []
    shown_first = kept[0].at + kept[0].delay
    placed: list[tuple[P, int, int]] = []
    last: int | None = None
    for packet in kept:
        dts = round((packet.at - shown_first) / time_base)
        pts = round((packet.at + packet.delay - shown_first) / time_base)
        if pts < 0:
            continue
        dts = dts if last is None else max(dts, last + 1)
        placed.append((packet.packet, dts, max(pts, dts)))
        last = dts
    return placed
