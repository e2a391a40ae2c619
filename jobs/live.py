"""A live session: sources that come and go, one pipeline, and results that fan out.

::

    async with LiveSession(pipeline, bridge) as session:
        await session.add_source("door=rtsp://10.0.0.5/stream")
        async with session.hub.subscribe() as results:
            async for faces in results: ...
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, Self

from facestream.errors import ConfigError, SourceError
from facestream.io.push import PushSource
from facestream.io.sources import BaseSource, open_source
from facestream.io.urls import SourceSpec, check_name, parse_source, redact_url
from facestream.jobs.meters import RateMeter, RecentMedian
from facestream.stream.batching import LaneStatistics
from facestream.stream.channel import BrokenChannel, Channel, Overload, Receiver, Sender
from facestream.stream.device import Bridge
from facestream.stream.hub import Hub
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import StageStatistics
from facestream.stream.tasks import task_group
from facestream.stream.types import FrameFaces, Sink, SourceState

log = logging.getLogger("facestream.live")

SINK_DEPTH = 8
"""Results that wait for a sink slower than the stream; then the newest win."""

PUSH_GRACE = 30.0
"""Seconds that a source which a pusher brought along waits for it to come back."""


def live_in_flight(device: str) -> int:
    """Batches of live frames that may be on their way at once.

    Beside a GPU, two: one is on the device while the next is prepared. On a CPU preparing and inferring share the
    cores, so that a second batch gains next to nothing and doubles the age of what subscribers see.
    """
    return 1 if device == "cpu" else 2


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a session opens its sources.

    Attributes:
        loop: files and folders start again at their end.
        lossless: files and folders make their reader wait for the models instead of dropping frames.
        rtsp_transport: "tcp" or "udp".
        open_timeout: seconds to wait for a camera to answer.
        read_timeout: seconds without a frame after which a camera is lost.
    """

    loop: bool = False
    lossless: bool = False
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    open_timeout: float = 5.0
    read_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source as the outside sees it. Once a source has stopped, ``captured = processed + dropped`` exactly.

    Attributes:
        url: without credentials.
        rate: frames a second that arrive, measured.
        latency_ms: from capture to publication, the recent median.
        last_frame_age: seconds since the last frame arrived, None before the first.
    """

    name: str
    url: str
    kind: str
    state: SourceState
    reason: str
    live: bool
    size: tuple[int, int] | None
    rate: float
    captured: int
    processed: int
    dropped: int
    damaged: int
    epoch: int
    reconnects: int
    latency_ms: float | None
    last_frame_age: float | None


@dataclass(frozen=True, slots=True)
class SinkStatistics:
    """Results handed to a sink, and results that gave way because it was slower than the stream."""

    name: str
    written: int
    dropped: int


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """
    Attributes:
        withheld: results that privacy held back since the session began.
    """

    sources: list[SourceInfo]
    stages: list[StageStatistics]
    batches_in_flight: int
    sinks: list[SinkStatistics]
    withheld: int = 0


@dataclass(slots=True, eq=False)
class _Feed:
    """One source at work."""

    spec: SourceSpec
    source: BaseSource
    opened: asyncio.Future[None]
    task: asyncio.Task[None] | None = None
    expiry: asyncio.Task[None] | None = None
    rate: RateMeter = field(default_factory=RateMeter)
    latency: RecentMedian = field(default_factory=RecentMedian)
    last_frame_at: float | None = None
    processed: int = 0
    withheld: int = 0  # frames lost since the last result that was shown, by results that privacy held back
    final: LaneStatistics | None = None
    failure: str = ""


class Discretion(Protocol):
    """What keeps faces private: results pass it before anybody sees or saves them."""

    async def apply(self, faces: FrameFaces) -> FrameFaces | None:
        """The result as it may be shown, in pixels of its own; None when it must not be shown at all."""

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone."""


