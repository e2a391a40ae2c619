"""Every model by itself: samples/s at growing batches, and the share of time in pre-process, infer and post-process.

The three verbs are called one after another in one thread, as many threads inside torch as there are cores and one
inside OpenCV, as in a pipeline. Frames are those of the demo video, scaled to 720p and 1080p. A model whose weights
can't be had is left out.

python bench/engine.py [MODEL …]
"""

from __future__ import annotations

import sys
import time
from statistics import median

import av
import cv2
import numpy as np
from report import report

from facestream.errors import ModelError
from facestream.jobs.demo import demo_video
from facestream.plugins import registry
from facestream.plugins.card import Role
from facestream.stream.device import available_cores, best_device, set_thread_counts
from facestream.stream.stage import DetectRole, FaceRole, derive
from facestream.stream.types import ExtractBatch, Frame

SIZES = ((1280, 720), (1920, 1080))
BATCHES = (1, 2, 4, 8)
SECONDS = 1.5
"""Of each measurement, and at least :data:`LEAST` runs."""
LEAST = 3
LIMIT = 0.25
"""Pre-process and post-process together, of centerface on a CPU."""


def frames_of(size: tuple[int, int]) -> list[Frame]:
    """As many different frames as the largest batch has."""
    with av.open(str(demo_video())) as container:
        pictures = [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]
    chosen = pictures[:: len(pictures) // max(BATCHES)][: max(BATCHES)]
    return [Frame("demo", 0, i, 0.0, 0.0, cv2.resize(picture, size)) for i, picture in enumerate(chosen)]


def with_faces(frames: list[Frame], detector: DetectRole, aligner: FaceRole) -> ExtractBatch:
    """One face a frame, with landmarks and what they imply: all that a model of faces may ask for."""
    batch = ExtractBatch(frames=frames)
    for role in (detector, aligner):
        feed = role.pre_process(batch)
        role.post_process(role.infer(feed), feed, batch)
        best = [int(np.flatnonzero(batch.frame_ids == i)[0]) for i in range(len(frames))]
        batch.keep(np.array(best))
    derive(batch)
    return batch


def part_of(batch: ExtractBatch, count: int) -> ExtractBatch:
    """A new batch of its first frames, with all that is known."""
    return ExtractBatch(
        frames=batch.frames[:count], frame_ids=batch.frame_ids[:count], **batch.face_fields(slice(count))
    )


def measured(role: DetectRole | FaceRole, batch: ExtractBatch, count: int) -> tuple[float, float, float]:
    """Median seconds of pre-process, infer and post-process of a batch of ``count``."""
    times: list[tuple[float, float, float]] = []
    started = time.perf_counter()
    while len(times) <= LEAST or time.perf_counter() - started < SECONDS:
        part = part_of(batch, count)
        begin = time.perf_counter()
        feed = role.pre_process(part)
        prepared = time.perf_counter()
        raw = role.infer(feed)
        inferred = time.perf_counter()
        role.post_process(raw, feed, part)
        times.append((prepared - begin, inferred - prepared, time.perf_counter() - inferred))
    pre, infer, post = (median(column) for column in zip(*times[1:]))  # the first one warms up
    return pre, infer, post


def main(names: list[str]) -> None:
    device = best_device()
    set_thread_counts(available_cores())
    detector, aligner = registry.create("detect", "yunet"), registry.create("align", "mesh")
    detector.load("cpu")
    aligner.load("cpu")
    samples = {size: with_faces(frames_of(size), DetectRole(detector), FaceRole(aligner)) for size in SIZES}
    rows = []
    for card in registry.cards():
        if names and card.name not in names:
            continue
        plugin = registry.create(card.role, card.name)
        try:
            plugin.load(device)
        except ModelError as error:
            print(f"{card.name} left out: {error}", file=sys.stderr)
            continue
        role = DetectRole(plugin) if card.role is Role.DETECT else FaceRole(plugin)
        for (width, height), batch in samples.items():
            for count in BATCHES:
                pre, infer, post = measured(role, batch, count)
                whole = pre + infer + post
                rows.append(
                    {
                        "model": card.name,
                        "input": card.input_size,
                        "frames": f"{width}x{height}",
                        "batch": count,
                        "samples/s": round(count / whole, 1),
                        "pre %": round(100 * pre / whole, 1),
                        "infer %": round(100 * infer / whole, 1),
                        "post %": round(100 * post / whole, 1),
                        "pre + post %": round(100 * (pre + post) / whole, 1),
                    }
                )
    report("engine", rows, f"{device}, {available_cores()} cores; samples are frames for detectors, faces for others")
    worst = max((row["pre + post %"] for row in rows if row["model"] == "centerface"), default=None)
    if worst is not None:
        print(f"centerface at 640: pre + post take at most {worst} % of the time; wanted: below {100 * LIMIT:g} %")


if __name__ == "__main__":
    main(sys.argv[1:])
