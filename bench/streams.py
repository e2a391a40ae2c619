"""Many cameras in one process: eight 720p sources at 10 fps through one session with the default models.

The demo video, twice as large, is encoded as a camera would (H.264, no B frames) and played by every source at its own
pace, each from another moment on. Printed: results a second of each source and how fair that is, how late a 5 ms timer
of the event loop fires, how old results are at a subscriber, where the CPU time goes, by kind of thread, and what
cameras cost that send nothing.

python bench/streams.py [SECONDS] [--sources N] [--fps N] [--detect-every auto|N]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from report import report

from facestream.jobs.demo import demo_video
from facestream.jobs.live import LiveSession, SourceOptions, live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.stream.device import Bridge, available_cores
from facestream.stream.guiding import guide_for
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.types import SourceState

WARM = 3.0
"""Seconds before measuring."""

LENGTH = 20
"""Seconds of each clip."""

MOST_UNFAIR = 0.1
MOST_LAG = 5.0  # ms, the 99th percentile
IDLE = 8


def camera_clip(folder: Path, number: int, sources: int, fps: int) -> Path:
    """The demo video at 1280×720, from the ``number``-th of ``sources`` moments on."""
    target = folder / f"camera{number}.mp4"
    with av.open(str(demo_video())) as source, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": str(2 * fps), "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        pictures = [picture.reformat(1280, 720) for picture in islice(source.decode(video=0), 0, 400, 4)]
        first = number * len(pictures) // sources
        for i, picture in enumerate(islice(cycle(pictures), first, first + LENGTH * fps)):
            picture.pts, picture.time_base = i, Fraction(1, fps)
            picture.pict_type = av.video.frame.PictureType.NONE
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return target


@asynccontextmanager
async def live(detect_every: str) -> AsyncIterator[tuple[LiveSession, Pipeline]]:
    async with Bridge("cpu") as bridge:
        stages = await load_stages(ModelOptions(device="cpu"), bridge)
        in_flight = live_in_flight(bridge.device)
        pipeline = Pipeline(stages, bridge, in_flight=in_flight, tracks=Tracks(), guide=guide_for(detect_every))
        async with LiveSession(pipeline, bridge) as session:
            yield session, pipeline


@dataclass(slots=True)
class Measured:
    """What was seen in some seconds."""

    seconds: float
    ages: list[float] = field(default_factory=list)  # ms
    lags: list[float] = field(default_factory=list)  # ms
    results: Counter[str] = field(default_factory=Counter)
    faces: int = 0
    cpu: Counter[str] = field(default_factory=Counter)  # kind of thread → seconds


def thread_seconds() -> Counter[str]:
    """CPU seconds so far, by kind of thread."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    spent: Counter[str] = Counter()
    for thread in psutil.Process().threads():
        spent[kind_of(names.get(thread.id, ""))] += thread.user_time + thread.system_time
    return spent


def kind_of(name: str) -> str:
    if name.startswith("facestream-cpu-pool"):
        return "pool"
    if name.startswith("facestream-cpu"):
        return "models"
    if name.startswith("facestream-camera"):
        return "decode"
    return "loop" if name == "MainThread" else "native"  # OpenVINO's own threads


async def measure(session: LiveSession, seconds: float) -> Measured:
    seen = Measured(seconds)

    async def watch() -> None:
        async with session.hub.subscribe() as results:
            async for faces in results:
                seen.ages.append((time.time() - faces.frame.captured_at) * 1000)
                seen.results[faces.frame.source] += 1
                seen.faces += len(faces)

    async def tick() -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.005)
            seen.lags.append((time.perf_counter() - start - 0.005) * 1000)

    before, started = thread_seconds(), time.perf_counter()
    tasks = [asyncio.create_task(watch()), asyncio.create_task(tick())]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    seen.seconds = time.perf_counter() - started
    seen.cpu = thread_seconds() - before
    return seen


def batch_ms(pipeline: Pipeline, before: tuple[int, float]) -> float:
    """Mean milliseconds of models' work for one batch since ``before``."""
    batches, seconds = batches_so_far(pipeline)
    return (seconds - before[1]) / max(1, batches - before[0]) * 1000


