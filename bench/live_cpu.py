"""Guided tracking against a detector in every frame: CPU time of the live path, and what it finds.

The demo video is played at its own pace through a live session without a server, in turn with every frame detected and
guided (``--detect-every auto``), in one process; the ratio is the median over pairs of neighbouring runs. Then frame by
frame, each as soon as the one before is out, so that none is dropped:

* the demo video: how far the landmarks of the two ways are apart, in percent of the eye distance;
* ``multi_face.avi``: ids, judged as in ``tracking_accuracy.py``;
* cuts: WIDER FACE photos shown one after another, for how many frames a face stays lost that the detector finds.

The last two are skipped without their data (see ``data.py``). All of it runs on the event loop that the command uses.

python bench/live_cpu.py [PAIRS] [--detect-every auto|N]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from data import data_folder, read_bgr, wider
from report import report
from tracking_accuracy import Followed, by_place, judged, video

from facestream.cli_options import run_async
from facestream.jobs.demo import demo_video
from facestream.jobs.live import LiveSession, live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.plugins.nms import box_iou
from facestream.stream.device import Bridge, available_cores
from facestream.stream.guiding import guide_for
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import Stage
from facestream.stream.types import Detections, Frame, FrameFaces, Image, SourceState

MOST_RATIO = 0.45
MOST_MILLISECONDS = 15.0
MOST_APART = 2.0  # % of the eye distance
MOST_LOST = 5  # frames
SHOWN = 10  # frames of each photo
CANVAS = (960, 720)
SAME_FACE = 0.4  # IoU


def chain(stages: list[Stage], bridge: Bridge, detect_every: str) -> Pipeline:
    in_flight = live_in_flight(bridge.device)
    return Pipeline(stages, bridge, in_flight=in_flight, tracks=Tracks(), guide=guide_for(detect_every))


def verb_seconds(stages: list[Stage]) -> dict[str, float]:
    """How long each verb of each stage has taken so far, waiting for other threads included."""
    seconds = {}
    for stage in stages:
        one = stage.statistics()
        for verb in ("pre", "infer", "post"):
            seconds[f"{stage.name} {verb}"] = getattr(one, f"{verb}_seconds")
    return seconds


def detector_frames(stages: list[Stage]) -> int:
    """Batches of the detector so far: one frame each for a single live source."""
    return stages[0].statistics().batches if stages else 0


@dataclass(slots=True)
class Run:
    """One passage of the clip at its own pace. CPU milliseconds are those of the whole process."""

    frames: int
    dropped: int
    detected: int
    tracks: set[int]
    milliseconds: float


async def native(clip: Path, stages: list[Stage], bridge: Bridge, detect_every: str) -> Run:
    ended = asyncio.Event()
    tracks: set[int] = set()
    async with LiveSession(chain(stages, bridge, detect_every), bridge) as session:
        session.on_change(lambda info: ended.set() if info.state is SourceState.STOPPED else None)
        async with asyncio.TaskGroup() as tasks:

            async def watch() -> None:
                async with session.hub.subscribe() as results:
                    async for faces in results:
                        assert faces.tracks is not None
                        tracks.update(faces.tracks.tolist())

            watching = tasks.create_task(watch())
            before, start = detector_frames(stages), time.process_time()
            await session.add_source(f"clip={clip}")
            await ended.wait()
            seconds = time.process_time() - start
            (info,) = session.sources()
            watching.cancel()
    detected = detector_frames(stages) - before
    return Run(info.processed, info.dropped, detected, tracks - {-1}, seconds / info.processed * 1000)


async def cpu(pairs: int, detect_every: str) -> bool:
    clip = demo_video()
    ways = ("1", detect_every)
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    async with Bridge("cpu") as bridge:
        stages = await load_stages(ModelOptions(device="cpu"), bridge)
        parts: dict[str, dict[str, Any]] = {}
        alone = (await native(clip, [], bridge, "1")).milliseconds
        for _ in range(pairs):
            for way in ways:
                before = verb_seconds(stages)
                run = await native(clip, stages, bridge, way)
                runs[way].append(run)
                spent = {name: now - before[name] for name, now in verb_seconds(stages).items()}
                parts[way] = {"detect every": way, "decode, convert, loop": round(alone, 2)}
                parts[way] |= {name: round(seconds / run.frames * 1000, 2) for name, seconds in spent.items()}
    ratios = [b.milliseconds / a.milliseconds for a, b in zip(*runs.values())]
    rows = []
    for way, mine in runs.items():
        rows.append(
            {
                "detect every": way,
                "frames": mine[0].frames,
                "dropped": sum(run.dropped for run in mine),
                "detected": mine[0].detected,
                "tracks": len(mine[0].tracks),
                "CPU ms/frame": round(median(run.milliseconds for run in mine), 2),
                "ratio": round(median(ratios), 3) if way == detect_every else 1.0,
                "ratios": " ".join(f"{ratio:.2f}" for ratio in sorted(ratios)) if way == detect_every else "",
            }
        )
    report("live-cpu", rows, f"demo video at its own pace, {available_cores()} cores, {pairs} alternating pairs")
    report("live-cpu-parts", list(parts.values()), "ms/frame: CPU of sources alone, then how long each verb took")
    good = median(ratios) <= MOST_RATIO and rows[-1]["CPU ms/frame"] <= MOST_MILLISECONDS
    return good and all(len(run.tracks) == 1 for mine in runs.values() for run in mine)


@asynccontextmanager
async def stepping(stages: list[Stage], bridge: Bridge, detect_every: str) -> AsyncIterator[Callable[..., Any]]:
    """A live source whose next frame comes when the one before is out."""
    pipeline = chain(stages, bridge, detect_every)
    pipeline.gate.add("clip", live=True)
    async with pipeline.running() as results:

        async def step(frame: Frame) -> FrameFaces:
            await pipeline.gate.put(frame)
            return await results.receive()

        yield step


def frames_of(images: Iterable[Image], rate: float) -> Iterator[Frame]:
    for seq, image in enumerate(images):
        yield Frame("clip", 0, seq, seq / rate, seq / rate, image)


async def both(images: Callable[[], Iterable[Image]], rate: float, detect_every: str) -> list[list[FrameFaces]]:
    """The results of all frames, each detected and then guided, without their pictures."""
    ways = []
    async with Bridge("cpu") as bridge:
        stages = await load_stages(ModelOptions(device="cpu"), bridge)
        for way in ("1", detect_every):
            results = []
            async with stepping(stages, bridge, way) as step:
                for frame in frames_of(images(), rate):
                    faces = await step(frame)
                    faces.frame = replace(faces.frame, image=np.zeros((1, 1, 3), np.uint8))
                    results.append(faces)
            ways.append(results)
    return ways


def guided_share(results: list[FrameFaces]) -> float:
    return round(100 * sum(faces.frame.guided for faces in results) / len(results), 1)


async def landmarks(detect_every: str) -> bool:
    detected, guided = await both(lambda: video(demo_video()), 25, detect_every)
    apart = []
    for one, other in zip(detected, guided):
        for row, column in pairs_of(one, other):
            assert one.landmarks is not None
            assert other.landmarks is not None
            points = one.landmarks[row]
            eyes = np.linalg.norm(points[45] - points[36])
            apart.append(100 * float(np.linalg.norm(points - other.landmarks[column], axis=1).mean() / eyes))
    faces = sum(map(len, detected)), sum(map(len, guided))
    row = {
        "frames": len(guided),
        "guided %": guided_share(guided),
        "faces": f"{faces[0]} / {faces[1]}",
        "mean %": round(float(np.mean(apart)), 3),
        "p95 %": round(float(np.percentile(apart, 95)), 3),
        "most %": round(max(apart), 3),
        "least IoU": round(min(ious(detected, guided)), 3),
        "tracks": f"{ids(detected)} / {ids(guided)}",
    }
    report("live-cpu-landmarks", [row], "detected in every frame / guided, apart in % of the eye distance")
    return bool(np.mean(apart) <= MOST_APART) and ids(guided) == ids(detected)


def pairs_of(one: FrameFaces, other: FrameFaces) -> list[tuple[int, int]]:
    if not len(one) or not len(other):
        return []
    overlap = box_iou(one.boxes, other.boxes)
    return [(row, int(overlap[row].argmax())) for row in range(len(one)) if overlap[row].max() >= SAME_FACE]


def ious(detected: list[FrameFaces], guided: list[FrameFaces]) -> list[float]:
    each = [box_iou(one.boxes, other.boxes).max() for one, other in zip(detected, guided) if len(one) and len(other)]
    return [float(iou) for iou in each]


def ids(results: list[FrameFaces]) -> int:
    return len({track for faces in results if faces.tracks is not None for track in faces.tracks.tolist()} - {-1})


async def people(folder: Path, detect_every: str) -> bool:
    rows = []
    for way, results in zip(
        ("1", detect_every), await both(lambda: video(folder / "video" / "multi_face.avi"), 30, detect_every)
    ):
        followed = Followed(set(), [], 0)
        for faces in results:
            assert faces.tracks is not None
            tracks = faces.tracks.tolist()
            who = by_place(Detections(faces.boxes, faces.scores)).tolist()
            followed.given.update(track for track in tracks if track >= 0)
            followed.pairs.extend((person, track) for person, track in zip(who, tracks) if person >= 0)
            followed = followed._replace(truths=followed.truths + sum(person >= 0 for person in who))
        faces_found = round(sum(map(len, results)) / len(results), 3)
        row = {"detect every": way, "guided %": guided_share(results), "faces a frame": faces_found}
        rows.append(row | judged(followed))
    report("live-cpu-ids", rows, "multi_face.avi")
    before, now = rows
    return bool(now["ids"] <= before["ids"] and now["switches"] <= before["switches"])


def slides(folder: Path) -> Iterator[Image]:
    """Every photo for some frames, on a canvas of one size, so that nothing but the picture tells of the change."""
    width, height = CANVAS
    for photo in wider(folder):
        image = read_bgr(photo.path)
        scale = min(width / image.shape[1], height / image.shape[0])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        for _ in range(SHOWN):
            yield canvas


async def cuts(folder: Path, detect_every: str) -> bool:
    detected, guided = await both(lambda: slides(folder), 25, detect_every)
    longest, late, ghosts = 0, 0, 0
    for start in range(0, len(detected), SHOWN):
        missing = np.zeros(len(detected[start]), np.int64)
        for one, other in zip(detected[start : start + SHOWN], guided[start : start + SHOWN]):
            found = {row for row, _ in pairs_of(one, other)}
            known = {column for _, column in pairs_of(one, other)}
            missing = np.array([0 if row in found else missing[row] + 1 for row in range(len(one))], np.int64)
            late += int((missing > 0).sum())
            ghosts += len(other) - len(known)
            longest = max(longest, int(missing.max(initial=0)))
    row = {
        "photos": len(detected) // SHOWN,
        "guided %": guided_share(guided),
        "faces": f"{sum(map(len, detected))} / {sum(map(len, guided))}",
        "lost, faces x frames": late,
        "elsewhere": ghosts,
        "longest lost, frames": longest,
    }
    report("live-cpu-cuts", [row], f"WIDER FACE photos, {SHOWN} frames each at 25 fps, as one video")
    return longest <= MOST_LOST


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", type=int, nargs="?", default=3)
    parser.add_argument("--detect-every", default="auto")
    options = parser.parse_args()
    way = options.detect_every
    good = [run_async(landmarks(way))]
    folder = data_folder()
    if folder is None:
        print("live_cpu: ids and cuts skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
    else:
        good.append(run_async(people(folder, way)))
        good.append(run_async(cuts(folder / "detection" / "wider_val" / "dev", way)))
    if options.pairs:
        good.append(run_async(cpu(options.pairs, way)))
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
