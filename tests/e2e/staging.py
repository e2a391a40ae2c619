"""A real server in this process, without models: its cameras play one grey picture with one face in it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from facestream.serving.server import Server
from facestream.stream.device import Bridge
from facestream.testing.sessions import FakeSession, some_faces, source_info

PERIOD = 0.1  # seconds from one picture to the next


@dataclass(frozen=True)
class Staged:
    """Where it is, and what it plays."""

    port: int
    session: FakeSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@asynccontextmanager
async def staged(*names: str, port: int = 0, **options: Any) -> AsyncIterator[Staged]:
    """Serve cameras of these names until the block ends; ``options`` are :class:`Server`'s."""
    async with (
        Bridge("cpu", cpu_workers=1, torch_threads=1) as bridge,
        FakeSession(bridge, *map(source_info, names)) as session,
        Server(session, port=port, **options) as server,
        asyncio.TaskGroup() as players,
    ):
        player = players.create_task(_play(session))
        yield Staged(server.port, session)
        player.cancel()


async def _play(session: FakeSession) -> None:
    for seq in itertools.count():
        for source in session.sources():
            session.publish(some_faces(seq, source=source.name))
        await asyncio.sleep(PERIOD)
