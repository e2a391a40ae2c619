"""One source at work in a live session: its frames go to the pipeline, and what becomes of them is counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from facestream.errors import SourceError
from facestream.io.base import BaseSource
from facestream.io.urls import SourceSpec, redact_url
from facestream.jobs.meters import RateMeter, RecentMedian
from facestream.jobs.source_info import SourceInfo
from facestream.jobs.source_options import SourceOptions
from facestream.stream.batching import LaneStatistics
from facestream.stream.channel import BrokenChannel
from facestream.stream.hub import RateLimiter
from facestream.stream.pipeline import Pipeline
from facestream.stream.region import pixels_of
from facestream.stream.types import Frame, FrameFaces, SourceState, SourceStatistics

_log = logging.getLogger("facestream.source")


class Feed:
    """
    Args:
        spec: what it is called and where it comes from.
        source: unopened.
        changed: called on the event loop when its state or its options change.
        clock: Unix seconds.
        monotonic: seconds, for the rate limit.

    Attributes:
        leaving: it is being removed.
        removal: what does so.
        expiry: what removes it when nobody pushes to it any more.
    """

    def __init__(
        self,
        spec: SourceSpec,
        source: BaseSource,
        options: SourceOptions,
        pipeline: Pipeline,
        *,
        changed: Callable[[Feed], None],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = spec.name
        self.expiry: asyncio.Task[None] | None = None
        self.leaving = False
        self.removal: asyncio.Task[None] | None = None
        self._pipeline = pipeline
        self._changed = changed
        self._clock = clock
        self._monotonic = monotonic
        self._tasks: dict[asyncio.Task[None], BaseSource] = {}  # the one at work, and those that are still closing
        self._rate = RateMeter()
        self._latency = RecentMedian()
        self._last_frame_at: float | None = None
        self._processed = 0
        self._before = SourceStatistics()  # of the sources that it had before this one; epoch: how many there were
        self._final: LaneStatistics | None = None
        self._attach(spec, source)
        pipeline.gate.add(self.name, live=source.live)
        self._apply(options)

    def _attach(self, spec: SourceSpec, source: BaseSource) -> None:
        self.spec, self.source = spec, source
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        source.on_state(lambda state, reason: self._tell(source))

    def _tell(self, source: BaseSource) -> None:
        if source is self.source:  # not one that has been replaced
            self._changed(self)

    @property
    def running(self) -> bool:
        """It is at work, or trying to be."""
        return bool(self._tasks) and self.source.state is not SourceState.STOPPED

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to move frames to the pipeline, in a task of ``tasks``; after :meth:`replace`, again."""
        opened = self._opened
        task = tasks.create_task(self._run(self.source, opened, tuple(self._tasks)), name=f"live.source.{self.name}")
        self._tasks[task] = self.source
        task.add_done_callback(self._tasks.pop)
        task.add_done_callback(lambda _: opened.cancel())

    async def opened(self) -> None:
        """Wait until the source is open, or until another takes its place.

        Raises:
            SourceError: it can't be opened.
        """
        opened = self._opened
        await asyncio.wait([opened])
        if not opened.cancelled():
            opened.result()

    def cancel(self) -> None:
        """Let the source be closed; see :meth:`ended`."""
        for task in (self.expiry, *self._tasks):
            if task is not None and task is not asyncio.current_task():
                task.cancel()

    async def ended(self) -> None:
        """Wait until the source is closed, and those that it had before."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def apply(self, options: SourceOptions) -> None:
        """Change what needs no other source; frames that are on their way already keep what they were given."""
        self._apply(options)
        self._changed(self)

    def _apply(self, options: SourceOptions) -> None:
        self.options = options
        self._limiter = None if options.max_rate is None else RateLimiter(options.max_rate)
        self._pipeline.guide_source(self.name, options.guiding)

    def replace(self, spec: SourceSpec, source: BaseSource, options: SourceOptions, tasks: asyncio.TaskGroup) -> None:
        """Go on with another source, as soon as the present one is closed. Counts go on; an epoch begins.

        It stays from now on, whoever it was made for.
        """
        self.source.quiet = True
        _log.info("source %s: opened again", self.name)
        old = self.source.statistics()
        self._before = SourceStatistics(
            damaged=self._before.damaged + old.damaged,
            epoch=self._before.epoch + old.epoch + (old.captured > 0),
            reconnects=self._before.reconnects + old.reconnects + 1,
        )
        self._attach(spec, source)
        self._pipeline.gate.change(self.name, live=source.live)
        self.cancel()
        self.start(tasks)
        self.apply(options)

    async def _run(
        self, source: BaseSource, opened: asyncio.Future[None], before: tuple[asyncio.Task[None], ...]
    ) -> None:
        """Move a source's frames to the gate until it ends or gives up, once those ``before`` have."""
        try:
            if before:
                await asyncio.wait(before)
                before = ()  # each holds its source, decoder and all, and waited for others itself
            async with source:
                opened.set_result(None)
                async for frame in source:
                    await self._take(frame)
        except SourceError as error:
            if not opened.done():
                opened.set_exception(error)
                opened.exception()  # whoever added it has it; a camera's shows in its state
        except BrokenChannel:
            pass  # removed while it waited for room

    async def _take(self, frame: Frame) -> None:
        gate = self._pipeline.gate
        self._last_frame_at = self._clock()
        self._rate.tick(self._last_frame_at)
        frame.epoch += self._before.epoch
        if self._limiter is not None and not self._limiter.allow(self._monotonic()):
            await gate.pass_over(self.name)
            return
        if self.options.region is not None:
            frame.region = pixels_of(self.options.region, frame.size)
        await gate.put(frame)

    def published(self, faces: FrameFaces) -> None:
        """Count a result."""
        self._processed += 1
        self._latency.add((self._clock() - faces.frame.captured_at) * 1000)

    def give_up(self) -> None:
        """Let :meth:`ended` wait no longer for a thread that hangs."""
        for source in self._tasks.values():
            source.give_up()

    async def remove(self) -> None:
        """Take it out of the pipeline. Returns when what is in flight has come out."""
        self._final = await self._pipeline.remove(self.name)
        await self._pipeline.gone(self.name)

    def info(self) -> SourceInfo:
        now = self._clock()
        source, statistics = self.source, self.source.statistics()
        lane = self._final or self._pipeline.gate.statistics(self.name)
        latency = self._latency.value()
        return SourceInfo(
            name=self.name,
            url=redact_url(self.spec.url),
            kind=self.spec.kind.value,
            state=source.state,
            reason=source.reason,
            since=source.since,
            live=source.live,
            size=source.size,
            rate=round(self._rate.rate(now), 2),
            captured=lane.captured,
            processed=self._processed,
            dropped=lane.dropped,
            limited=lane.limited,
            damaged=self._before.damaged + statistics.damaged,
            epoch=self._before.epoch + statistics.epoch,
            reconnects=self._before.reconnects + statistics.reconnects,
            latency_ms=None if latency is None else round(latency, 1),
            last_frame_age=None if self._last_frame_at is None else round(now - self._last_frame_at, 3),
            options=self.options,
        )
