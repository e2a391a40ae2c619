"""What a message costs the server, and how old it is when it arrives: our server against bare ``websockets.broadcast``.

The server has a process to itself, so that its CPU is measured alone; its clients are in another. All take turns in
the same process, at 25 messages a second of the same bytes. Ours gets arrays, as the models give them, and makes the
message; a bare broadcast gets it ready made. To tell the two apart, a third turn makes the message before a bare
broadcast: with one subscriber that is most of the work, with many it is next to nothing. The last row puts five
subscribers that never read beside fifty healthy ones.

python bench/fanout.py [SECONDS] [--rounds N] [--loop asyncio|uvloop]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import resource
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from report import report
from websockets.asyncio.server import ServerConnection, broadcast, serve

from facestream.serving.limits import Limits
from facestream.serving.server import Server
from facestream.stream.device import Bridge
from facestream.stream.records import encode, frame_record
from facestream.stream.types import FrameFaces
from facestream.testing.sessions import FakeSession, some_faces, source_info

RATE = 25
FACES = 2
HEALTHY, STALLED = 50, 5


# --- the server's process: one command a line on stdin, one JSON answer a line on stdout


async def serve_commands() -> None:
    """Both servers in one process; each command drives one of them for a while."""
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(Bridge("cpu", torch_threads=1))
        session = await stack.enter_async_context(FakeSession(bridge, source_info()))
        server = await stack.enter_async_context(Server(session, port=0, limits=Limits(subscribers=1000)))
        bare = await stack.enter_async_context(serve(_idle, "127.0.0.1", 0, compression=None))
        commands = {
            "ours": lambda seconds: _drive(seconds, session.publish, _results),
            "ready": lambda seconds: _drive(seconds, lambda text: broadcast(bare.connections, text), _texts),
            "made": lambda seconds: _drive(seconds, lambda faces: broadcast(bare.connections, _text(faces)), _results),
        }
        bare_port = bare.sockets[0].getsockname()[1]
        _say({"ours": server.port, "ready": bare_port, "made": bare_port})
        async for line in _lines(sys.stdin):
            command, _, argument = line.partition(" ")
            if command in commands:
                _say(await commands[command](float(argument)))
            elif command == "state":
                _say({"rss": _rss(), **server.statistics()["server"]})
            elif command == "close":
                start = time.perf_counter()
                await server.__aexit__(None, None, None)
                _say({"seconds": time.perf_counter() - start})


async def _idle(connection: ServerConnection) -> None:
    await connection.wait_closed()


def _results(count: int) -> list[FrameFaces]:
    one = some_faces(count=FACES, size=(1280, 720))
    return [replace(one, frame=replace(one.frame, seq=seq)) for seq in range(count)]


def _texts(count: int) -> list[str]:
    return [_text(faces) for faces in _results(count)]


def _text(faces: FrameFaces) -> str:
    record = frame_record(faces)
    record.latency_ms = round((time.time() - faces.frame.captured_at) * 1000, 1)
    return encode(record).decode()


async def _drive(seconds: float, send: Callable[[Any], None], make: Callable[[int], list[Any]]) -> dict[str, Any]:
    """Send at :data:`RATE`; the CPU it took, and when each message went out (Unix seconds)."""
    items = make(int(seconds * RATE))
    sent_at = []
    start, cpu = time.perf_counter(), _cpu()
    for i, item in enumerate(items):
        await asyncio.sleep(max(0.0, start + i / RATE - time.perf_counter()))
        sent_at.append(time.time())
        send(item)
    await asyncio.sleep(0.2)
    return {"cpu": _cpu() - cpu, "sent_at": sent_at}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _rss() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _lines(stream: Any) -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stream)
    while line := await reader.readline():
        yield line.decode().strip()


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


# --- the clients' process


class Client(asyncio.Protocol):
    """As little of a websocket client as will do, so that many fit beside the server: notes when each message came."""

    def __init__(self) -> None:
        self.arrived: list[tuple[int, float]] = []
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(_handshake())

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._data += data
        if not self.ready.done():
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head, head
            self._data = rest
            self.ready.set_result(None)
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode == 0x9:
                self.transport.write(b"\x8a\x80\0\0\0\0")
            elif payload.startswith(b'{"type":"faces"'):
                self.arrived.append((_seq(payload), now))

    def _frame(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 4:
            return (self._take(2, 0)[:1][0] & 15, b"") if len(data) >= 2 and data[1] == 0 else None
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        if len(data) < start + length:
            return None
        return data[0] & 15, self._take(start, length)[start:]

    def _take(self, start: int, length: int) -> bytes:
        taken, self._data = self._data[: start + length], self._data[start + length :]
        return taken


def _handshake() -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /ws/faces HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


def _seq(payload: bytes) -> int:
    start = payload.index(b'"seq":') + 6
    return int(payload[start : payload.index(b",", start)])


@asynccontextmanager
async def clients(port: int, count: int) -> AsyncIterator[list[Client]]:
    loop = asyncio.get_running_loop()
    connected = [(await loop.create_connection(Client, "127.0.0.1", port))[1] for _ in range(count)]
    await asyncio.gather(*(client.ready for client in connected))
    try:
        yield connected
    finally:
        for client in connected:
            client.transport.abort()
        await asyncio.gather(*(client.closed.wait() for client in connected))


def stall(port: int) -> socket.socket:
    """A subscriber that never reads."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(_handshake())
    return sock