def batches_so_far(pipeline: Pipeline) -> tuple[int, float]:
    stages = pipeline.statistics()
    return stages[0].batches, sum(s.pre_seconds + s.infer_seconds + s.post_seconds for s in stages)


async def streams(clips: list[Path], seconds: float, fps: int, detect_every: str) -> tuple[dict[str, Any], ...]:
    """The row of figures, and that of where the CPU time went."""
    async with live(detect_every) as (session, pipeline):
        for number, clip in enumerate(clips):
            await session.add_source(f"camera{number}={clip}", options=SourceOptions(loop=True))
        await asyncio.sleep(WARM)
        before = batches_so_far(pipeline)
        seen = await measure(session, seconds)
        batch = batch_ms(pipeline, before)
        infos = session.sources()
        threads = psutil.Process().num_threads()
    rates = [seen.results[info.name] / seen.seconds for info in infos]
    unfair = (max(rates) - min(rates)) / np.mean(rates)
    p50, p95 = np.percentile(seen.ages, (50, 95))
    published = sum(seen.results.values())
    row = {
        "sources": len(clips),
        "live": sum(info.state is SourceState.LIVE for info in infos),
        "results/s each": f"{min(rates):.2f}-{max(rates):.2f}",
        "unfair %": round(100 * unfair, 1),
        "dropped %": round(100 * sum(i.dropped for i in infos) / sum(i.captured for i in infos), 1),
        "faces a frame": round(seen.faces / published, 2),
        "age p50 ms": round(p50, 1),
        "p95 ms": round(p95, 1),
        "bound ms": round(2 * batch + 1000 / fps, 1),
        "lag p99 ms": round(float(np.percentile(seen.lags, 99)), 2),
        "threads": threads,
    }
    total = sum(seen.cpu.values())
    spent = {"CPU %": round(100 * total / seen.seconds / available_cores(), 1)}
    spent |= {"ms a result": round(1000 * total / published, 2)}
    kinds = ("decode", "models", "native", "pool", "loop")
    spent |= {f"{kind} ms": round(1000 * seen.cpu[kind] / published, 2) for kind in kinds}
    return row, spent


async def idle(seconds: float) -> list[dict[str, Any]]:
    """What waiting sources cost: none, some that nobody pushes to, and some cameras that aren't there."""
    rows = []
    async with live("auto") as (session, _):
        kinds = {"none": "", "push": "push:p{}", "absent camera": "camera{}=rtsp://127.0.0.1:9/{}"}
        base = 0.0
        for kind, url in kinds.items():
            for number in range(IDLE if url else 0):
                await session.add_source(url.format(number, number))
            await asyncio.sleep(1)
            start, wall = time.process_time(), time.perf_counter()
            await asyncio.sleep(seconds)
            cost = (time.process_time() - start) / (time.perf_counter() - wall) * 1000
            rows.append(
                {
                    "idle sources": kind,
                    "CPU ms/s": round(cost, 2),
                    "for each added": round((cost - base) / IDLE, 3) if url else "",
                    "threads": psutil.Process().num_threads(),
                }
            )
            base = cost
    return rows


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float, nargs="?", default=20.0)
    parser.add_argument("--sources", type=int, default=8)
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--detect-every", default="auto")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        clips = [camera_clip(Path(name), i, options.sources, options.fps) for i in range(options.sources)]
        row, spent = asyncio.run(streams(clips, options.seconds, options.fps, options.detect_every))
    notes = f"720p, {options.fps} fps, detecting every {options.detect_every}, {available_cores()} cores"
    report("streams", [row], notes)
    report("streams-cpu", [spent], "CPU time, by kind of thread, in ms for each result")
    report("streams-idle", asyncio.run(idle(min(5.0, options.seconds))), "what sources cost that send nothing")
    good = row["live"] == row["sources"] and row["unfair %"] <= 100 * MOST_UNFAIR
    return int(not good or row["lag p99 ms"] > MOST_LAG or row["p95 ms"] > row["bound ms"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
