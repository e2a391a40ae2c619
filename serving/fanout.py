"""Results to websocket subscribers: a healthy one gets each at once, a slow one the newest when it can.

A message is encoded once per form and written straight to the sockets: no task, queue or copy per message.
Whoever's write buffer isn't empty gets nothing until it is; meanwhile its mailbox keeps the newest of each
source.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgspec

from facestream.serving.forms import Edition, Sheet, Wanted
from facestream.serving.messages import StatusMessage
from facestream.serving.peer import Peer, text_frame
from facestream.serving.pictures import PictureDesk
from facestream.stream.device import Bridge
from facestream.stream.event_record import event_record
from facestream.stream.events import Event
from facestream.stream.hub import Hub, Mailbox, Published, RateLimiters

GROUPS: Final = ("faces", "pictures")

EVENTS_WAITING: Final = 256
"""Event messages that wait for one slow subscriber; then the oldest are lost, and counted."""


class Subscriber:
    """One websocket that receives ``faces``, ``event`` and ``status`` messages.

    Attributes:
        picky: :meth:`wants` may say no.
        sent: ``faces`` messages written.
        bytes: of these.
        skipped: frames that it was not sent, by its rate, its sloth or ours.
        missed: events that it was too slow for.
    """

    def __init__(self, peer: Peer, wanted: Wanted, counts: dict[str, int], *, own_notices: bool = False) -> None:
        self.peer = peer
        self.wanted = wanted
        self.sent = 0
        self.bytes = 0
        self.skipped = 0
        self.missed = 0
        self.picky = bool(wanted.sources) or wanted.fps is not None or not wanted.faces
        self._sources = wanted.sources
        self._own_notices = own_notices
        self._limiters = RateLimiters(wanted.fps)
        self._mailbox: Mailbox[Sheet] = Mailbox(counts)
        self._notices: dict[str, bytes] = {}
        self._events: deque[bytes] = deque()
        peer.on_drained = self._drained

    def wants(self, source: str, now: float) -> bool:
        """Whether a result of ``source`` is for this subscriber now; asking takes the turn of its rate."""
        return self.wanted.faces and self.hears_of(source) and self._limiters.allow(source, now)

    def hears_of(self, source: str) -> bool:
        """Whether this subscriber has asked for that source."""
        return not self._sources or source in self._sources

    def deliver(self, source: str, sheet: Sheet, count: int) -> None:
        """Write the message, or keep it until the peer can take it."""
        if self.peer.ready:  # then nothing waits: becoming ready has emptied the mailbox
            self._write(sheet, self._mailbox.account(source, count))
        else:
            self._mailbox.put(source, sheet, count)

    def notify(self, name: str, frame: bytes) -> None:
        """Write a ``status`` message, or keep the newest of that source until the peer can take it."""
        if self._own_notices and name not in self._sources:
            return
        if self.peer.ready:
            self.peer.push(frame)
        else:
            self._notices[name] = frame

    def tell(self, frame: bytes) -> None:
        """Write an ``event`` message, or keep it until the peer can take it."""
        if self.peer.ready:
            self.peer.push(frame)
            return
        self._events.append(frame)
        if len(self._events) > EVENTS_WAITING:
            self._events.popleft()
            self.missed += 1

    def forget(self, source: str) -> None:
        self._mailbox.forget(source)
        self._limiters.forget(source)

    @property
    def group(self) -> str:
        """Whether it receives faces alone, or pictures too."""
        return GROUPS[self.wanted.width is not None]

    @property
    def waiting(self) -> int:
        """Sources with a result waiting in the mailbox."""
        return len(self._mailbox)

    def _write(self, sheet: Sheet, dropped: int) -> None:
        frame = sheet.frame(dropped)
        self.peer.transport.write(frame)
        self.sent += 1
        self.bytes += len(frame)
        self.skipped += dropped

    def _drained(self) -> None:
        while self._notices and self.peer.ready:
            self.peer.push(self._notices.pop(next(iter(self._notices))))
        while self._events and self.peer.ready:
            self.peer.push(self._events.popleft())
        while self.peer.ready and (letter := self._mailbox.take()) is not None:
            self._write(letter.item, letter.dropped)


class FanoutStatistics(NamedTuple):
    """Since the server started, those who have left included."""

    subscribers: int
    sent: int
    skipped: int
    pictures: int


@dataclass(slots=True)
class GroupStatistics:
    """Subscribers that receive the same kind of messages; counts are since the server started.

    Attributes:
        waiting: results in their mailboxes now.
        sent: messages written, and ``bytes`` of these.
        skipped: frames that one of them was not sent.
    """

    subscribers: int = 0
    waiting: int = 0
    sent: int = 0
    bytes: int = 0
    skipped: int = 0

    def add(self, subscriber: Subscriber) -> None:
        """Count what ``subscriber`` was sent."""
        self.sent += subscriber.sent
        self.bytes += subscriber.bytes
        self.skipped += subscriber.skipped


class Fanout:
    """The hub's listener for everything on websockets. Lives on the event loop; owned by the server.

    Args:
        tasks: owns the encoding of pictures.
        clock: Unix seconds.
    """

    def __init__(
        self, hub: Hub, bridge: Bridge, tasks: asyncio.TaskGroup, clock: Callable[[], float] = time.time
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._subscribers: dict[Subscriber, None] = {}
        self._status: dict[str, StatusMessage] = {}
        self._desk = PictureDesk(bridge, tasks, self._deliver_picture)
        self._left = {group: GroupStatistics() for group in GROUPS}  # what those who have left were sent

    @contextmanager
    def subscribed(self, peer: Peer, wanted: Wanted, *, own_notices: bool = False) -> Iterator[Subscriber]:
        """Send ``peer`` what it wants from the next result on, as long as the block lasts.

        Args:
            own_notices: it hears of the sources that it asked for only.
        """
        subscriber = Subscriber(peer, wanted, self._hub.counts(), own_notices=own_notices)
        self._subscribers[subscriber] = None
        try:
            yield subscriber
        finally:
            del self._subscribers[subscriber]
            self._left[subscriber.group].add(subscriber)

    def offer(self, result: Published) -> None:
        edition = Edition(result, self._clock())
        source, count = edition.source, result.count
        for subscriber in self._subscribers:
            if subscriber.picky and not subscriber.wants(source, result.at):
                continue
            wanted = subscriber.wanted
            if wanted.width is None:
                subscriber.deliver(source, edition.sheet(wanted.fields), count)
            else:
                self._desk.want(edition, wanted.width, subscriber)

    def forget(self, source: str) -> None:
        """The source is gone: say so, and let go of its accounts."""
        for subscriber in self._subscribers:
            subscriber.forget(source)
        if (status := self._status.get(source)) is not None:
            self.announce(msgspec.structs.replace(status, state="stopped", removed=True))
            del self._status[source]

    def announce(self, status: StatusMessage) -> None:
        """Send a ``status`` message to everybody."""
        self._status[status.name] = status
        frame = text_frame(status)
        for subscriber in self._subscribers:
            subscriber.notify(status.name, frame)

    def tell(self, event: Event) -> None:
        """Send an ``event`` message to those who asked for such."""
        frame: bytes | None = None
        for subscriber in self._subscribers:
            if subscriber.wanted.events and subscriber.hears_of(event.source):
                frame = frame or text_frame(event_record(event))
                subscriber.tell(frame)

    def statistics(self) -> FanoutStatistics:
        groups = self.groups().values()
        return FanoutStatistics(
            subscribers=len(self._subscribers),
            sent=sum(group.sent for group in groups),
            skipped=sum(group.skipped for group in groups),
            pictures=self._desk.encoded,
        )

    def groups(self) -> dict[str, GroupStatistics]:
        """The subscribers by what they receive, those who have left included."""
        groups = {name: replace(left) for name, left in self._left.items()}
        for subscriber in self._subscribers:
            group = groups[subscriber.group]
            group.add(subscriber)
            group.subscribers += 1
            group.waiting += subscriber.waiting
        return groups

    def subscribers(self) -> list[dict[str, Any]]:
        """Who listens, and who is slow."""
        return [
            {
                "peer": subscriber.peer.name,
                "sources": sorted(subscriber.wanted.sources),
                "sent": subscriber.sent,
                "skipped": subscriber.skipped,
                "events_missed": subscriber.missed,
                "waiting": subscriber.waiting,
                "buffered": subscriber.peer.buffered,
            }
            for subscriber in self._subscribers
        ]

    def _deliver_picture(self, edition: Edition, jpeg: bytes, readers: Iterable[Any]) -> None:
        sheets: dict[Any, Sheet] = {}
        for subscriber in readers:
            if subscriber not in self._subscribers:
                continue  # left meanwhile
            fields = subscriber.wanted.fields
            sheet = sheets.get(fields)
            if sheet is None:
                sheet = sheets[fields] = edition.sheet(fields).with_picture(jpeg)
            subscriber.deliver(edition.source, sheet, edition.result.count)
