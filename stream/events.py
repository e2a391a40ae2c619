"""Who comes and goes: each track's visit, from what results show. Pure: time is an argument, pictures are asked for.

A visit begins when a track has been seen for long enough to be a face, and ends when it hasn't been seen for a while.
A track that comes back after that, as tracking may give somebody the same number again, begins another visit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from facestream.stream.types import FrameFaces

LEFT_AFTER: Final = 10.0
"""Seconds without a sight of it after which a track has left."""

_FRAMES: Final = 3
_SECONDS: Final = 0.4
"""How often, and from first to last for how long, a track is seen before it is told of."""

_CANDIDATE: Final = 2.0
"""Seconds for which a track that isn't told of yet may be out of sight."""

_LEAST_SCORE: Final = 0.5
"""Of a sight that counts towards being told of."""

_LOOK_EVERY: Final = 0.5
"""Seconds between two pictures of a visit that are compared."""

_BETTER: Final = 1.1
"""How many times as good another picture must be to take the place of one."""

_UNNAMED: Final = 2.0
"""Seconds for which nobody is recognised any more in a face that is seen before it loses its name."""

_RENAMED: Final = 10.0
"""Seconds for which results on their way may still bear a name that was changed."""


class Kind(Enum):
    """What has happened, and so how far a visit is."""

    ARRIVED = "arrived"  # somebody is there
    NAMED = "named"  # … and it is known who, or who else, or not any more
    LEFT = "left"  # nobody is there any more


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened in a visit, and the visit as it is then.

    Attributes:
        id: the visit's; later visits have greater ones.
        at: when it happened, Unix seconds like all times here: ``started_at`` for ARRIVED, ``ended_at`` for LEFT.
        seen_at: the last sight so far.
        ended_at: the last sight of all; None while the visit goes on.
        picture: whether there is one.
        clip: whether there is one.
        jpeg: the picture, where it is at hand.
    """

    id: int
    kind: Kind
    source: str
    track: int
    name: str | None
    at: float
    started_at: float
    seen_at: float
    ended_at: float | None = None
    picture: bool = False
    clip: bool = False
    jpeg: bytes | None = field(default=None, compare=False, repr=False)


class Portrait(NamedTuple):
    """The best picture of a visit so far: a JPEG, and its quality."""

    quality: float
    jpeg: bytes


class Look(NamedTuple):
    """A face in a result whose picture may be better than the visit's, which has ``best`` or more to reach."""

    source: str
    track: int
    row: int
    best: float


class Ids:
    """Numbers for visits that grow with time, over restarts as well: microseconds since 1970.

    They need no store, so events have them while it can't be written, and JavaScript holds them exactly until 2255.
    """

    def __init__(self) -> None:
        self._last = 0

    def above(self, last: int) -> None:
        """Give none up to ``last``, whatever the clock says."""
        self._last = max(self._last, last)

    def next(self, at: float) -> int:
        """The next number.

        Args:
            at: Unix seconds.
        """
        self._last = max(self._last + 1, int(at * 1e6))
        return self._last


@dataclass(slots=True, eq=False)
class _Visit:
    """One track's. ``seen`` and its like are on the caller's clock, ``…_at`` are Unix seconds.

    Attributes:
        id: 0 as long as it isn't told of; -1 once nothing more is.
        sights: that count.
        unnamed: since when nobody is recognised in it, where it has a name.
    """

    source: str
    track: int
    since: float
    started_at: float
    seen: float
    seen_at: float
    id: int = 0
    sights: int = 0
    name: str | None = None
    unnamed: float | None = None
    looked: float = float("-inf")
    portrait: Portrait | None = None
    clip: bool = False

    def event(self, kind: Kind, at: float) -> Event:
        return Event(
            id=self.id,
            kind=kind,
            source=self.source,
            track=self.track,
            name=self.name,
            at=at,
            started_at=self.started_at,
            seen_at=self.seen_at,
            ended_at=self.seen_at if kind is Kind.LEFT else None,
            picture=self.portrait is not None,
            clip=self.clip,
            jpeg=None if self.portrait is None else self.portrait.jpeg,
        )


