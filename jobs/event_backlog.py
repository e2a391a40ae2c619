"""What a store of events has yet to write. Pure, and bounded: pictures give way first, then the oldest visits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from facestream.stream.events import Event

MOST_VISITS: Final = 2000
MOST_PICTURES: Final = 100


@dataclass(slots=True, eq=False)
class Batch:
    """What is written at once.

    Attributes:
        renamed: names and what they are now, None for nothing; before all else.
        visits: id → as they are now.
        pictures: id → JPEG.
        seen: visits that go on, and were seen since.
    """

    renamed: list[tuple[str, str | None]] = field(default_factory=list)
    visits: dict[int, Event] = field(default_factory=dict)
    pictures: dict[int, bytes] = field(default_factory=dict)
    seen: dict[int, Event] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.renamed or self.visits or self.pictures or self.seen)


class Backlog:
    """Collects until somebody takes a :class:`Batch`. Several events of one visit are one.

    Args:
        key: by what names are told apart.

    Attributes:
        lost_events, lost_pictures: that gave way, because the store couldn't keep up or couldn't be written.
    """

    def __init__(self, key: Callable[[str], str] = lambda name: name) -> None:
        self._key = key
        self._batch = Batch()
        self.lost_events = 0
        self.lost_pictures = 0

    def __len__(self) -> int:
        return len(self._batch.visits)

    def __bool__(self) -> bool:
        return bool(self._batch)

    def put(self, event: Event) -> None:
        """A visit is like this now."""
        batch = self._batch
        batch.visits[event.id] = replace(event, jpeg=None)
        if event.jpeg is not None:
            batch.pictures.pop(event.id, None)
            batch.pictures[event.id] = event.jpeg
        self._bound()

    def put_picture(self, id_: int, jpeg: bytes) -> None:
        """A visit has its first picture."""
        self._batch.pictures[id_] = jpeg
        self._bound()

    def seen(self, events: Sequence[Event]) -> None:
        """These visits go on."""
        self._batch.seen = {event.id: event for event in events[-MOST_VISITS:]}

    def rename(self, name: str, to: str | None) -> None:
        """Somebody is called otherwise, in what waits here as well."""
        batch, key = self._batch, self._key(name)
        batch.renamed.append((name, to))
        for id_, event in batch.visits.items():
            if event.name is not None and self._key(event.name) == key:
                batch.visits[id_] = replace(event, name=to)

    def forget(self, id_: int) -> None:
        """Write nothing of a visit."""
        for part in (self._batch.visits, self._batch.pictures, self._batch.seen):
            part.pop(id_, None)

    def waiting(self, id_: int) -> bytes | None:
        """A picture that isn't written yet."""
        return self._batch.pictures.get(id_)

    def take(self) -> Batch:
        """All that there is."""
        batch, self._batch = self._batch, Batch()
        return batch

    def restore(self, batch: Batch) -> None:
        """It couldn't be written: what came since is newer."""
        newer, self._batch = self._batch, batch
        for name, to in newer.renamed:
            self.rename(name, to)
        batch.visits |= newer.visits
        batch.pictures |= newer.pictures
        batch.seen = newer.seen or batch.seen
        self._bound()

    def _bound(self) -> None:
        batch = self._batch
        while len(batch.pictures) > MOST_PICTURES:
            batch.pictures.pop(next(iter(batch.pictures)))
            self.lost_pictures += 1
        while len(batch.visits) > MOST_VISITS:
            gone = next(iter(batch.visits))
            batch.visits.pop(gone)
            self.lost_pictures += batch.pictures.pop(gone, None) is not None
            self.lost_events += 1
