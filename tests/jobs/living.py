"""A live session without cameras, models and files, in one line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from facestream.io.base import BaseSource
from facestream.io.urls import parse_source
from facestream.jobs.live import LiveSession, SourceInfo, SourceOptions
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import Stage
from facestream.stream.types import FrameFaces, Sink
from facestream.testing.plugins import FakeAligner, FakeDetector

BOXES = [(4, 4, 40, 40)]


@asynccontextmanager
async def live(
    detector: FakeDetector | None = None,
    *sinks: Sink,
    options: SourceOptions | None = None,
    **session_options: Any,
) -> AsyncIterator[LiveSession]:
    async with Bridge(torch_threads=1) as bridge:
        stages = [Stage.detect(detector or FakeDetector(BOXES), bridge), Stage.faces(FakeAligner(), bridge)]
        pipeline = Pipeline(stages, bridge, tracks=Tracks())
        async with LiveSession(pipeline, bridge, sinks=sinks, options=options, **session_options) as session:
            yield session


async def start(session: LiveSession, source: BaseSource, options: SourceOptions | None = None) -> None:
    await session.start(parse_source(f"{source.name}=rtsp://camera/"), source, options)


async def until(session: LiveSession, happened: Callable[[], bool]) -> None:
    """Wait until something has happened, looking at each result."""
    async with asyncio.timeout(60), session.hub.subscribe() as results:
        async for _ in results:
            if happened():
                return


def info(session: LiveSession, name: str) -> SourceInfo:
    return next(info for info in session.sources() if info.name == name)


class Notebook:
    """A sink that remembers, and can be slow or broken."""

    def __init__(self, *, gate: asyncio.Event | None = None, error: Exception | None = None) -> None:
        self.results: list[FrameFaces] = []
        self.finalised = 0
        self._gate, self._error = gate, error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.finalised += 1

    async def write(self, faces: FrameFaces) -> None:
        if self._gate is not None:
            await self._gate.wait()
        if self._error is not None:
            raise self._error
        self.results.append(faces)

    async def drain(self) -> None:
        pass
