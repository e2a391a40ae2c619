"""Subscribers that never read, and what they cost everybody else: nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace

import psutil
import pytest
from websockets.asyncio.client import ClientConnection

from facestream.serving.limits import Limits
from facestream.serving.server import Server
from facestream.testing.clients import StalledClient
from facestream.testing.sessions import FakeSession, some_faces
from tests.serving.conftest import LIMITS, PATIENCE, dial, hear, until

MANY = replace(LIMITS, subscribers=100)


@pytest.fixture
async def server(session):
    async with Server(session, port=0, limits=MANY) as server:
        yield server


async def joined(server: Server, count: int) -> None:
    await until(lambda: len(server.statistics()["subscribers"]) == count)


async def flood(session: FakeSession, server: Server, stalled: int, count: int = 1) -> int:
    """Publish until so many have been given up; how many results that took."""
    published = 0
    async with asyncio.timeout(PATIENCE):
        while server.peers.stalled < stalled:
            session.publish(some_faces(published, count=count))
            published += 1
            await asyncio.sleep(0.004)
    return published


async def count_faces(websocket: ClientConnection) -> int:
    """Frames accounted for until the connection closes: seen or told of as dropped."""
    total = 0
    async for text in websocket:
        if '"type":"faces"' in text[:30]:
            total += 1 + int(text.split('"dropped":')[1].split(",")[0])
    return total


async def test_fifty_healthy_subscribers_beside_five_that_never_read(session, server, caplog):
    caplog.set_level(logging.WARNING)
    async with AsyncExitStack() as healthy:
        sockets = [await healthy.enter_async_context(dial(server, "/ws/faces")) for _ in range(50)]
        readers = [asyncio.ensure_future(count_faces(websocket)) for websocket in sockets]
        with ExitStack() as stalled:
            for _ in range(5):
                stalled.enter_context(StalledClient(server.port))
            await joined(server, 55)
            published = await flood(session, server, 5)
            await joined(server, 50)
        await until(lambda: not any(row["waiting"] for row in server.statistics()["subscribers"]))
        await asyncio.gather(*(websocket.close() for websocket in sockets))
        assert [await reader for reader in readers] == [published] * 50
    assert sum("1013" in record.getMessage() for record in caplog.records) == 5


async def test_one_that_never_reads_is_closed_even_when_nothing_is_sent_to_it(server):
    with StalledClient(server.port):
        await joined(server, 1)
        await until(lambda: server.peers.stalled == 1)


async def test_the_close_frame_says_1013_to_one_that_reads_too_late(session, server):
    with StalledClient(server.port, receive_buffer=65536) as client:
        await joined(server, 1)
        session.publish(some_faces())
        await until(lambda: server.peers.stalled == 1)
        said = await asyncio.to_thread(client.read_late)
    assert b'"code":"stalled"' in said
    assert (1013).to_bytes(2, "big") + b"too slow" in said[-30:]


async def test_the_deadline_is_the_one_set(session, server):
    start = time.monotonic()
    with StalledClient(server.port):
        await joined(server, 1)
        await flood(session, server, 1)
    assert time.monotonic() - start > MANY.stall_timeout * 0.8


async def test_what_waits_for_a_slow_one_is_the_newest_of_each_source(session, server):
    async with dial(server, "/ws/faces", max_queue=1, close_timeout=0.1) as websocket:
        await hear(websocket)
        websocket.transport.pause_reading()
        seq = 0
        while not server.statistics()["subscribers"][0]["waiting"]:
            for source in ("door", "yard"):
                session.publish(some_faces(seq, source=source, count=40))
            seq += 1
        for source in ("door", "yard"):
            session.publish(some_faces(seq + 1, source=source))
        last: dict[str, int] = {}
        accounted = {"door": 0, "yard": 0}
        websocket.transport.resume_reading()
        while set(last.values()) != {seq + 1} or len(last) < 2:
            message = await hear(websocket)
            last[message["source"]] = message["seq"]
            accounted[message["source"]] += 1 + message["dropped"]
    assert accounted == {"door": seq + 1, "yard": seq + 1}


async def test_a_status_waits_for_a_slow_one_too(session, server):
    from facestream.stream.types import SourceState

    async with dial(server, "/ws/faces", max_queue=1, close_timeout=0.1) as websocket:
        await hear(websocket)
        websocket.transport.pause_reading()
        while not server.statistics()["subscribers"][0]["waiting"]:
            session.publish(some_faces(count=40))
        session.change("yard", SourceState.DEGRADED)
        session.change("yard", SourceState.STOPPED)
        websocket.transport.resume_reading()
        states = []
        while not states:
            message = await hear(websocket)
            if message["type"] == "status":
                states.append(message["state"])
    assert states == ["stopped"]


async def test_memory_is_back_where_it_was(session, server):
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    peak = 0
    with ExitStack() as stalled:
        for _ in range(5):
            stalled.enter_context(StalledClient(server.port, "/ws/faces?frames=jpeg"))
        await joined(server, 5)
        async with asyncio.timeout(PATIENCE):
            while server.peers.stalled < 5:
                session.publish(some_faces(count=100, size=(640, 480)))
                await asyncio.sleep(0.004)
                peak = max([peak, *(row["buffered"] for row in server.statistics()["subscribers"])])
    await until(lambda: not server.peers)
    gc.collect()
    assert peak < 1_000_000
    assert process.memory_info().rss - before < 60_000_000  # what was published is many times that


async def test_a_control_client_that_never_reads_its_answers_is_closed(server):
    request = b'{"jsonrpc":"2.0","id":1,"method":"statistics"}'
    frame = bytes([0x81, 0x80 | len(request)]) + bytes(4) + request
    with StalledClient(server.port, "/ws/control") as client:
        await until(lambda: server.statistics()["server"]["websockets"] == 1)
        await asyncio.to_thread(client.send, frame * 200)
        await until(lambda: server.peers.stalled == 1)
    await until(lambda: server.statistics()["server"]["websockets"] == 0)


async def test_one_that_is_told_to_go_and_does_not_read_goes_all_the_same(session, server):
    async with dial(server, "/ws/faces", max_queue=1, close_timeout=0.1) as websocket:
        await hear(websocket)
        websocket.transport.pause_reading()
        while not server.statistics()["subscribers"][0]["waiting"]:
            session.publish(some_faces(count=40))
        await websocket.send("a message that isn't allowed here")
        await until(lambda: not server.peers)


async def test_a_server_with_such_clients_closes_in_time(session):
    with ExitStack() as stalled:
        async with Server(session, port=0, limits=replace(Limits(), close_timeout=0.5)) as server:
            for path in ("/ws/faces", "/ws/faces?frames=jpeg", "/ws/control", "/ws/push?source=me") * 2:
                stalled.enter_context(StalledClient(server.port, path))
            await until(lambda: server.statistics()["server"]["websockets"] >= 7)
            while not all(row["waiting"] for row in server.statistics()["subscribers"] if not row["sources"]):
                session.publish(some_faces(count=40))
                await asyncio.sleep(0)
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            start = time.monotonic()
        assert time.monotonic() - start < PATIENCE / 2
        writer.close()
    assert not server.peers
