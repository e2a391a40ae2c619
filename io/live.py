"""A source that comes back: reopens what is lost, and says so meanwhile."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from facestream.errors import SourceError, SourceRefused, SourceUnavailable
from facestream.io.backoff import Backoff
from facestream.io.base import BaseSource
from facestream.io.source_lane import SourceLane
from facestream.io.watchdog import Watchdog
from facestream.stream.device import LaneForsaken
from facestream.stream.types import Frame, SourceState, SourceStatistics


class ReconnectingSource(BaseSource):
    """Wraps sources that may fail into one that doesn't.

    Opening returns at once for a camera: it connects when the first frame is asked for, and whatever goes
    wrong, then or later, becomes the state ``DEGRADED`` with a reason, a wait (see :class:`Backoff`) and
    another try, for ever. Each connection that gives a frame is a new epoch, with ``seq`` from 0.

    A file is opened at once, and what goes wrong then is raised: no patience makes a video of a text file.
    Its end is the end.

    A connection that freezes, though frames keep coming, is lost like any other: see :class:`Watchdog`. One that hangs,
    so that not even closing it returns, is left behind with its thread: see :class:`SourceLane`.

    Args:
        connect: makes a new, unopened source for each try. What it raises is a try that failed.
        file: it is a file, a folder or a list of pictures.
        live: as in :class:`facestream.stream.types.Source`, until the first connection knows better.
        lane: where the sources work, closed together with this one.
        watchdog: None where frames' times may do what they like.
        clock: Unix seconds.
        monotonic: the clock of the back-off, in seconds.
        sleep: how to wait for the next try.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], BaseSource],
        *,
        file: bool = False,
        live: bool = True,
        lane: SourceLane | None = None,
        watchdog: Watchdog | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(name, live=live, clock=clock)
        self._connect = connect
        self._file = file
        self._lane = lane
        self._watchdog = watchdog or Watchdog(math.inf)
        self._backoff = backoff or Backoff()
        self._monotonic = monotonic
        self._sleep = sleep
        self._source: BaseSource | None = None  # the present connection
        self._latest: BaseSource | None = None  # the same, and after it is lost what is still known of it
        self._connecting = asyncio.Lock()  # closing from another task waits for a connection being made
        self._pause: asyncio.Future[None] | None = None
        self._closed = False
        self._epoch = -1
        self._first_frame_due = True
        self._reconnects = 0
        self._damaged = 0  # in former connections

    @property
    def finite(self) -> bool:
        return self._latest.finite if self._latest is not None else self._file

    @property
    def size(self) -> tuple[int, int] | None:
        return self._latest.size if self._latest is not None else None

    @property
    def rate(self) -> float | None:
        return self._latest.rate if self._latest is not None else None

    @property
    def count(self) -> int | None:
        return self._latest.count if self._latest is not None else None

    @property
    def skipped(self) -> int:
        """Of the present connection."""
        return self._latest.skipped if self._latest is not None else 0

    def statistics(self) -> SourceStatistics:
        """``reconnects`` counts the tries after a loss, ``epoch`` those that gave frames."""
        damaged = self._damaged + (self._source.statistics().damaged if self._source is not None else 0)
        return SourceStatistics(self._captured, damaged, max(0, self._epoch), self._reconnects)

    async def clip(self, before: float, after: float, path: Path) -> float:
        """Of the present connection, or while there's none of the last one."""
        if self._latest is None:
            raise SourceUnavailable(f"no clip of {self.name}: it isn't connected yet; ask again later")
        return await self._latest.clip(before, after, path)

    def give_up(self) -> None:
        if self._lane is not None:
            self._lane.give_up()

    async def _open(self) -> None:
        if self._file:
            await self._open_source()

    async def _open_source(self) -> BaseSource:
        """Raises what the source raises; what it leaves behind then is nothing."""
        async with self._connecting:
            source = self._connect()
            source.quiet = True
            try:
                await source.__aenter__()
            except LaneForsaken:
                raise SourceUnavailable(f"{self.name} hangs while it's opened") from None
            self._source = self._latest = source
        self._first_frame_due = True
        self._watchdog.restart()
        self.live = source.live
        return source

    async def _next(self) -> Frame | None:
        while not self._closed:
            try:
                source = self._source or await self._open_source()
                frame = await anext(source, None)
            except (SourceError, LaneForsaken) as error:
                await self._retry_after(self._why_lost(error), refused=isinstance(error, SourceRefused))
                continue
            if frame is None:
                if source.finite or self._closed:
                    return None
                await self._retry_after(f"{self.name} stopped sending")
            elif frozen := self._watchdog.frame(frame.pts, self._monotonic(), source.statistics().damaged):
                await self._retry_after(f"{self.name}: {frozen}")
            else:
                return self._arrived(frame)
        return None

    def _why_lost(self, error: Exception) -> str:
        if isinstance(error, LaneForsaken):
            return f"{self.name} hangs"
        source = self._source
        return str(error) if source is None else self._watchdog.lost(str(error), source.statistics().damaged)

    def _arrived(self, frame: Frame) -> Frame:
        if self._first_frame_due:
            self._first_frame_due = False
            self._epoch += 1
        self._backoff.arrived(self._monotonic())
        self._set_state(SourceState.LIVE)
        frame.epoch = self._epoch
        return frame

    async def _retry_after(self, reason: str, *, refused: bool = False) -> None:
        """Let go of the lost connection and wait for the time of the next try."""
        self._set_state(SourceState.DEGRADED, reason)
        await self._drop_source()
        self._pause = asyncio.ensure_future(self._sleep(self._backoff.refused() if refused else self._backoff.lost()))
        try:
            await asyncio.wait([self._pause])
        finally:
            self._pause.cancel()
        self._reconnects += 1

    async def _drop_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            self._damaged += source.statistics().damaged
            with suppress(LaneForsaken):  # it closes itself if the call that hangs returns
                await source.aclose()
        if self._lane is not None:
            await self._lane.leave_if_hung()

    async def _close(self) -> None:
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
        try:
            async with self._connecting:
                await self._drop_source()
        finally:
            if self._lane is not None:
                await self._lane.aclose()
