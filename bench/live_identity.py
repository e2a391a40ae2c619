"""What recognising people adds to the live path: CPU time of each frame with ``sface`` against without; demo video.

Both chains (yunet + mesh, with and without the identity model) take the whole clip in turn, one batch in flight as for
a live source on a CPU, guided as ``serve`` is, in one process; the ratio is the median over the pairs of neighbouring
runs. Embeddings are made of the pictures that the chooser wants; a third chain, which embeds every face, shows what
that saves.

python bench/live_identity.py [PAIRS]
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
from report import report

from facestream.jobs.demo import demo_video
from facestream.jobs.extract import run_inputs
from facestream.jobs.live import live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.stream.choosing import Chooser
from facestream.stream.device import Bridge, available_cores
from facestream.stream.guiding import guide_for
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.recognition import Recogniser
from facestream.stream.stage import Stage
from facestream.stream.types import FrameFaces

WITHOUT = ModelOptions(device="cpu")
WITH = replace(WITHOUT, identity="sface")


@dataclass(slots=True)
class Run:
    """One passage of the clip: frames, embeddings made, and CPU milliseconds a frame of the whole process."""

    frames: int = 0
    embeddings: int = 0
    milliseconds: float = 0.0


async def passed(clip: Path, stages: list[Stage], bridge: Bridge, *, choosing: bool) -> Run:
    run = Run()

    async def count(faces: FrameFaces) -> None:
        run.frames += 1
        run.embeddings += sum(int(np.isfinite(rows).all(axis=1).sum()) for rows in faces.identities.values())

    recogniser, chooser = (Recogniser(), Chooser()) if choosing else (None, None)
    in_flight = live_in_flight(bridge.device)
    pipeline = Pipeline(
        stages,
        bridge,
        in_flight=in_flight,
        tracks=Tracks(),
        recogniser=recogniser,
        chooser=chooser,
        guide=guide_for("auto"),
    )
    start = time.process_time()
    await run_inputs((clip,), pipeline, bridge, count)
    run.milliseconds = (time.process_time() - start) / run.frames * 1000
    return run


async def measured(clip: Path, pairs: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {"without": [], "best pictures": [], "every face": []}
    async with Bridge("cpu") as bridge:
        plain, full = await load_stages(WITHOUT, bridge), await load_stages(WITH, bridge)
        await passed(clip, full, bridge, choosing=False)  # warm
        for _ in range(pairs):
            runs["without"].append(await passed(clip, plain, bridge, choosing=False))
            runs["best pictures"].append(await passed(clip, full, bridge, choosing=True))
        runs["every face"].append(await passed(clip, full, bridge, choosing=False))
    return runs


def main(pairs: int) -> None:
    runs = asyncio.run(measured(demo_video(), pairs))
    rows = []
    for name, mine in runs.items():
        ratios = [run.milliseconds / plain.milliseconds for run, plain in zip(mine, runs["without"])]
        rows.append(
            {
                "embeddings of": name,
                "frames": mine[0].frames,
                "embeddings": mine[0].embeddings,
                "CPU ms/frame": round(median(run.milliseconds for run in mine), 2),
                "ratio": round(median(ratios), 3),
                "ratios": " ".join(f"{ratio:.2f}" for ratio in sorted(ratios)),
            }
        )
    report("live_identity", rows, f"yunet + mesh + sface, {available_cores()} cores, {pairs} alternating pairs")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
