"""The asynchronous shell around a blocking reader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from facestream.io.base import BaseSource
from facestream.io.clips import PacketKeeper, make_clip
from facestream.io.pacing import Pacer, Timeline
from facestream.io.reading import HashedFrame, LazyFrame, LazyPixels, Picture, Reader
from facestream.stream.device import Bridge, Lane
from facestream.stream.types import Frame, SourceState, SourceStatistics

Pace: TypeAlias = Literal["fast", "native"]


class ReaderSource(BaseSource):
    """Frames of a :class:`facestream.io.reading.Reader`, which works in a thread of its own.

    Args:
        pace: "fast" gives frames as fast as they are asked for; "native" holds each frame of a recording back
            until its time. A camera has its own time either way, and live HLS, which comes a segment at a
            time, is spread over its own.
        loop: begin a recording again at its end. Epoch stays, ``seq`` and ``pts`` go on rising.
        lossless: every frame matters, so the source isn't ``live``. None: cameras and what plays at its
            native pace are live.
        lane: the thread for the reader; None for a new one.
        keep_lane: leave the lane open on closing, for somebody else's use.
        keeper: has the reader's packets, for clips; None if it has none.
        bridge: in whose pool clips are written; None for a thread of their own.
        clock: Unix seconds, for ``captured_at``.
        sleep: how to wait for a frame's time.
    """

    def __init__(
        self,
        name: str,
        reader: Reader,
        *,
        pace: Pace = "fast",
        loop: bool = False,
        lossless: bool | None = None,
        lane: Lane | None = None,
        keep_lane: bool = False,
        keeper: PacketKeeper | None = None,
        bridge: Bridge | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._reader = reader
        self._pace = pace
        self._loop = loop
        self._lossless = lossless
        super().__init__(name, live=self._is_live())
        self._lane: Lane | None = lane or Lane(name)
        self._keep_lane = keep_lane
        self._keeper = keeper
        self._bridge = bridge
        self._clock = clock
        self._sleep = sleep
        self._pacer = Pacer()
        self._timeline = Timeline()
        self._given = 0

    def _is_live(self) -> bool:
        return not self._lossless and (self._pace == "native" or not self._reader.finite)

    def _paced(self) -> bool:
        if self._reader.finite:
            return self._pace == "native"
        return self._reader.bursts and self.live

    @property
    def finite(self) -> bool:
        return self._reader.finite

    @property
    def size(self) -> tuple[int, int] | None:
        return self._reader.size

    @property
    def skipped(self) -> int:
        return self._reader.skipped

    @property
    def rate(self) -> float | None:
        return self._reader.rate

    @property
    def count(self) -> int | None:
        return self._reader.count

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(captured=self._captured, damaged=self._reader.damaged)

    async def clip(self, before: float, after: float, path: Path) -> float:
        if self._keeper is None:
            return await super().clip(before, after, path)
        if self._bridge is not None:
            return await make_clip(self._keeper, self._bridge.cpu, before, after, path)
        lane = Lane(f"{self.name}-clip")
        try:
            return await make_clip(self._keeper, lane.run, before, after, path)
        finally:
            await lane.aclose()

    async def _open(self) -> None:
        assert self._lane is not None
        await self._lane.run(self._reader.open)
        self.live = self._is_live()
        self._timeline = Timeline(self._reader.rate)

    async def _next(self) -> Frame | None:
        if self._lane is None:
            return None
        taken = await self._lane.run(self._take)
        if taken is None:
            return None
        picture, captured_at, seq = taken
        if self._paced():
            await self._sleep(self._pacer.delay(picture.pts, time.monotonic()))
            captured_at = self._clock()
        self._set_state(SourceState.LIVE)
        return self._frame(picture, seq, captured_at)

    def _frame(self, picture: Picture, seq: int, captured_at: float) -> Frame:
        pixels = picture.pixels
        if isinstance(pixels, LazyPixels):
            return LazyFrame.of(pixels, self.name, seq, picture.pts, captured_at)
        if picture.sha1 is None:
            return Frame(self.name, 0, seq, picture.pts, captured_at, pixels, picture.name)
        return HashedFrame(self.name, 0, seq, picture.pts, captured_at, pixels, picture.name, sha1=picture.sha1)

    def _take(self) -> tuple[Picture, float, int] | None:
        """In the thread: the next picture, when it came, and its number.

        Counted here, where nothing is cancelled: a picture that nobody waits for any more takes its number with it.
        """
        picture = self._reader.read()
        if picture is None and self._loop and self._reader.finite and self._lane is not None:
            self._reader.close()
            self._reader.open()
            self._timeline.restart()
            picture = self._reader.read()
        if picture is None:
            return None
        if self._loop:
            picture = replace(picture, pts=self._timeline.place(picture.pts))
        seq = self._given + self._reader.skipped
        self._given += 1
        return picture, self._clock(), seq

    async def _close(self) -> None:
        lane, self._lane = self._lane, None
        if lane is None:
            return
        self._reader.interrupt()
        if self._keeper is not None:
            self._keeper.end()  # a reader that hangs would never do so, and clips would wait for it
        try:
            await lane.run(self._reader.close)  # runs after the call in progress
        finally:
            if not self._keep_lane:
                await lane.aclose()
