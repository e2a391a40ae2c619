"""200 subscribers of four cameras while the models run, and what 1,000 idle subscribers cost.

The server has a process to itself: four clips of the demo video at 15 frames a second through the default models, as
``facestream serve`` runs them. Its subscribers are in another process; most only count bytes, so that they cost little,
and ten look at each message.

Age at the server's side: from the moment at which a result is published until a subscriber's connection holds nothing
unsent, the message is with the kernel then; looked at when the event loop comes round, and every 2 ms after that.
Age on arrival: the same moment until one of the ten has the message, which includes their own wait for a core.

python bench/load.py [SECONDS] [--subscribers N] [--idle N] [--sources N] [--fps N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from fanout import Client, run
from report import report

from facestream.jobs.demo import demo_video
from facestream.jobs.live import LiveSession, SourceOptions, live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.serving.limits import Limits
from facestream.serving.server import Server
from facestream.stream.device import Bridge, available_cores
from facestream.stream.guiding import guide_for
from facestream.stream.hub import Published
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.testing.clients import handshake
from facestream.testing.sessions import FakeSession, source_info

MOST_MS = 100.0
MOST_IDLE_MB = 100.0
WATCHERS = 10
WARM = 3.0
LIMITS = Limits(
    connections=4096,
    connections_per_address=4096,
    subscribers=2048,
    requests_per_second=1e6,
    requests_burst=1_000_000,
)
"""Many subscribers from one address, which the defaults refuse."""


# --- the server's process: one command a line on stdin, one JSON answer a line on stdout


class Stopwatch:
    """A listener of the hub: how long it takes until what was published is with the kernel, for each subscriber."""

    def __init__(self, server: Server, clock: Any) -> None:
        self._server = server
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.ages: list[float] = []  # ms
        self.published: dict[str, float] = {}  # "source/seq" → Unix seconds

    def offer(self, result: Published) -> None:
        frame = result.faces.frame
        self.published[f"{frame.source}/{frame.epoch}/{frame.seq}"] = time.time() - (self._clock() - result.at)
        self._loop.call_soon(self._look, result.at, list(self._server.peers))

    def forget(self, source: str) -> None:
        pass

    def _look(self, published_at: float, peers: list[Any]) -> None:
        age = (self._clock() - published_at) * 1000
        waiting = [peer for peer in peers if peer.buffered]
        self.ages += [age] * (len(peers) - len(waiting))
        if waiting:
            self._loop.call_later(0.002, self._look, published_at, waiting)


async def serve_live(clips: list[str]) -> None:
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(Bridge("cpu"))
        stages = await load_stages(ModelOptions(device="cpu"), bridge)
        pipeline = Pipeline(
            stages, bridge, in_flight=live_in_flight(bridge.device), tracks=Tracks(), guide=guide_for("auto")
        )
        session = await stack.enter_async_context(LiveSession(pipeline, bridge))
        server = await stack.enter_async_context(Server(session, port=0, limits=LIMITS))
        for number, clip in enumerate(clips):
            await session.add_source(f"camera{number}={clip}", options=SourceOptions(loop=True))
        await asyncio.sleep(WARM)
        _say({"port": server.port})
        async for line in _lines():
            _say(await _measured(session, server, float(line)))


async def _measured(session: LiveSession, server: Server, seconds: float) -> dict[str, Any]:
    watch = Stopwatch(server, session.hub.clock)
    session.hub.attach(watch)
    before, cpu, start = _counts(session, server), time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - start
    cpu = time.process_time() - cpu
    session.hub.detach(watch)
    await asyncio.sleep(0.5)
    counted = {name: (value - before[name]) / took for name, value in _counts(session, server).items()}
    ages = watch.ages or [float("nan")]
    return {
        **counted,
        "p50": float(np.percentile(ages, 50)),
        "p99": float(np.percentile(ages, 99)),
        "longest": max(ages),
        "cpu": cpu / took,
        "published_at": watch.published,
    }


def _counts(session: LiveSession, server: Server) -> dict[str, float]:
    statistics = server.statistics()["server"]
    infos = session.sources()
    return {
        "sent": statistics["sent"],
        "skipped": statistics["skipped"],
        "results": sum(info.processed for info in infos),
        "dropped": sum(info.dropped for info in infos),
    }


async def serve_idle() -> None:
    async with (
        Bridge("cpu", torch_threads=1) as bridge,
        FakeSession(bridge, source_info()) as session,
        Server(session, port=0, limits=LIMITS) as server,
    ):
        _say({"port": server.port})
        async for _ in _lines():
            gc.collect()
            _say({"rss": _rss(), "subscribers": server.statistics()["server"]["subscribers"]})


def _rss() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- the subscribers' process


class Light(asyncio.Protocol):
    """A subscriber that counts bytes, and shows signs of life."""

    def __init__(self) -> None:
        self.received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(handshake("/ws/faces"))
        self._beat()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)

    def _beat(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"\x8a\x80\0\0\0\0")
            asyncio.get_running_loop().call_later(2.0, self._beat)


class Watcher(Client):
    """One that looks at each message, and notes when it came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[str, float]] = []

    def _frame(self) -> tuple[int, bytes] | None:
        frame = super()._frame()
        if frame is not None and frame[1].startswith(b'{"type":"faces"'):
            told = json.loads(frame[1])
            self.came.append((f"{told['source']}/{told['epoch']}/{told['seq']}", time.time()))
            return frame[0], b""
        return frame