class LiveSession:
    """Owns the sources, drives the pipeline and hands its results to the hub and the sinks.

    Args:
        pipeline: the models, with its gate.
        bridge: where blocking work runs.
        sinks: written to at the stream's pace; a sink that falls behind misses results rather than delay them.
        options: how sources are opened.
        clock: Unix seconds.
        hub: where results come out; one of its own by default.
        push_grace: see :data:`PUSH_GRACE`.
        privacy: sees each result before the hub and the sinks do; see :class:`Discretion`. A result that it withholds
            counts as processed, and for whoever waits for results as dropped.
        biometrics: whether the hub and the sinks, which store and send, get the embeddings of faces.

    The first error of the pipeline or a sink ends the session and is what ``async with`` raises; sinks are finalised
    all the same. A source's error is never the session's: it shows in the source's state.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        bridge: Bridge,
        *,
        sinks: Sequence[Sink] = (),
        options: SourceOptions | None = None,
        clock: Callable[[], float] = time.time,
        hub: Hub | None = None,
        push_grace: float = PUSH_GRACE,
        privacy: Discretion | None = None,
        biometrics: bool = True,
    ) -> None:
        self._push_grace = push_grace
        self._privacy = privacy
        self._biometrics = biometrics
        self._withheld = 0
        self.hub = Hub() if hub is None else hub
        self.bridge = bridge
        self._pipeline = pipeline
        self._sinks = list(sinks)
        self._sink_ends: list[tuple[str, Sender[FrameFaces], Receiver[FrameFaces]]] = []
        self._options = options or SourceOptions()
        self._clock = clock
        self._feeds: dict[str, _Feed] = {}
        self._listeners: list[Callable[[SourceInfo], None]] = []
        self._stack = AsyncExitStack()
        self._tasks: asyncio.TaskGroup | None = None
        self._outflow: list[asyncio.Task[None]] = []  # what still runs while it drains

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for sink in self._sinks:
                await stack.enter_async_context(sink)
            self._tasks = await stack.enter_async_context(task_group())
            for sink in self._sinks:
                sender, receiver = Channel[FrameFaces](SINK_DEPTH, Overload.NEWEST).ends
                self._sink_ends.append((type(sink).__name__, sender, receiver))
                name = type(sink).__name__
                self._outflow.append(self._tasks.create_task(_write_all(receiver, sink), name=name))
            self._outflow.append(self._tasks.create_task(self._run_pipeline(), name="the pipeline"))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> bool | None:
        if exc_info[0] is None:
            await self.aclose()
        return await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]

    async def aclose(self) -> None:
        """Stop every source, let what is in flight come out, finish the sinks. Safe to call twice."""
        feeds = list(self._feeds.values())
        for feed in feeds:
            if feed.expiry is not None:
                feed.expiry.cancel()
            if feed.task is not None:
                feed.task.cancel()
        await asyncio.gather(*(feed.task for feed in feeds if feed.task is not None), return_exceptions=True)
        await self._pipeline.gate.close()

    async def drain(self, within: float) -> list[str]:
        """:meth:`aclose`, and wait until the sinks have taken what came out, for at most ``within`` seconds.

        What isn't out by then is lost: returns whom nobody waits for any longer, "the sources", "the pipeline" or a
        sink's name. The sinks are still to be finished, by leaving the session.
        """
        closing = asyncio.create_task(self.aclose(), name="the sources")
        tasks = [closing, *self._outflow]
        try:
            _, late = await asyncio.wait(tasks, timeout=within)
        finally:
            for task in tasks:
                task.cancel()
        return [task.get_name() for task in tasks if task in late]

    async def add_source(self, text: str, *, name: str | None = None, loop: bool | None = None) -> SourceInfo:
        """Add the source that ``text`` (``URL`` or ``NAME=URL``) describes, and start it.

        Returns once a file or folder is open; a camera is opened in the background and shows its state. Cancelling
        leaves the source out. ``loop`` overrides the session's options.

        Raises:
            ConfigError: the text isn't a source, or the name is taken.
            SourceError: a file or folder can't be read.
        """
        spec = parse_source(text)
        if name is not None:
            spec = replace(spec, name=check_name(name))
        if spec.name in self._feeds:
            raise ConfigError(
                f"there is a source called {spec.name!r} already; name this one: OTHER={redact_url(spec.url)}"
            )
        options = self._options
        source = open_source(
            spec.url,
            name=spec.name,
            bridge=self.bridge,
            pace="native",
            loop=options.loop if loop is None else loop,
            lossless=options.lossless,
            reconnect=True,
            rtsp_transport=options.rtsp_transport,
            open_timeout=options.open_timeout,
            read_timeout=options.read_timeout,
            clock=self._clock,
        )
        return await self.start(spec, source)

    async def start(self, spec: SourceSpec, source: BaseSource) -> SourceInfo:
        """Start a source that is made already, under ``spec.name``; otherwise like :meth:`add_source`."""
        assert self._tasks is not None, "the session isn't entered"
        feed = _Feed(spec, source, asyncio.get_running_loop().create_future())
        self._feeds[spec.name] = feed
        self._pipeline.gate.add(spec.name, live=source.live)
        source.on_state(lambda state, reason: self._changed(feed))
        feed.task = self._tasks.create_task(self._pump(feed), name=f"live.source.{spec.name}")
        if spec.kind.finite:
            try:
                await feed.opened
            except BaseException:
                await self.remove_source(spec.name)
                raise
        return self._info(feed)

    async def remove_source(self, name: str) -> None:
        """Close the source and forget it; its frames in flight still come out.

        Raises:
            KeyError: there is no source of that name.
        """
        feed = self._feeds[name]
        if feed.expiry is not None and feed.expiry is not asyncio.current_task():
            feed.expiry.cancel()
        if feed.task is not None:
            feed.task.cancel()
            await asyncio.wait([feed.task])
        feed.final = self._pipeline.gate.statistics(name)
        await self._pipeline.remove(name)
        del self._feeds[name]
        if self._privacy is not None:
            self._privacy.forget(name)
        self.hub.forget(name)

    async def push_source(self, name: str) -> PushSource:
        """The source that a browser or program feeds, made when it isn't there.

        One that was made here goes again when nobody has pushed to it for :data:`PUSH_GRACE` seconds; otherwise every
        closed browser tab would leave a source behind.

        Raises:
            ConfigError: another kind of source has that name, or it isn't a name.
        """
        feed = self._feeds.get(name)
        if feed is None:
            await self.add_source(f"push:{name}")
            feed = self._feeds[name]
            assert self._tasks is not None
            feed.expiry = self._tasks.create_task(self._expire(feed), name=f"live.expire.{name}")
        if not isinstance(feed.source, PushSource):
            raise ConfigError(f"{name!r} is a {feed.spec.kind.value} source, not one to push to; choose another name")
        return feed.source

    def sources(self) -> list[SourceInfo]:
        return [self._info(feed) for feed in self._feeds.values()]

    def statistics(self) -> SessionStatistics:
        sinks = [
            SinkStatistics(name, receiver.statistics().received, receiver.statistics().dropped)
            for name, _, receiver in self._sink_ends
        ]
        return SessionStatistics(
            self.sources(), self._pipeline.statistics(), self._pipeline.batches_in_flight, sinks, self._withheld
        )

    def on_change(self, callback: Callable[[SourceInfo], None]) -> None:
        """Call ``callback`` on the event loop whenever a source's state changes."""
        self._listeners.append(callback)

    async def _run_pipeline(self) -> None:
        try:
            await self._pipeline.run(self._publish)
        finally:
            for _, sender, _ in self._sink_ends:
                sender.close()

    async def _publish(self, faces: FrameFaces) -> None:
        feed = self._feeds.get(faces.frame.source)
        if feed is not None:
            feed.processed += 1
            feed.latency.add((self._clock() - faces.frame.captured_at) * 1000)
        shown = await self._as_shown(faces, feed)
        if shown is None:
            return
        self.hub.publish(shown)
        for _, sender, _ in self._sink_ends:
            sender.send_nowait(shown)

    async def _as_shown(self, faces: FrameFaces, feed: _Feed | None) -> FrameFaces | None:
        """What others may see of a result; None for nothing."""
        shown = faces if self._privacy is None else await self._privacy.apply(faces)
        if feed is not None and shown is None:
            feed.withheld += 1 + faces.dropped
        if shown is None:
            self._withheld += 1
            return None
        if not self._biometrics:
            shown = replace(shown, identities={})
        if feed is not None and feed.withheld:
            shown = replace(shown, frame=replace(shown.frame, dropped=shown.dropped + feed.withheld))
            feed.withheld = 0
        return shown

    async def _pump(self, feed: _Feed) -> None:
        """Move a source's frames to the gate until it ends or gives up."""
        try:
            async with feed.source as source:
                if not feed.opened.done():
                    feed.opened.set_result(None)
                async for frame in source:
                    feed.last_frame_at = self._clock()
                    feed.rate.tick(feed.last_frame_at)
                    await self._pipeline.gate.put(frame)
        except SourceError as error:
            feed.failure = str(error)
            if feed.opened.done():
                log.error("source %s stopped: %s", feed.spec.name, error)
            else:
                feed.opened.set_exception(error)
                feed.opened.exception()  # whoever added it has it; a camera's shows in its state
            self._changed(feed)
        except BrokenChannel:
            pass  # removed while it waited for room

    async def _expire(self, feed: _Feed) -> None:
        """Remove a pushed source once it has been without a pusher for the time of grace."""
        source = feed.source
        assert isinstance(source, PushSource)
        changed = asyncio.Event()
        source.on_state(lambda state, reason: changed.set())
        while True:
            changed.clear()
            try:
                async with asyncio.timeout(None if source.connected else self._push_grace):
                    await changed.wait()
            except TimeoutError:
                if not source.connected:
                    await self.remove_source(feed.spec.name)
                    return

    def _changed(self, feed: _Feed) -> None:
        info = self._info(feed)
        for callback in self._listeners:
            callback(info)

    def _info(self, feed: _Feed) -> SourceInfo:
        now = self._clock()
        source = feed.source
        lane = feed.final or self._pipeline.gate.statistics(feed.spec.name)
        statistics = source.statistics()
        latency = feed.latency.value()
        return SourceInfo(
            name=feed.spec.name,
            url=redact_url(feed.spec.url),
            kind=feed.spec.kind.value,
            state=SourceState.STOPPED if feed.failure else source.state,
            reason=feed.failure or source.reason,
            live=source.live,
            size=source.size,
            rate=round(feed.rate.rate(now), 2),
            captured=lane.captured,
            processed=feed.processed,
            dropped=lane.dropped,
            damaged=statistics.damaged,
            epoch=statistics.epoch,
            reconnects=statistics.reconnects,
            latency_ms=None if latency is None else round(latency, 1),
            last_frame_age=None if feed.last_frame_at is None else round(now - feed.last_frame_at, 3),
        )


async def _write_all(results: Receiver[FrameFaces], sink: Sink) -> None:
    try:
        async for faces in results:
            await sink.write(faces)
        await sink.drain()
    finally:
        results.close()
