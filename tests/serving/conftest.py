from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from typing import Any, TypeAlias

import pytest
from websockets.asyncio.client import ClientConnection, connect

from facestream.serving.limits import Limits
from facestream.serving.server import Server
from facestream.stream.device import Bridge
from facestream.testing.sessions import FakeSession, source_info

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]

PATIENCE = 60.0
"""Seconds for what comes in a moment on a quick machine."""

LIMITS = Limits(
    subscribers=8,
    sources=5,
    batch=4,
    json_depth=8,
    picture_bytes=256 * 1024,
    picture_pixels=1_000_000,
    stall_timeout=1.0,
    close_timeout=0.5,
)
"""Small, so that tests reach them soon."""


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, LoopFactory]:
    """The loops that a test may ask for with ``pytest.mark.asyncio(loop_factories=…)``; uvloop where there is one."""
    marker = item.get_closest_marker("asyncio")
    loops: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if marker is not None and "loop_factories" in marker.kwargs and find_spec("uvloop") is not None:
        loops["uvloop"] = importlib.import_module("uvloop").new_event_loop
    return loops


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=1, torch_threads=1) as bridge:
        yield bridge


@pytest.fixture
async def session(bridge: Bridge) -> AsyncIterator[FakeSession]:
    """Two sources: door, an RTSP camera, and yard, a webcam."""
    async with FakeSession(bridge, source_info("door"), source_info("yard", "webcam")) as session:
        yield session


@pytest.fixture
async def server(session: FakeSession) -> AsyncIterator[Server]:
    async with Server(session, port=0, limits=LIMITS, lookup=somewhere) as server:
        yield server


async def somewhere(host: str) -> list[str]:
    """What every name stands for in these tests."""
    return ["192.0.2.7"]


def dial(server: Server, path: str, **options: Any) -> connect:
    """A websocket client to ``path``."""
    return connect(f"ws://127.0.0.1:{server.port}{path}", **options)


async def hear(websocket: ClientConnection) -> dict[str, Any]:
    """The next message, which must be text, decoded."""
    message = await asyncio.wait_for(websocket.recv(), PATIENCE)
    assert isinstance(message, str)
    return dict(json.loads(message))


async def ask(websocket: ClientConnection, method: str, /, request_id: Any = 1, **params: Any) -> dict[str, Any]:
    """A JSON-RPC request's response."""
    await websocket.send(json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}))
    return await hear(websocket)


async def refusal(websocket: ClientConnection) -> tuple[str, int]:
    """The ``error`` message's code and the close code that follow."""
    while (message := await hear(websocket))["type"] != "error":
        pass
    assert message["message"]
    await asyncio.wait_for(websocket.wait_closed(), PATIENCE)
    assert websocket.close_code is not None
    return message["code"], websocket.close_code


async def until(condition: Any) -> None:
    """Let the loop go on until ``condition()`` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - counts have no events
            await asyncio.sleep(0.005)
