"""What is seen of a server from outside: its sources, what it holds, and what a healthy subscriber hears."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from tests.service.served import Belongings, ServerProcess

EVERY = 0.5  # seconds


class Camera(msgspec.Struct, frozen=True, kw_only=True):
    """A source at one moment, as ``/api/sources`` tells it.

    Attributes:
        heard: frames that a healthy subscriber was sent, or told of as dropped, since it came.
    """

    name: str
    state: str
    reason: str
    captured: int
    processed: int
    dropped: int
    reconnects: int
    last_frame_age: float | None
    heard: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Attributes:
        at: seconds since the run began.
        life: how often the server had been started.
    """

    at: float
    life: int
    cameras: dict[str, Camera]
    belongings: Belongings


@dataclass(slots=True)
class Notebook:
    """Everything that was seen."""

    samples: list[Sample] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)  # why the healthy subscriber's connection ended


class Observer:
    """Looks twice a second, and listens, until cancelled.

    Args:
        begin: the event loop's time at which the run began.
    """

    def __init__(self, server: ServerProcess, begin: float) -> None:
        self.notebook = Notebook()
        self._server = server
        self._begin = begin
        self._heard: dict[str, int] = {}
        self._looked = asyncio.Condition()

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look())
            tasks.create_task(self._listen())

    async def all_live(self) -> None:
        """Wait until every source is live, as of a look from now on."""
        async with self._looked:
            await self._looked.wait()
            await self._looked.wait_for(lambda: _all_live(self.notebook.samples[-1]))

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            life = self._server.lives
            try:
                cameras = msgspec.json.decode(await self._server.get("/api/sources"), type=list[Camera])
                belongings = self._server.belongings()
            except (OSError, EOFError, msgspec.DecodeError, psutil.Error):
                pass  # it is down, or goes down just now
            else:
                heard = {
                    camera.name: msgspec.structs.replace(camera, heard=self._heard.get(camera.name, 0))
                    for camera in cameras
                }
                self.notebook.samples.append(Sample(clock() - self._begin, life, heard, belongings))
                async with self._looked:
                    self._looked.notify_all()
            await asyncio.sleep(EVERY)

    async def _listen(self) -> None:
        while True:
            try:
                async with connect(f"ws://127.0.0.1:{self._server.port}/ws/faces?fields=box") as websocket:
                    async for message in websocket:
                        self._hear(message)
                self.notebook.closed.append(f"{websocket.close_code} {websocket.close_reason}")
            except (OSError, EOFError, InvalidHandshake, WebSocketException):
                await asyncio.sleep(EVERY)
            self._heard.clear()

    def _hear(self, message: str | bytes) -> None:
        told = msgspec.json.decode(message)
        if told["type"] == "faces":
            source = told["source"]
            self._heard[source] = self._heard.get(source, 0) + 1 + told["dropped"]


def _all_live(sample: Sample) -> bool:
    return bool(sample.cameras) and all(camera.state == "live" for camera in sample.cameras.values())
