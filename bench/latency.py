"""A live source at 10, 30 and 60 fps: how old results are at a subscriber, what is dropped, what it costs.

Age is from the moment a frame reached facestream to the moment a subscriber of the hub has its result. The demo video
is played at the given rate. One row has sixteen 720p decoders at 10 fps beside it and prints the event loop's lag.

python bench/latency.py [SECONDS]
python bench/latency.py soak [SECONDS]    # only the overloaded source, for five minutes
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from report import report

from facestream.io.sources import open_source
from facestream.jobs.demo import demo_video
from facestream.jobs.live import LiveSession, SourceOptions, live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.types import Frame

WARM = 3.0
"""Seconds before measuring."""


def retimed(folder: Path, fps: int) -> Path:
    """The demo video at another rate: the same pictures, other time stamps."""
    target = folder / f"{fps}fps.mp4"
    with av.open(str(demo_video())) as source, av.open(str(target), "w") as out:
        pictures = source.streams.video[0]
        stream = out.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": str(fps)})
        stream.width, stream.height, stream.pix_fmt = pictures.width, pictures.height, "yuv420p"
        for i, picture in enumerate(source.decode(video=0)):
            picture.pts, picture.time_base = i, Fraction(1, fps)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return target


def large(folder: Path) -> Path:
    """Ten seconds of moving noise at 1280×720 and 10 fps."""
    target = folder / "720p.mp4"
    generator = np.random.default_rng(0)
    base = generator.integers(0, 255, (90, 160, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "veryfast", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for i in range(100):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(base, 8 * i, 1)), format="bgr24")
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return target


@asynccontextmanager
async def live(**models: Any) -> AsyncIterator[tuple[LiveSession, Pipeline]]:
    options = ModelOptions(device="cpu", **models)
    async with Bridge("cpu") as bridge:
        stages = await load_stages(options, bridge)
        pipeline = Pipeline(stages, bridge, in_flight=live_in_flight(bridge.device), tracks=Tracks())
        async with LiveSession(pipeline, bridge) as session:
            yield session, pipeline


async def single_frame(pipeline: Pipeline) -> float:
    """Milliseconds for one frame through an idle pipeline, the median of 30."""
    async with open_source(demo_video()) as source:
        frame: Frame = await anext(source)
    times = []
    for _ in range(33):
        start = time.perf_counter()
        await pipeline.process_one(frame)
        times.append((time.perf_counter() - start) * 1000)
    return float(np.median(times[3:]))


async def measure(session: LiveSession, seconds: float) -> list[float]:
    """Ages in ms of the results of every source, after a warm-up."""
    ages: list[float] = []
    begin = time.monotonic()
    async with session.hub.subscribe() as results:
        async for faces in results:
            now = time.monotonic()
            if now - begin > WARM:
                ages.append((time.time() - faces.frame.captured_at) * 1000)
            if now - begin > WARM + seconds:
                return ages
    return ages


def row(name: str, ages: list[float], single: float, session: LiveSession, grown: float) -> dict[str, Any]:
    infos = session.sources()
    captured, dropped = sum(i.captured for i in infos), sum(i.dropped for i in infos)
    p50, p95, p99 = np.percentile(ages, (50, 95, 99))
    return {
        "source": name,
        "results": len(ages),
        "p50 ms": round(p50, 1),
        "p95 ms": round(p95, 1),
        "p99 ms": round(p99, 1),
        "one frame ms": round(single, 1),
        "p95 / one frame": round(p95 / single, 2),
        "captured": captured,
        "dropped": dropped,
        "memory grown MB": round(grown, 1),
    }


async def memory_each_minute(process: psutil.Process) -> None:
    """Print the resident memory, for whoever watches a long run."""
    while True:
        await asyncio.sleep(60)
        print(f"resident: {process.memory_info().rss / 1e6:.1f} MB", flush=True)


async def at_rate(clip: Path, name: str, seconds: float, **models: Any) -> dict[str, Any]:
    process = psutil.Process()
    async with live(**models) as (session, pipeline):
        single = await single_frame(pipeline)
        await session.add_source(f"camera={clip}", options=SourceOptions(loop=True))
        await asyncio.sleep(WARM)
        before = process.memory_info().rss
        sampling = asyncio.create_task(memory_each_minute(process))
        ages = await measure(session, seconds)
        grown = (process.memory_info().rss - before) / 1e6
        result = row(name, ages, single, session, grown)
        sampling.cancel()
        await asyncio.wait([sampling])
        stopped = session
    for info in stopped.sources():
        assert info.captured == info.processed + info.dropped, info
    result["exact"] = "yes"
    return result


async def loop_lag(seconds: float, out: list[float]) -> None:
    """How late a timer of 5 ms fires, in ms."""
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        await asyncio.sleep(0.005)
        out.append((time.perf_counter() - start - 0.005) * 1000)


async def sixteen(clip: Path, seconds: float, models: bool) -> dict[str, Any]:
    """Event-loop lag while sixteen threads decode 720p at 10 fps, with and without models behind them."""
    lags: list[float] = []
    if models:
        async with live() as (session, _):
            for i in range(16):
                await session.add_source(f"camera{i}={clip}", options=SourceOptions(loop=True))
            await asyncio.sleep(WARM)
            await loop_lag(seconds, lags)
            frames = sum(info.captured for info in session.sources())
    else:
        frames = 0

        async def read(i: int) -> None:
            nonlocal frames
            async with open_source(clip, name=f"camera{i}", bridge=bridge, pace="native", loop=True) as source:
                async for _ in source:
                    frames += 1

        async with Bridge("cpu") as bridge:
            readers = [asyncio.create_task(read(i)) for i in range(16)]
            await asyncio.sleep(WARM)
            await loop_lag(seconds, lags)
            for reader in readers:
                reader.cancel()
            await asyncio.wait(readers)
    p50, p99 = np.percentile(lags, (50, 99))
    return {
        "16 × 720p at 10 fps": "decode + models" if models else "decode",
        "frames/s": round(frames / (seconds + WARM), 1),
        "lag p50 ms": round(p50, 2),
        "lag p99 ms": round(p99, 2),
        "lag max ms": round(max(lags), 1),
    }


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [asyncio.run(at_rate(retimed(folder, fps), f"{fps} fps", seconds)) for fps in (10, 30, 60)]
        overloaded = at_rate(
            retimed(folder, 60), "60 fps, slow model", seconds, detector="centerface", detect_size=1024
        )
        rows.append(asyncio.run(overloaded))
        report("latency", rows, f"capture to subscriber, {seconds:g} s each")
        clip = large(folder)
        lags = [asyncio.run(sixteen(clip, seconds, models)) for models in (False, True)]
        report("lag", lags, "how late a 5 ms timer of the event loop fires")


def soak(seconds: float) -> None:
    """A source several times faster than the model, for long: is memory flat, is every frame accounted for?"""
    with tempfile.TemporaryDirectory() as name:
        clip = retimed(Path(name), 60)
        overloaded = at_rate(clip, "60 fps, slow model", seconds, detector="centerface", detect_size=1024)
        report("latency-soak", [asyncio.run(overloaded)], f"capture to subscriber, {seconds:g} s")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["soak"]:
        soak(float(arguments[1]) if arguments[1:] else 300.0)
    else:
        main(float(arguments[0]) if arguments else 20.0)
