"""Files through detect + align + track: frames/s of the pipeline against a plain loop over the same models.

The plain loop does what a careful program without facestream would: decode a frame, detect, align, track, next frame,
in one thread, with the same loaded models and as many torch threads. Both run in this process, alternately, five times;
ours on the event loop that the command uses.

python bench/pipeline.py [CLIP …]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

import av
from report import report

from facestream.cli_options import run_async
from facestream.faces.aligned import align
from facestream.jobs.demo import demo_video
from facestream.jobs.extract import BATCHES_PER_STAGE, run_inputs
from facestream.jobs.models import ModelOptions, load_stages
from facestream.plugins import registry
from facestream.stream.device import Bridge, available_cores, set_thread_counts
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import write_detections
from facestream.stream.types import ExtractBatch, Frame, FrameFaces

RUNS = 5


def plain_loop(clip: Path, detector: object, aligner: object) -> tuple[int, int]:
    """Frames and faces of ``clip``, one frame after another."""
    tracks, frames, found = Tracks(), 0, 0
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for picture in container.decode(video=0):
            frame = Frame("clip", 0, frames, float(picture.time or 0), 0.0, picture.to_ndarray(format="bgr24"))
            batch = ExtractBatch(frames=[frame])
            feed = detector.pre_process([frame.image])
            write_detections(batch, detector.post_process(detector.infer(feed), feed))
            if len(batch):
                feed = aligner.pre_process(batch)
                aligner.post_process(aligner.infer(feed), feed, batch)
                batch.aligned = align(batch.landmarks)
            for faces in batch.per_frame():
                faces.tracks = tracks.update(faces)
                found += len(faces)
            frames += 1
    return frames, found


async def pipelined(clip: Path, stages_of: ModelOptions) -> tuple[int, int, float]:
    """Frames, faces and seconds, model loading excluded."""
    frames = found = 0

    async def count(faces: FrameFaces) -> None:
        nonlocal frames, found
        frames += 1
        found += len(faces)

    async with Bridge(stages_of.chosen_device) as bridge:
        stages = await load_stages(stages_of, bridge)
        pipeline = Pipeline(stages, bridge, in_flight=BATCHES_PER_STAGE * len(stages), tracks=Tracks())
        start = time.perf_counter()
        await run_inputs((clip,), pipeline, bridge, count)
        return frames, found, time.perf_counter() - start


def main(clips: list[Path]) -> None:
    options = ModelOptions(device="cpu")
    set_thread_counts(available_cores())
    detector = registry.create("detect", registry.default("detect", "cpu"))
    aligner = registry.create("align", "mesh")
    detector.load("cpu")
    aligner.load("cpu")
    rows = []
    for clip in clips:
        loop_rates, our_rates = [], []
        plain_loop(clip, detector, aligner)  # warm
        for _ in range(RUNS):
            start = time.perf_counter()
            frames, loop_faces = plain_loop(clip, detector, aligner)
            loop_rates.append(frames / (time.perf_counter() - start))
            ours, our_faces, seconds = run_async(pipelined(clip, options))
            our_rates.append(ours / seconds)
            assert ours == frames, f"{ours} frames out of {frames}"
        rows.append(
            {
                "clip": clip.name,
                "frames": frames,
                "faces (loop)": loop_faces,
                "faces (ours)": our_faces,
                "loop frames/s": round(median(loop_rates), 1),
                "ours frames/s": round(median(our_rates), 1),
                "ratio": round(median(our / loop for our, loop in zip(our_rates, loop_rates)), 3),
            }
        )
    report("pipeline", rows, f"yunet + mesh + tracking, {available_cores()} cores, median of {RUNS} alternating runs")


if __name__ == "__main__":
    chosen = [Path(argument) for argument in sys.argv[1:]]
    main(chosen or [demo_video()])