class ServerProcess:
    """The other process, and what it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.ports: dict[str, int] = {}

    async def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def server_process(loop: str) -> AsyncIterator[ServerProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", "--loop", loop,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    server = ServerProcess(process)
    try:
        server.ports = await server.answer()
        yield server
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


# --- measuring


async def turn(server: ServerProcess, kind: str, count: int, seconds: float) -> tuple[float, list[float], int]:
    """CPU microseconds a delivered message, ages in ms of all messages, messages missing."""
    async with clients(server.ports[kind], count) as connected:
        driven = await server.ask(f"{kind} {seconds}")
        sent_at = driven["sent_at"]
        ages = [(at - sent_at[seq]) * 1000 for client in connected for seq, at in client.arrived]
    return driven["cpu"] * 1e6 / max(1, len(ages)), ages, count * len(sent_at) - len(ages)


async def compare(server: ServerProcess, count: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Ours and the bare ones in turns: the medians."""
    kinds = ["ours", "ready", "made"]
    costs: dict[str, list[float]] = {kind: [] for kind in kinds}
    tails: dict[str, list[float]] = {kind: [] for kind in kinds}
    missing = 0
    for i in range(rounds):
        for kind in kinds[i % 3 :] + kinds[: i % 3]:
            cost, ages, missed = await turn(server, kind, count, seconds)
            costs[kind].append(cost)
            tails[kind].append(float(np.percentile(ages, 99)))
            missing += missed if kind == "ours" else 0
    median = {kind: statistics.median(costs[kind]) for kind in kinds}
    return {
        "subscribers": count,
        "CPU µs a message": round(median["ours"], 1),
        "broadcast": round(median["ready"], 1),
        "ratio": round(median["ours"] / median["ready"], 2),
        "make + broadcast": round(median["made"], 1),
        "ratio to it": round(median["ours"] / median["made"], 2),
        "p99 ms": round(statistics.median(tails["ours"]), 2),
        "broadcast p99 ms": round(statistics.median(tails["ready"]), 2),
        "missing": missing,
    }


async def beside_stalled(server: ServerProcess, seconds: float, rounds: int) -> dict[str, Any]:
    """p99 of the healthy without and with those that never read, medians of turns; and what becomes of these."""
    port = server.ports["ours"]
    tails: dict[int, list[float]] = {0: [], STALLED: []}
    before = (await server.ask("state"))["rss"]
    for i in range(rounds):
        for stalled in (0, STALLED) if i % 2 == 0 else (STALLED, 0):
            sockets = [stall(port) for _ in range(stalled)]
            _, ages, _ = await turn(server, "ours", HEALTHY, seconds)
            tails[stalled].append(float(np.percentile(ages, 99)))
            for sock in sockets:
                sock.close()
    return {
        "healthy": HEALTHY,
        "stalled": STALLED,
        "p99 ms alone": round(alone := statistics.median(tails[0]), 2),
        "p99 ms beside": round(beside := statistics.median(tails[STALLED]), 2),
        "change": f"{(beside / alone - 1) * 100:+.0f} %",
        **await fate(server, port, before),
    }


async def fate(server: ServerProcess, port: int, before: int) -> dict[str, Any]:
    """How long those who never read stay, what is left of them, and how long closing takes with them."""
    closed_before = (await server.ask("state"))["stalled"]
    start = time.perf_counter()
    sockets = [stall(port) for _ in range(STALLED)]
    await server.ask("ours 9")
    while (state := await server.ask("state"))["stalled"] < closed_before + STALLED:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    gone_after = time.perf_counter() - start
    others = [stall(port) for _ in range(STALLED)]
    await server.ask("ours 2")
    closing = await server.ask("close")
    for sock in sockets + others:
        sock.close()
    return {
        "closed with 1013 after s": round(gone_after, 2),
        "memory grown MB": round((state["rss"] - before) / 1e6, 1),
        "server closed in s": round(closing["seconds"], 2),
    }


async def measure(seconds: float, rounds: int, loop: str) -> None:
    async with server_process(loop) as server:
        for kind in server.ports:  # warm-up
            await turn(server, kind, 10, 1)
        rows = [await compare(server, count, seconds, rounds) for count in (1, 50, 200)]
        size = len(_texts(1)[0])
        report("fanout", rows, f"{RATE} messages/s of {size} bytes, {loop}, medians of {rounds} alternating runs")
        stalled = await beside_stalled(server, seconds, 3 * rounds)
        report("fanout-stalled", [stalled], f"{RATE} messages/s of {size} bytes, {loop}")


def run(job: Coroutine[Any, Any, None], loop: str) -> None:
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if loop == "uvloop":
        from uvloop import new_event_loop

        factory = new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(job)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seconds", nargs="?", type=float, default=3.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop" if _has_uvloop() else "asyncio")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        run(serve_commands(), options.loop)
    else:
        run(measure(options.seconds, options.rounds, options.loop), "asyncio")


def _has_uvloop() -> bool:
    from importlib.util import find_spec

    return find_spec("uvloop") is not None


if __name__ == "__main__":
    main()