class Visits:
    """The visits of any number of sources, as far as they haven't ended.

    Memory is bounded by the tracks that were seen within ``left_after`` seconds: a few numbers and one small JPEG each.

    Args:
        ids: gives a visit its number.
        left_after: seconds; see :data:`LEFT_AFTER`.
        key: by what names are told apart.
    """

    def __init__(
        self, ids: Ids, *, left_after: float = LEFT_AFTER, key: Callable[[str], str] = lambda name: name
    ) -> None:
        self._ids = ids
        self._left_after = left_after
        self._key = key
        self._visits: dict[tuple[str, int], _Visit] = {}
        self._by_id: dict[int, _Visit] = {}
        self._renamed: dict[str, tuple[str | None, float]] = {}

    def see(self, faces: FrameFaces, now: float) -> list[Event]:
        """What a result tells.

        Args:
            now: seconds that never decrease, on the clock of :meth:`tick`.
        """
        if faces.tracks is None:
            return []
        at, source = faces.frame.captured_at, faces.frame.source
        events: list[Event] = []
        for row, (track, score) in enumerate(zip(faces.tracks.tolist(), faces.scores.tolist())):
            if track < 0:
                continue
            visit = self._visits.get((source, track))
            if visit is not None and now >= self._ends(visit):
                events += self._end(visit)
                visit = None
            if visit is None:
                visit = self._visits[source, track] = _Visit(source, track, now, at, now, at)
            visit.seen, visit.seen_at = now, max(at, visit.started_at)
            visit.sights += score >= _LEAST_SCORE
            if faces.people is not None:
                person = faces.people[row]
                events += self._named(visit, None if person is None else self._present_name(person.name, now), now)
            if not visit.id and visit.sights >= _FRAMES and now - visit.since >= _SECONDS:
                events += self._told(visit)
        return events

    def tick(self, now: float) -> list[Event]:
        """Time has passed: who has left."""
        ended = [visit for visit in self._visits.values() if now >= self._ends(visit)]
        self._renamed = {name: entry for name, entry in self._renamed.items() if entry[1] > now}
        return [event for visit in ended for event in self._end(visit)]

    def deadline(self) -> float | None:
        """When :meth:`tick` will have something to do at the earliest; None while nobody is there."""
        return min(map(self._ends, self._visits.values()), default=None)

    def leave(self, source: str | None = None) -> list[Event]:
        """A source is gone or stopped, by default all are: its visits have ended."""
        ended = [visit for visit in self._visits.values() if source in (None, visit.source)]
        return [event for visit in ended for event in self._end(visit)]

    def rename(self, name: str, to: str | None, now: float) -> list[Event]:
        """Somebody is called otherwise, or with ``to`` None nothing from now on: those who bear the name lose it.

        Results that are on their way and say otherwise aren't believed.
        """
        key = self._key(name)
        if to is not None:
            self._renamed.pop(self._key(to), None)
        self._renamed[key] = to, now + _RENAMED
        events: list[Event] = []
        for visit in self._visits.values():
            if visit.name is not None and self._key(visit.name) == key:
                visit.name, visit.unnamed = to, None
                events += self._if_told(visit, Kind.NAMED)
        return events

    def known(self, name: str) -> None:
        """Somebody has this name, again: it is believed at once."""
        self._renamed.pop(self._key(name), None)

    def looks(self, faces: FrameFaces, now: float) -> list[Look]:
        """The faces of a result just seen whose pictures should be compared with what their visits have."""
        if faces.tracks is None:
            return []
        wanted: list[Look] = []
        for row, track in enumerate(faces.tracks.tolist()):
            visit = self._visits.get((faces.frame.source, track))
            if visit is not None and visit.id >= 0 and now - visit.looked >= _LOOK_EVERY:
                visit.looked = now
                best = -1.0 if visit.portrait is None else visit.portrait.quality * _BETTER
                wanted.append(Look(visit.source, track, row, best))
        return wanted

    def keep(self, source: str, track: int, portrait: Portrait) -> Event | None:
        """Keep a better picture. The visit as it is now, if it was told of without one; None also if it has ended."""
        visit = self._visits.get((source, track))
        if visit is None or (visit.portrait is not None and visit.portrait.quality >= portrait.quality):
            return None
        first, visit.portrait = visit.portrait is None, portrait
        return visit.event(self._kind(visit), visit.seen_at) if first and visit.id > 0 else None

    def filmed(self, id_: int) -> None:
        """There is a clip of this visit."""
        if (visit := self._by_id.get(id_)) is not None:
            visit.clip = True

    def portrait(self, id_: int) -> bytes | None:
        """The best picture so far of a visit that goes on: a JPEG."""
        visit = self._by_id.get(id_)
        return None if visit is None or visit.portrait is None else visit.portrait.jpeg

    def forget(self, id_: int) -> None:
        """Tell nothing more of a visit; its track may begin another one when it comes back."""
        if (visit := self._by_id.pop(id_, None)) is not None:
            visit.id, visit.sights, visit.portrait, visit.clip = -1, 0, None, False

    def open(self) -> Iterator[Event]:
        """The visits that go on, as they are."""
        for visit in self._by_id.values():
            yield visit.event(self._kind(visit), visit.seen_at)

    def __len__(self) -> int:
        """How many visits go on that were told of."""
        return len(self._by_id)

    def _told(self, visit: _Visit) -> Sequence[Event]:
        visit.id = self._ids.next(visit.started_at)
        self._by_id[visit.id] = visit
        arrived = visit.event(Kind.ARRIVED, visit.started_at)
        return [arrived] if visit.name is None else [arrived, visit.event(Kind.NAMED, visit.seen_at)]

    def _named(self, visit: _Visit, name: str | None, now: float) -> Sequence[Event]:
        if name is None and visit.name is not None:
            visit.unnamed = now if visit.unnamed is None else visit.unnamed
            if now - visit.unnamed < _UNNAMED:
                return []
        else:
            visit.unnamed = None
        if name == visit.name:
            return []
        visit.name, visit.unnamed = name, None
        return self._if_told(visit, Kind.NAMED)

    def _end(self, visit: _Visit) -> Sequence[Event]:
        del self._visits[visit.source, visit.track]
        self._by_id.pop(visit.id, None)
        return self._if_told(visit, Kind.LEFT)

    def _ends(self, visit: _Visit) -> float:
        return visit.seen + (self._left_after if visit.id else min(_CANDIDATE, self._left_after))

    def _present_name(self, name: str, now: float) -> str | None:
        to, until = self._renamed.get(self._key(name), (name, now))
        return to if now < until else name

    @staticmethod
    def _if_told(visit: _Visit, kind: Kind) -> list[Event]:
        return [visit.event(kind, visit.seen_at)] if visit.id > 0 else []

    @staticmethod
    def _kind(visit: _Visit) -> Kind:
        return Kind.ARRIVED if visit.name is None else Kind.NAMED
