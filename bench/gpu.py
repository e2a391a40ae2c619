"""Detect + align + identity from frames in host memory: frames/s, the chain beside its slowest model, age, halves.

Frames are the demo video's, scaled to 1080p on a GPU and to 360p on a CPU, one face each; they lie in memory before the
clock starts, so nothing is decoded. Every figure comes from the pipeline that users run.

``throughput``: frames/s of each model alone (aligner and identity model get the faces with the frame) and of the chain.
``age``: many live sources of 30 fps each, from the moment a frame is there to its result.
``halves``: what half precision changes in AP (WIDER FACE photos) and NME (300-W photos); skips without the data.

python bench/gpu.py [--device cuda] [--frames N] [--sources N] [--seconds S] [--photos N] [PART …]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import av
import cv2
import numpy as np
import torch
from accuracy import average_precision, detect, face_errors
from data import data_folder, ibug68, read_bgr, wider
from report import report

from facestream.jobs.demo import demo_video
from facestream.jobs.live import live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.jobs.user_settings import device_name
from facestream.plugins import base, registry
from facestream.plugins.on_device_half import half_types
from facestream.stream.batching import Item
from facestream.stream.device import Bridge, available_cores, best_device
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import Frame, FrameFaces, Image

PARTS = ("throughput", "age", "halves")
DIFFERENT = 64  # frames that are kept in memory; each passage makes new arrays of them: no upload is saved
WANTED = {"frames/s": 1500, "chain / slowest": 0.95, "p95 ms": 100, "AP": 0.003, "NME": 0.0005}
BATCH_ON_GPU = 32


def pictures_of(size: tuple[int, int]) -> list[Image]:
    with av.open(str(demo_video())) as container:
        pictures = [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]
    chosen = pictures[:: max(1, len(pictures) // DIFFERENT)][:DIFFERENT]
    return [np.asarray(cv2.resize(picture, size), np.uint8) for picture in chosen]


def frames_of(pictures: Sequence[Image], count: int) -> list[Frame]:
    """``view()`` is a new array of the same pixels: a frame that was never seen."""
    return [Frame("memory", 0, i, i / 30, time.time(), pictures[i % len(pictures)].view()) for i in range(count)]


async def passed(stages: Sequence[Stage], bridge: Bridge, items: Sequence[Item]) -> tuple[float, list[FrameFaces]]:
    """Seconds for all of them through ``stages``, and the results."""
    pipeline = Pipeline(stages, bridge, in_flight=3 * len(stages))
    done: list[FrameFaces] = []

    async def feed() -> None:
        for item in items:
            await pipeline.put(item)
        await pipeline.close()

    async def keep(faces: FrameFaces) -> None:
        done.append(faces)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed())
        await pipeline.run(keep)
    return time.perf_counter() - start, done


async def throughput(stages: Sequence[Stage], bridge: Bridge, pictures: Sequence[Image], count: int) -> list[Any]:
    await passed(stages, bridge, frames_of(pictures, max(8, count // 4)))  # warm
    seconds, results = await passed(stages, bridge, frames_of(pictures, count))
    rows = [{"part": "chain", "frames": count, "faces": sum(map(len, results)), "frames/s": count / seconds}]
    for stage in stages:
        given: Sequence[Item] = frames_of(pictures, count) if stage.finds_faces else anew(results)
        seconds, _ = await passed([stage], bridge, given)
        rows.append({"part": stage.name, "frames": count, "faces": rows[0]["faces"], "frames/s": count / seconds})
    return rows


def anew(results: Sequence[FrameFaces]) -> list[FrameFaces]:
    """The same faces on frames that were never seen."""
    fresh = []
    for faces in results:
        old = faces.frame
        frame = Frame(old.source, old.epoch, old.seq, old.pts, old.captured_at, old.image.view())
        fresh.append(FrameFaces(frame=frame, **faces.face_fields(slice(None))))
    return fresh


async def ages(
    stages: Sequence[Stage], bridge: Bridge, pictures: Sequence[Image], sources: int, seconds: float
) -> list[Any]:
    """Live sources at 30 fps, evenly out of step."""
    pipeline = Pipeline(stages, bridge, in_flight=live_in_flight(bridge.device))
    found: list[float] = []
    offered = 0
    begin = time.perf_counter()

    async def camera(index: int) -> None:
        nonlocal offered
        name = f"camera{index}"
        pipeline.gate.add(name, live=True)
        await asyncio.sleep(index / sources / 30)
        for seq in range(int(seconds * 30)):
            image = pictures[(seq + index) % len(pictures)].view()
            await pipeline.gate.put(Frame(name, 0, seq, seq / 30, time.time(), image))
            offered += 1
            await asyncio.sleep(max(0.0, begin + (seq + 1) / 30 + index / sources / 30 - time.perf_counter()))

    async def cameras() -> None:
        async with asyncio.TaskGroup() as tasks:
            for index in range(sources):
                tasks.create_task(camera(index))
        await pipeline.close()

    async def count(faces: FrameFaces) -> None:
        if time.perf_counter() - begin > seconds / 4:  # warm by then
            found.append((time.time() - faces.frame.captured_at) * 1000)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(cameras())
        await pipeline.run(count)
    p50, p95 = np.percentile(found, (50, 95))
    return [{"sources": sources, "offered": offered, "results": len(found), "p50 ms": p50, "p95 ms": p95}]


def halves(device: str, photos: int) -> list[dict[str, Any]]:
    """AP and NME in float32 and in the half precision that the device has; a CPU takes float16, which it emulates."""
    folder = data_folder()
    if folder is None:
        print("gpu: halves are skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return []
    kinds = half_types(torch.device(device)) or (torch.float16,)
    rows = []
    for role, name in (("detect", "yunet"), ("detect", "centerface"), ("align", "mesh")):
        figures, dtype = [], torch.float32
        for types in ((), kinds):
            model = in_precision(role, name, device, types)
            dtype = model._dtype
            figures.append(accuracy_of(model, role, folder, photos))
        what = "AP" if role == "detect" else "NME"
        rows.append({"model": name, "in": str(dtype), "of": what, "float32": figures[0], "halves": figures[1],
                     "change": figures[1] - figures[0], "allowed": WANTED[what],
                     "used": registry.card(role, name).half})  # fmt: skip
    return rows


def in_precision(role: str, name: str, device: str, types: tuple[torch.dtype, ...]) -> Any:
    options = {"threshold": 0.02} if role == "detect" else {}
    model: Any = registry.create(role, name, **options)
    model.backend, model._prepares_on_device = "torch", True
    with patch.object(base, "half_types", lambda device: types):
        model.load(device)
        if types and not model.card.half:
            model._try_halves()
    return model


def accuracy_of(model: Any, role: str, folder: Any, photos: int) -> float:
    if role == "detect":
        chosen = wider(folder / "detection" / "wider_val" / "dev")[:photos]
        return average_precision(chosen, [detect(model, read_bgr(photo.path)) for photo in chosen])
    detector = registry.create("detect", "yunet")
    detector.load("cpu")
    points = ibug68(folder / "landmarks" / "300w_dev")[:photos]
    return float(np.concatenate([face_errors(detector, model, photo)[0] for photo in points]).mean())


async def measured(options: argparse.Namespace, device: str, pictures: Sequence[Image]) -> None:
    on_gpu = device.startswith("cuda")
    models = ModelOptions(device=device, identity="sface", batch_size=BATCH_ON_GPU if on_gpu else None)
    notes = f"{device_name(device)}, {available_cores()} cores, frames of {pictures[0].shape[1]}×{pictures[0].shape[0]}"
    async with Bridge(device) as bridge:
        stages = await load_stages(models, bridge)
        if "throughput" in options.parts:
            count = options.frames or (6000 if on_gpu else 60)
            rows = await throughput(stages, bridge, pictures, count)
            report("gpu-throughput", rows, notes)
            chain, slowest = rows[0]["frames/s"], min(row["frames/s"] for row in rows[1:])
            print(f"chain / slowest model alone: {chain / slowest:.2f}; wanted on an H200: 0.95 and 1500 frames/s")
        if "age" in options.parts:
            sources = options.sources or (50 if on_gpu else 2)
            report("gpu-age", await ages(stages, bridge, pictures, sources, options.seconds), f"30 fps each; {notes}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--frames", type=int, help="6000 on a GPU, 60 on a CPU")
    parser.add_argument("--sources", type=int, help="50 on a GPU, 2 on a CPU")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--photos", type=int, help="of each data set; all on a GPU, 12 on a CPU")
    options = parser.parse_args()
    device = options.device
    pictures = pictures_of((1920, 1080) if device.startswith("cuda") else (640, 360))
    if not device.startswith("cuda"):
        print("gpu: no GPU here: the same code runs on the CPU, and what it takes says nothing about one")
    if {"throughput", "age"} & set(options.parts):
        asyncio.run(measured(options, device, pictures))
    if "halves" in options.parts:
        photos = options.photos or (10**6 if device.startswith("cuda") else 12)
        rows = halves(device, photos)
        if rows:
            report("gpu-halves", rows, device_name(device))
    return 0


if __name__ == "__main__":
    sys.exit(main())
