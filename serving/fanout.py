"""Results to websocket subscribers: a healthy one gets each at once, a slow one the newest when it can.

A message is encoded once per form and written straight to the sockets: no task, queue or copy per message.
Whoever's write buffer isn't empty gets nothing until it is; meanwhile its mailbox keeps the newest of each
source.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from facestream.serving.forms import Edition, Sheet, Wanted
from facestream.serving.messages import StatusMessage
from facestream.serving.peer import Peer, text_frame
from facestream.serving.pictures import PictureDesk
from facestream.stream.device import Bridge
from facestream.stream.hub import Hub, Mailbox, Published, RateLimiters


class Subscriber:
    """One websocket that receives ``faces`` and ``status`` messages.

    Attributes:
        picky: :meth:`wants` may say no.
        sent: ``faces`` messages written.
        skipped: frames that it was not sent, by its rate, its sloth or ours.
    """

    def __init__(self, peer: Peer, wanted: Wanted, counts: dict[str, int], *, own_notices: bool = False) -> None:
        self.peer = peer
        self.wanted = wanted
        self.sent = 0
        self.skipped = 0
        self.picky = bool(wanted.sources) or wanted.fps is not None
        self._sources = wanted.sources
        self._own_notices = own_notices
        self._limiters = RateLimiters(wanted.fps)
        self._mailbox: Mailbox[Sheet] = Mailbox(counts)
        self._notices: dict[str, bytes] = {}
        peer.on_drained = self._drained

    def wants(self, source: str, now: float) -> bool:
        """Whether a result of ``source`` is for this subscriber now; asking takes the turn of its rate."""
        return (not self._sources or source in self._sources) and self._limiters.allow(source, now)

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

    def forget(self, source: str) -> None:
        self._mailbox.forget(source)
        self._limiters.forget(source)

    @property
    def waiting(self) -> int:
        """Sources with a result waiting in the mailbox."""
        return len(self._mailbox)

    def _write(self, sheet: Sheet, dropped: int) -> None:
        self.peer.transport.write(sheet.frame(dropped))
        self.sent += 1
        self.skipped += dropped

    def _drained(self) -> None:
        while self._notices and self.peer.ready:
            self.peer.push(self._notices.pop(next(iter(self._notices))))
        while self.peer.ready and (letter := self._mailbox.take()) is not None:
            self._write(letter.item, letter.dropped)


class FanoutStatistics(NamedTuple):
    """Since the server started, those who have left included."""

    subscribers: int
    sent: int
    skipped: int
    pictures: int


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
        self._sent_before = 0
        self._skipped_before = 0

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
            self._sent_before += subscriber.sent
            self._skipped_before += subscriber.skipped

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

    def statistics(self) -> FanoutStatistics:
        return FanoutStatistics(
            subscribers=len(self._subscribers),
            sent=self._sent_before + sum(subscriber.sent for subscriber in self._subscribers),
            skipped=self._skipped_before + sum(subscriber.skipped for subscriber in self._subscribers),
            pictures=self._desk.encoded,
        )

    def subscribers(self) -> list[dict[str, Any]]:
        """Who listens, and who is slow."""
        return [
            {
                "peer": subscriber.peer.name,
                "sources": sorted(subscriber.wanted.sources),
                "sent": subscriber.sent,
                "skipped": subscriber.skipped,
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