async def subscribe(port: int, count: int) -> None:
    """Come, stay until stdin ends, and tell what was received."""
    loop = asyncio.get_running_loop()
    watchers = [(await loop.create_connection(Watcher, "127.0.0.1", port))[1] for _ in range(min(WATCHERS, count))]
    lights = [(await loop.create_connection(Light, "127.0.0.1", port))[1] for _ in range(count - len(watchers))]
    await asyncio.gather(*(watcher.ready for watcher in watchers))
    _say({"subscribers": count})
    async for line in _lines():
        if line == "begin":
            cpu, start, received = time.process_time(), time.perf_counter(), sum(light.received for light in lights)
            _say({})
        elif line == "end":
            took = time.perf_counter() - start
            _say(
                {
                    "cpu": (time.process_time() - cpu) / took,
                    "bytes": (sum(light.received for light in lights) - received) / took / max(1, len(lights)),
                    "came": [each for watcher in watchers for each in watcher.came],
                }
            )


# --- both are told what to do by this one


class Helper:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def helper(*arguments: str) -> AsyncIterator[Helper]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**28,
    )  # fmt: skip
    try:
        yield Helper(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


# --- measuring


def camera_clip(folder: Path, number: int, sources: int, fps: int) -> Path:
    """The demo video as a camera at ``fps`` would send it, from the ``number``-th of ``sources`` moments on."""
    target = folder / f"camera{number}.mp4"
    with av.open(str(demo_video())) as source, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": str(2 * fps), "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        pictures = list(islice(source.decode(video=0), 0, 400, 2))
        first = number * len(pictures) // sources
        for i, picture in enumerate(islice(cycle(pictures), first, first + 20 * fps)):
            picture.pts, picture.time_base = i, Fraction(1, fps)
            picture.pict_type = av.video.frame.PictureType.NONE
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return target


async def live(clips: list[Path], subscribers: int, seconds: float) -> dict[str, Any]:
    """The row of so many subscribers."""
    async with helper("--serve-live", *map(str, clips)) as server:
        port = (await server.answer())["port"]
        alone = await server.ask("5")
        async with helper("--subscribe", str(port), str(subscribers)) as clients:
            await clients.answer()
            await clients.ask("begin")
            seen = await server.ask(str(seconds))
            heard = await clients.ask("end")
    published = seen["published_at"]
    arrivals = [(at - published[key]) * 1000 for key, at in heard["came"] if key in published] or [float("nan")]
    return {
        "subscribers": subscribers,
        "cameras": len(clips),
        "results/s": round(seen["results"], 1),
        "dropped/s": round(seen["dropped"], 1),
        "messages/s": round(seen["sent"]),
        "not sent/s": round(seen["skipped"], 1),
        "p50 ms": round(seen["p50"], 2),
        "p99 ms": round(seen["p99"], 2),
        "longest ms": round(seen["longest"], 1),
        "arrival p99 ms": round(float(np.percentile(arrivals, 99)), 1),
        "server CPU": f"{seen['cpu']:.0%}",
        "without any": f"{alone['cpu']:.0%}",
        "subscribers' CPU": f"{heard['cpu']:.0%}",
        "kB/s each": round(heard["bytes"] / 1000, 1),
    }


async def idle(count: int) -> dict[str, Any]:
    """What so many subscribers hold that are sent nothing."""
    async with helper("--serve-idle") as server:
        port = (await server.answer())["port"]
        async with helper("--subscribe", str(port), "20"):
            await asyncio.sleep(1)  # what the first connections bring along isn't the thousand's
        await asyncio.sleep(1)
        before = await server.ask("state")
        async with helper("--subscribe", str(port), str(count)) as clients:
            await clients.answer()
            while (state := await server.ask("state"))["subscribers"] < count:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await asyncio.sleep(12)  # long enough for each to be pinged
            state = await server.ask("state")
        await asyncio.sleep(2)
        after = await server.ask("state")
    held = (state["rss"] - before["rss"]) / 1e6
    return {
        "idle subscribers": state["subscribers"],
        "MB before": round(before["rss"] / 1e6, 1),
        "MB with them": round(state["rss"] / 1e6, 1),
        "MB for them": round(held, 1),
        "kB each": round(1000 * held / max(1, count), 1),
        "MB after": round(after["rss"] / 1e6, 1),
        "left": after["subscribers"],
    }


async def measure(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as name:
        clips = [camera_clip(Path(name), i, options.sources, options.fps) for i in range(options.sources)]
        row = await live(clips, options.subscribers, options.seconds)
    report("load", [row], f"640x360 at {options.fps} fps, default models, {available_cores()} cores")
    waiting = await idle(options.idle)
    report("load-idle", [waiting], "resident memory of the server's process")
    return int(
        not (row["p99 ms"] <= MOST_MS and waiting["MB for them"] < MOST_IDLE_MB)
        or waiting["idle subscribers"] != options.idle
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seconds", nargs="?", type=float, default=20.0)
    parser.add_argument("--subscribers", type=int, default=200)
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--sources", type=int, default=4)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--serve-live", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--serve-idle", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--subscribe", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.serve_live:
        run(serve_live(options.serve_live), "uvloop")
    elif options.serve_idle:
        run(serve_idle(), "uvloop")
    elif options.subscribe:
        run(subscribe(*options.subscribe), "asyncio")
    else:
        return asyncio.run(measure(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
