"""Fan-out: every result to everyone who wants it, and nobody waits for anybody.

:class:`Mailbox` and :class:`RateLimiter` decide, fed with values. :class:`Hub` hands each result to its
listeners, on
the event loop and without waiting. It knows no network: the websocket fan-out attaches as a
:class:`Listener`, Python code subscribes with :meth:`Hub.subscribe`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from facestream.stream.histogram import LATENCIES, Histogram
from facestream.stream.types import FrameFaces

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """One result on its way out.

    Attributes:
        count: frames of this source up to and with this one, those dropped before it included, since the
            hub knows it.
        at: when it was published, on the hub's clock.
    """

    faces: FrameFaces
    count: int
    at: float

    @property
    def source(self) -> str:
        return self.faces.frame.source


class Letter(NamedTuple, Generic[T]):
    """What :meth:`Mailbox.take` gives: ``dropped`` frames of ``source`` were not sent since the last."""

    source: str
    item: T
    dropped: int


class Mailbox(Generic[T]):
    """What waits for one slow subscriber: the newest item of each source, served round robin.

    It also keeps the subscriber's account: ``dropped`` is the number of frames of that source that this
    subscriber has not been sent since its last message, whatever the reason (dropped before the model,
    replaced here, held back by its rate). It is a difference of running counts, so it holds for messages that
    are late as well.

    Args:
        counts: source → :attr:`Published.count` when the subscriber came.
    """

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._sent: dict[str, int] = dict(counts or {})
        self._waiting: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def put(self, source: str, item: T, count: int) -> None:
        """Keep ``item``; it takes the place, and the turn, of an older one of the same source."""
        self._waiting[source] = item, count

    def take(self) -> Letter[T] | None:
        """The item of the source that has waited longest, or None."""
        if not self._waiting:
            return None
        source, (item, count) = self._waiting.popitem(last=False)
        return Letter(source, item, self.account(source, count))

    def account(self, source: str, count: int) -> int:
        """Note that the frame with this ``count`` is being sent; how many before it were not."""
        dropped = count - self._sent.get(source, 0) - 1
        self._sent[source] = count
        return dropped if dropped > 0 else 0  # a late frame of a forgotten source would make it negative

    def forget(self, source: str) -> None:
        """Drop what waits of a source that is gone for good, and its account."""
        self._waiting.pop(source, None)
        self._sent.pop(source, None)

    def __len__(self) -> int:
        return len(self._waiting)


class RateLimiter:
    """Thins one source to at most ``fps`` frames a second, keeping the frames nearest to an even beat.

    The beat goes on from the last beat rather than from the last frame, so that 10 of 25 fps gives 10 and not
    8.3. A frame early by half the time since the one before is the nearest to its beat, so a jittering source of
    just ``fps`` loses nothing. After a pause the beat starts anew: there is no burst to catch up.

    Args:
        fps: frames a second, more than 0.
    """

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps
        self._due = float("-inf")
        self._last = float("-inf")

    def allow(self, now: float) -> bool:
        """Whether a frame that comes at ``now`` (seconds, never decreasing) may pass."""
        gap, self._last = now - self._last, now
        late = now - self._due
        if late < -min(gap, self._period) / 2:
            return False
        self._due = self._due + self._period if late < self._period else now + self._period
        return True


class RateLimiters:
    """A :class:`RateLimiter` for each source; ``fps`` None lets everything pass."""

    def __init__(self, fps: float | None) -> None:
        self._fps = fps
        self._limiters: dict[str, RateLimiter] = {}

    def allow(self, source: str, now: float) -> bool:
        if self._fps is None:
            return True
        limiter = self._limiters.get(source)
        if limiter is None:
            limiter = self._limiters[source] = RateLimiter(self._fps)
        return limiter.allow(now)

    def forget(self, source: str) -> None:
        self._limiters.pop(source, None)


class Listener(Protocol):
    """Somebody who hears every result. Neither method may block or raise."""

    def offer(self, result: Published) -> None: ...

    def forget(self, source: str) -> None:
        """The source is gone for good; its name may come back with counts from 1."""


@dataclass(slots=True)
class SourceFlow:
    """What the hub has seen of one source. ``published + dropped`` is the number of frames captured.

    Attributes:
        published_at: when the last result came, on the hub's clock.
        latency: seconds from capture to publication.
    """

    published: int = 0
    dropped: int = 0
    faces: int = 0
    published_at: float = 0.0
    latency: Histogram = field(default_factory=lambda: Histogram(LATENCIES))

    @property
    def count(self) -> int:
        return self.published + self.dropped


class Hub:
    """Hands every result to every listener. Lives on one event loop. Also a sink: see :meth:`write`.

    Args:
        clock: seconds that never decrease.
        now: Unix seconds, to tell a frame's age.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._now = now
        self._listeners: dict[Listener, None] = {}
        self._subscriptions: set[Subscription] = set()
        self._flows: dict[str, SourceFlow] = {}

    def publish(self, faces: FrameFaces) -> None:
        """Give one result to everyone, at once and without waiting. Results of a source come in order."""
        flow = self._flows.setdefault(faces.frame.source, SourceFlow())
        flow.published += 1
        flow.dropped += faces.dropped
        flow.faces += len(faces)
        flow.published_at = self.clock()
        flow.latency.observe(max(0.0, self._now() - faces.frame.captured_at))
        result = Published(faces, flow.count, flow.published_at)
        for listener in tuple(self._listeners):
            listener.offer(result)

    def attach(self, listener: Listener) -> None:
        """Let ``listener`` hear every result from now on."""
        self._listeners[listener] = None

    def detach(self, listener: Listener) -> None:
        """The opposite of :meth:`attach`; harmless when it isn't attached."""
        self._listeners.pop(listener, None)

    def forget(self, source: str) -> None:
        """Let go of everything kept about a source that won't come back, or comes back as another."""
        self._flows.pop(source, None)
        for listener in tuple(self._listeners):
            listener.forget(source)

    def subscribe(self, sources: Collection[str] = (), fps: float | None = None) -> Subscription:
        """Results for Python code, newest first to arrive when the reader is slow::

            async with hub.subscribe(["door"]) as results:
                async for faces in results: ...

        Args:
            sources: names; none means all, also those that come later.
            fps: at most so many frames a second of each source.
        """
        return Subscription(self, frozenset(sources), fps)

    def counts(self) -> dict[str, int]:
        """Source → :attr:`Published.count` of its last result."""
        return {source: flow.count for source, flow in self._flows.items()}

    def statistics(self) -> dict[str, SourceFlow]:
        """Source → what came of it so far."""
        return {source: dataclasses.replace(flow, latency=flow.latency.copy()) for source, flow in self._flows.items()}

    def close(self) -> None:
        """End every subscription once its reader has taken what waits. Safe to call twice."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    async def write(self, faces: FrameFaces) -> None:
        """:meth:`publish`, as a sink does it; never waits."""
        self.publish(faces)

    async def drain(self) -> None:
        """Nothing to wait for: whoever is slow gets fewer results."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def _open(self, subscription: Subscription) -> None:
        self._subscriptions.add(subscription)
        self.attach(subscription)

    def _drop(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        self.detach(subscription)


class Subscription:
    """One reader's view of the hub: an async context manager to iterate over. Made by :meth:`Hub.subscribe`.

    Each result's ``dropped`` counts the frames of its source that this reader has not seen since the one
    before. Cancelling an iteration loses nothing.
    """

    def __init__(self, hub: Hub, sources: frozenset[str], fps: float | None) -> None:
        self._hub = hub
        self._sources = sources
        self._limiters = RateLimiters(fps)
        self._mailbox: Mailbox[FrameFaces] = Mailbox(hub.counts())
        self._changed = asyncio.Event()
        self._closed = False

    def offer(self, result: Published) -> None:
        source = result.source
        if self._sources and source not in self._sources:
            return
        if self._limiters.allow(source, result.at):
            self._mailbox.put(source, result.faces, result.count)
            self._changed.set()

    def forget(self, source: str) -> None:
        self._mailbox.forget(source)
        self._limiters.forget(source)

    def close(self) -> None:
        """Hear nothing more; the iteration ends after what waits. Safe to call twice."""
        self._closed = True
        self._hub._drop(self)
        self._changed.set()

    async def __aenter__(self) -> Self:
        self._hub._open(self)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FrameFaces:
        while (letter := self._mailbox.take()) is None:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        frame = letter.item.frame.changed(dropped=letter.dropped)
        return dataclasses.replace(letter.item, frame=frame)
