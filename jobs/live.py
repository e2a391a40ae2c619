"""A live session: sources that come and go, one pipeline, and results that fan out.

::

    async with LiveSession(pipeline, bridge) as session:
        await session.add_source("door=rtsp://10.0.0.5/stream")
        async with session.hub.subscribe() as results:
            async for faces in results: ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from facestream.errors import ConfigError, SourceError
from facestream.io.push import PushSource
from facestream.io.sources import BaseSource, open_source
from facestream.io.urls import SourceSpec, check_name, hides_credentials, parse_source, redact_url
from facestream.jobs.feed import Feed
from facestream.jobs.outflow import Discretion, Outflow
from facestream.jobs.source_info import SessionStatistics, SinkStatistics, SourceInfo
from facestream.jobs.source_options import SourceOptions
from facestream.stream.device import Bridge
from facestream.stream.hub import Hub
from facestream.stream.pipeline import Pipeline
from facestream.stream.tasks import task_group
from facestream.stream.types import FrameFaces, Sink

__all__ = [
    "Discretion",
    "LiveSession",
    "SessionStatistics",
    "SinkStatistics",
    "SourceInfo",
    "SourceOptions",
    "live_in_flight",
]

PUSH_GRACE: Final = 30.0
"""Seconds that a source which a pusher brought along waits for it to come back."""


def live_in_flight(device: str) -> int:
    """Batches of live frames that may be on their way at once.

    Beside a GPU, two: one is on the device while the next is prepared. On a CPU preparing and inferring share the
    cores, so that a second batch gains next to nothing and doubles the age of what subscribers see.
    """
    return 1 if device == "cpu" else 2


class LiveSession:
    """Owns the sources, drives the pipeline and hands its results to the hub and the sinks.

    Args:
        pipeline: the models, with its gate.
        bridge: where blocking work runs.
        sinks: written to at the stream's pace; a sink that falls behind misses results rather than delay them.
        options: of sources that are added without any of their own.
        clock: Unix seconds.
        hub: where results come out; one of its own by default.
        push_grace: see :data:`PUSH_GRACE`.
        privacy: sees each result before the hub and the sinks do; see :class:`Discretion`. A result that it withholds
            counts as processed, and for whoever waits for results as dropped.
        biometrics: whether the hub and the sinks, which store and send, get the embeddings of faces.

        keep_packets: so many seconds of what cameras and videos send are kept as they are, for :meth:`clip`; 0: none.

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
        keep_packets: float = 0.0,
    ) -> None:
        self._push_grace = push_grace
        self._keep_packets = keep_packets
        self.hub = Hub() if hub is None else hub
        self.bridge = bridge
        self._pipeline = pipeline
        self._outflow = Outflow(self.hub, sinks, privacy, biometrics)
        self.options = options or SourceOptions()
        self._clock = clock
        self._feeds: dict[str, Feed] = {}
        self._listeners: list[Callable[[SourceInfo], None]] = []
        self._stack = AsyncExitStack()
        self._tasks: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._outflow.enter_sinks(stack)
            self._tasks = await stack.enter_async_context(task_group())
            self._outflow.start(self._tasks)
            self._running = self._tasks.create_task(self._run_pipeline(), name="the pipeline")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> bool | None:
        if exc_info[0] is None:
            await self.aclose()
        return await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]

    async def aclose(self) -> None:
        """Stop every source; what is in flight comes out meanwhile. Safe to call twice."""
        feeds = list(self._feeds.values())
        for feed in feeds:
            feed.cancel()
        await self._pipeline.gate.close()  # nobody waits for a camera that is slow to close
        await asyncio.gather(*(feed.ended() for feed in feeds))

    async def drain(self, within: float) -> list[str]:
        """:meth:`aclose`, and wait until the sinks have taken what came out, for at most ``within`` seconds.

        What isn't out by then is lost: returns whom nobody waits for any longer, "the pipeline" or a sink's name. A
        source whose driver hangs is left behind, too; nothing of it is lost. The sinks are still to be finished, by
        leaving the session.
        """
        closing = asyncio.create_task(self.aclose(), name="the sources")
        draining = [self._running, *self._outflow.writing]
        try:
            _, late = await asyncio.wait([closing, *draining], timeout=within)
        finally:
            for task in (closing, *draining):
                task.cancel()
            for feed in self._feeds.values():
                feed.give_up()
        return [task.get_name() for task in draining if task in late]

    async def add_source(
        self, text: str, *, name: str | None = None, options: SourceOptions | None = None, keep: bool = False
    ) -> SourceInfo:
        """Add the source that ``text`` (``URL`` or ``NAME=URL``) describes, and start it.

        Returns once a file or folder is open; a camera is opened in the background and shows its state. Cancelling
        leaves the source out.

        Args:
            keep: a file or folder that can't be read stays all the same, stopped, and can be started again.

        Raises:
            ConfigError: the text isn't a source, the name is taken, or the options aren't possible here.
            SourceError: a file or folder can't be read, and isn't to be kept.
        """
        spec = parse_source(text)
        if name is not None:
            spec = replace(spec, name=check_name(name))
        self._check_free(spec)
        options = options or self.options
        return await self.start(spec, self._source(spec, options), options, keep=keep)

    async def start(
        self, spec: SourceSpec, source: BaseSource, options: SourceOptions | None = None, *, keep: bool = False
    ) -> SourceInfo:
        """Start a source that is made already, under ``spec.name``; otherwise like :meth:`add_source`."""
        assert self._tasks is not None, "the session isn't entered"
        options = options or self.options
        self._check_private(options)
        feed = Feed(spec, source, options, self._pipeline, changed=self._changed, clock=self._clock)
        self._feeds[spec.name] = feed
        feed.start(self._tasks)
        if spec.kind.finite:
            try:
                await feed.opened()
            except BaseException as error:
                if not (keep and isinstance(error, SourceError)):
                    await self.remove_source(spec.name)
                    raise
        return feed.info()

    async def update_source(
        self, name: str, text: str | None = None, options: SourceOptions | None = None
    ) -> SourceInfo:
        """Change a source while it runs, and start it again if it has stopped.

        It is opened again only if it must be: for another URL, and for the options that :meth:`SourceOptions.reopens`
        knows. Its counts go on then, and an epoch begins. Other sources notice nothing. Cancelling may come too late
        for the change to be left out.

        Args:
            text: ``URL`` or ``NAME=URL``; None for the present one. So is the present URL as :class:`SourceInfo` shows
                it, without its credentials.
            options: all of them; None for the present ones.

        Raises:
            KeyError: there is no source of that name.
            ConfigError: the text isn't a source, or the options aren't possible here; nothing has changed then.
            SourceError: a file or folder can't be read; the source has stopped then.
        """
        feed = self._present(name)
        spec = feed.spec if text is None else _changed_spec(feed.spec, text)
        options = options or feed.options
        self._check_private(options)
        if spec.url == feed.spec.url and not options.reopens(feed.options) and feed.running:
            feed.apply(options)
            return feed.info()
        return await self._reopen(feed, spec, options)

    async def restart_source(self, name: str) -> SourceInfo:
        """Open a source again: one that has stopped, or one that needn't wait for its next try.

        Raises:
            KeyError, SourceError: as for :meth:`update_source`.
        """
        feed = self._present(name)
        return await self._reopen(feed, feed.spec, feed.options)

    async def _reopen(self, feed: Feed, spec: SourceSpec, options: SourceOptions) -> SourceInfo:
        assert self._tasks is not None
        feed.replace(spec, self._source(spec, options), options, self._tasks)
        if spec.kind.finite:
            await feed.opened()
        return feed.info()

    async def remove_source(self, name: str) -> None:
        """Close the source and forget it. When this returns, its frames in flight have come out and its name is free.

        Cancelling stops the wait only: the source goes.

        Raises:
            KeyError: there is no source of that name.
        """
        assert self._tasks is not None
        feed = self._present(name)
        feed.leaving = True
        feed.cancel()  # at once: nothing else may find that it has to go
        feed.removal = self._tasks.create_task(self._remove(feed), name=f"live.remove.{name}")
        await asyncio.shield(feed.removal)

    async def _remove(self, feed: Feed) -> None:
        await feed.ended()
        await feed.remove()
        del self._feeds[feed.name]
        self._outflow.forget(feed.name)

    async def push_source(self, name: str) -> PushSource:
        """The source that a browser or program feeds, made when it isn't there; anew where it is just going.

        One that was made here goes again when nobody has pushed to it for :data:`PUSH_GRACE` seconds; otherwise every
        closed browser tab would leave a source behind.

        Raises:
            ConfigError: another kind of source has that name, or it isn't a name.
        """
        check_name(name)  # as it stands: "push:NAME" forgives blanks around it, and would be another source's
        feed = self._feeds.get(name)
        if feed is not None and feed.removal is not None:
            await asyncio.wait([feed.removal])
            feed = self._feeds.get(name)
        if feed is None:
            await self.add_source(f"push:{name}")
            feed = self._feeds[name]
            assert self._tasks is not None
            feed.expiry = self._tasks.create_task(self._expire(feed), name=f"live.expire.{name}")
        if not isinstance(feed.source, PushSource):
            raise ConfigError(f"{name!r} is a {feed.spec.kind.value} source, not one to push to; choose another name")
        return feed.source

    async def clip(self, name: str, before: float, after: float, path: Path) -> float:
        """Write a clip of a source's last ``before`` seconds and the ``after`` to come; see :meth:`BaseSource.clip`.

        Raises:
            KeyError: there is no source of that name.
            SourceError, OutputError: as there.
        """
        return await self._present(name).source.clip(before, after, path)

    def sources(self) -> list[SourceInfo]:
        return [feed.info() for feed in self._feeds.values()]

    def statistics(self) -> SessionStatistics:
        return SessionStatistics(
            self.sources(),
            self._pipeline.statistics(),
            self._pipeline.batches_in_flight,
            self._outflow.statistics(),
            self._outflow.withheld,
        )

    def on_change(self, callback: Callable[[SourceInfo], None]) -> None:
        """Call ``callback`` on the event loop whenever a source's state changes."""
        self._listeners.append(callback)

    async def _run_pipeline(self) -> None:
        try:
            await self._pipeline.run(self._publish)
        finally:
            self._outflow.finish()

    async def _publish(self, faces: FrameFaces) -> None:
        await self._outflow.publish(faces)
        feed = self._feeds.get(faces.frame.source)
        if feed is not None:
            feed.published(faces)

    async def _expire(self, feed: Feed) -> None:
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
                    await self.remove_source(feed.name)
                    return

    def _changed(self, feed: Feed) -> None:
        info = feed.info()
        for callback in self._listeners:
            callback(info)

    def _present(self, name: str) -> Feed:
        feed = self._feeds[name]
        if feed.leaving:
            raise KeyError(name)
        return feed

    def _check_free(self, spec: SourceSpec) -> None:
        if spec.name in self._feeds:
            raise ConfigError(
                f"there is a source called {spec.name!r} already; name this one: OTHER={redact_url(spec.url)}"
            )

    def _check_private(self, options: SourceOptions) -> None:
        if options.region is not None and self._outflow.privacy is not None:
            raise ConfigError("a face outside the region would not be covered: leave region or --anonymise out")

    def _source(self, spec: SourceSpec, options: SourceOptions) -> BaseSource:
        return open_source(
            spec.url,
            name=spec.name,
            bridge=self.bridge,
            pace="native",
            loop=options.loop,
            lossless=options.lossless,
            reconnect=True,
            rtsp_transport=options.rtsp_transport,
            open_timeout=options.open_timeout,
            read_timeout=options.read_timeout,
            decoder=options.decoder,
            follow=options.follow,
            keep_packets=self._keep_packets if options.clips else 0.0,
            clock=self._clock,
        )


def _changed_spec(spec: SourceSpec, text: str) -> SourceSpec:
    """The source ``text`` under the name of ``spec``; ``spec`` itself for its own URL without credentials."""
    wanted = replace(parse_source(text), name=spec.name)
    if wanted.url == redact_url(spec.url):
        return spec
    if hides_credentials(wanted.url):
        raise ConfigError(f"the password of {spec.name} isn't known for another URL: write it out")
    return wanted
