"""A live session without cameras or models: results are whatever the test publishes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from facestream.errors import ConfigError, FacestreamError, SourceUnavailable
from facestream.jobs.live import SessionStatistics, SourceInfo, SourceOptions
from facestream.jobs.recognition import NamedPerson
from facestream.stream.device import Bridge
from facestream.stream.hub import Hub
from facestream.stream.stage import StageStatistics
from facestream.stream.types import Frame, FrameFaces, Image, SourceState


def source_info(name: str = "door", kind: str = "rtsp", state: SourceState = SourceState.LIVE) -> SourceInfo:
    """A source of 640x480 at 25 fps that has just delivered a frame."""
    return SourceInfo(
        name=name,
        url=f"{kind}://***@camera/{name}",
        kind=kind,
        state=state,
        reason="",
        live=True,
        size=(640, 480),
        rate=25.0,
        captured=100,
        processed=90,
        dropped=10,
        damaged=1,
        epoch=0,
        reconnects=0,
        latency_ms=12.5,
        last_frame_age=0.04,
        since=1_700_000_000.0,
    )


def some_faces(
    seq: int = 0, *, source: str = "door", count: int = 1, dropped: int = 0, size: tuple[int, int] = (64, 48)
) -> FrameFaces:
    """A result with ``count`` tracked faces of 68 points, all alike; its picture is grey."""
    width, height = size
    image = np.full((height, width, 3), 128, np.uint8)
    boxes = np.tile(np.asarray([10.04, 12.0, 40.0, 44.0], np.float32), (count, 1))
    return FrameFaces(
        frame=Frame(source, 0, seq, seq / 25, time.time(), image, dropped=dropped),
        boxes=boxes,
        scores=np.full(count, 0.98, np.float32),
        landmarks=np.tile(np.linspace(10, 40, 136, dtype=np.float32).reshape(68, 2), (count, 1, 1)),
        tracks=np.arange(count, dtype=np.int64),
    )


class FakePush:
    """A push source that keeps what it is fed."""

    def __init__(self, name: str, hub: Hub) -> None:
        self.name = name
        self.images: list[Image] = []
        self.connected = False
        self._hub = hub

    def connect(self) -> None:
        if self.connected:
            raise SourceUnavailable(f"push:{self.name} has a pusher; use another name")
        self.connected = True

    async def feed(self, image: Image, pts: float | None = None, captured_at: float | None = None) -> None:
        self.images.append(image)
        seq = len(self.images) - 1
        frame = Frame(self.name, 0, seq, pts or seq / 25, captured_at or time.time(), image)
        self._hub.publish(FrameFaces(frame=frame))

    def disconnect(self) -> None:
        self.connected = False


class FakeRecognition:
    """People without a gallery, who have a name as soon as they are given one.

    Args:
        faces: (source, track) of the faces that can be named.
        broken: what every request fails with.
    """

    model = "fake-identity"

    def __init__(self, *faces: tuple[str, int], broken: FacestreamError | None = None) -> None:
        self.people: dict[str, int] = {}
        self._faces = faces
        self._broken = broken

    async def name(self, source: str, track: int, name: str) -> None:
        self._check()
        if (source, track) not in self._faces:
            raise KeyError(track)
        self.people[name] = self.people.get(name, 0) + 1

    async def list(self) -> list[NamedPerson]:
        self._check()
        return [NamedPerson(name, looks) for name, looks in sorted(self.people.items())]

    async def rename(self, name: str, to: str) -> None:
        self._check(name)
        if to in self.people:
            raise ConfigError(f"there is a {to!r} already: merge the two if they are one person")
        self.people[to] = self.people.pop(name)

    async def remove(self, name: str) -> None:
        self._check(name)
        del self.people[name]

    async def merge(self, name: str, into: str) -> None:
        self._check(name, into)
        self.people[into] += self.people.pop(name)

    def _check(self, *names: str) -> None:
        if self._broken is not None:
            raise self._broken
        for name in names:
            if name not in self.people:
                raise ConfigError(f"there is nobody called {name!r}")


class FakeSession:
    """What :class:`facestream.serving.session.Session` asks for, and :meth:`publish`."""

    def __init__(self, bridge: Bridge, *sources: SourceInfo) -> None:
        self.hub = Hub()
        self.bridge = bridge
        self.pushes: dict[str, FakePush] = {}
        self.options = SourceOptions()
        self._sources = {info.name: info for info in sources}
        self._callbacks: list[Callable[[SourceInfo], None]] = []

    def publish(self, faces: FrameFaces) -> None:
        self.hub.publish(faces)

    def change(self, name: str, state: SourceState, reason: str = "") -> None:
        """Let a source change its state."""
        info = replace(self._sources[name], state=state, reason=reason)
        self._sources[name] = info
        for callback in self._callbacks:
            callback(info)

    def sources(self) -> list[SourceInfo]:
        return list(self._sources.values())

    async def add_source(
        self, text: str, *, name: str | None = None, options: SourceOptions | None = None
    ) -> SourceInfo:
        scheme, _, rest = text.partition(":")
        name = name or rest.strip("/").partition("/")[0]
        if name in self._sources:
            raise ConfigError(f"there is a source called {name!r} already")
        if rest == "//nowhere":
            raise SourceUnavailable("nowhere can't be reached")
        connecting = source_info(name, scheme, SourceState.CONNECTING)
        self._sources[name] = replace(connecting, options=options or self.options)
        self.change(name, SourceState.CONNECTING)
        return self._sources[name]

    async def update_source(
        self, name: str, text: str | None = None, options: SourceOptions | None = None
    ) -> SourceInfo:
        info = self._sources[name]
        if text == "rtsp://nowhere":
            raise SourceUnavailable("nowhere can't be reached")
        self._sources[name] = replace(info, url=text or info.url, options=options or info.options)
        self.change(name, info.state)
        return self._sources[name]

    async def restart_source(self, name: str) -> SourceInfo:
        self.change(name, SourceState.CONNECTING)
        return self._sources[name]

    async def remove_source(self, name: str) -> None:
        self._sources[name]
        self.change(name, SourceState.STOPPED)
        del self._sources[name]
        self.hub.forget(name)

    async def push_source(self, name: str) -> FakePush:
        if name not in self._sources:
            await self.add_source(f"push:{name}")
            self.pushes[name] = FakePush(name, self.hub)
        if name not in self.pushes:
            raise ConfigError(f"{name!r} isn't a source to push to; choose another name")
        return self.pushes[name]

    async def clip(self, name: str, before: float, after: float, path: Path) -> float:
        """Writes what was asked for in place of a clip."""
        self._sources[name]
        await self.bridge.cpu(path.write_text, f"{name} {before:g} {after:g}")
        return before + after

    def statistics(self) -> SessionStatistics:
        return SessionStatistics(self.sources(), [StageStatistics("yunet", 4)], 0, [])

    def on_change(self, callback: Callable[[SourceInfo], None]) -> None:
        self._callbacks.append(callback)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.hub.close()
