"""The extract job against a plain loop with the very same models, and its memory on inputs of different lengths.

(a) ``facestream extract -o FOLDER``: pictures with headers, alignments with thumbnails, a journal; all of it can go on.
(b) a loop in one thread of control: decode a frame, detect, align, crop, encode, write the picture; then the next one.
    No header, no alignments. torch and FFmpeg's decoder have as many threads as in (a).

Each run is a fresh process that loads its models before its clock starts; the runs of (a) and (b) alternate.

python bench/extract.py [CLIP]
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from report import report

from facestream.jobs.demo import demo_video
from facestream.stream.device import available_cores

RUNS = 5
SIZE = 512
LENGTHS = (1, 4)  # the clip, and the clip so many times over, for the memory
LEAST_TO_LOOP = 1.2
MOST_GROWTH = 1.05  # of the peak, from the shortest input to the longest


def ours(clip: Path, folder: Path) -> tuple[int, float]:
    """Frames and seconds of (a)."""
    return asyncio.run(_ours(clip, folder))


async def _ours(clip: Path, folder: Path) -> tuple[int, float]:
    from facestream.jobs.extract_command import models_for
    from facestream.jobs.extract_job import ExtractJob
    from facestream.jobs.extract_plan import ExtractOptions, plan
    from facestream.jobs.models import ModelOptions

    options = ExtractOptions(
        inputs=(str(clip),),
        models=ModelOptions(device="cpu"),
        output=folder / "faces",
        alignments=folder / "a.fsa",
        size=SIZE,
    )
    chosen = plan(options)
    async with models_for(chosen) as (_, pipeline, bridge):
        job = ExtractJob(chosen, pipeline, bridge, detector="yunet")
        start = time.perf_counter()
        await job.run()
        return job.runs[0].statistics.frames, time.perf_counter() - start


def loop(clip: Path, folder: Path) -> tuple[int, float]:
    """Frames and seconds of (b)."""
    import cv2

    from facestream.faces.aligned import align
    from facestream.faces.crops import crop, crop_matrices
    from facestream.plugins import registry
    from facestream.stream.device import set_thread_counts
    from facestream.stream.types import ExtractBatch, Frame

    set_thread_counts(available_cores())
    detector, aligner = registry.create("detect", "yunet"), registry.create("align", "mesh")
    for plugin in (detector, aligner):
        plugin.load("cpu")
    start = time.perf_counter()
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, decoded in enumerate(container.decode(video=0)):
            image = decoded.to_ndarray(format="bgr24")
            feed = detector.pre_process([image])
            (found,) = detector.post_process(detector.infer(feed), feed)
            if not len(found.boxes):
                continue
            batch = ExtractBatch(
                frames=[Frame("clip", 0, number, 0.0, 0.0, image)],
                boxes=found.boxes,
                scores=found.scores,
                points=found.points,
                frame_ids=np.zeros(len(found.boxes), np.int32),
            )
            feed = aligner.pre_process(batch)
            aligner.post_process(aligner.infer(feed), feed, batch)
            matrices = crop_matrices(align(batch.landmarks), SIZE, "head")
            for index, matrix in enumerate(matrices):
                content = cv2.imencode(".png", crop(image, matrix, SIZE))[1].tobytes()
                (folder / f"{number + 1:06d}_{index}.png").write_bytes(content)
    return number + 1, time.perf_counter() - start


def child(kind: str, clip: Path) -> None:
    """One run, in its own process; prints its figures."""
    with tempfile.TemporaryDirectory() as name:
        frames, seconds = (ours if kind == "extract" else loop)(clip, Path(name))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"frames": frames, "rate": frames / seconds, "peak": peak}))


def run(kind: str, clip: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", kind, str(clip)]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def repeated(clip: Path, times: int, folder: Path) -> Path:
    """The clip's own packets so many times over."""
    if times == 1:
        return clip
    path = folder / f"{clip.stem}_{times}{clip.suffix}"
    with av.open(str(path), "w") as output:
        shift, stream = 0, None
        for _ in range(times):
            with av.open(str(clip)) as container:
                source = container.streams.video[0]
                stream = stream or output.add_stream_from_template(source)
                packets = [packet for packet in container.demux(source) if packet.dts is not None]
                first = packets[0].dts
                for packet in packets:
                    packet.dts += shift - first
                    packet.pts += shift - first
                    packet.stream = stream
                    last = packet.dts + (packet.duration or 1)
                    output.mux(packet)
                shift = last
    return path


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--child"]:
        child(arguments[1], Path(arguments[2]))
        return 0
    clip = Path(arguments[0]) if arguments else demo_video()
    runs: list[tuple[dict[str, Any], dict[str, Any]]] = [(run("extract", clip), run("loop", clip)) for _ in range(RUNS)]
    ratio = median(job["rate"] / plain["rate"] for job, plain in runs)
    rows = [
        {
            "what": what,
            "frames": figures[0]["frames"],
            "frames/s": round(median(each["rate"] for each in figures), 1),
            "peak MB": round(median(each["peak"] for each in figures)),
            "to the loop": round(times, 3),
        }
        for what, figures, times in (
            ("extract", [job for job, _ in runs], ratio),
            ("plain loop", [plain for _, plain in runs], 1.0),
        )
    ]
    peaks = [float(rows[0]["peak MB"])]
    with tempfile.TemporaryDirectory() as name:
        for times in LENGTHS[1:]:
            longer = run("extract", repeated(clip, times, Path(name)))
            peaks.append(longer["peak"])
            rows.append(
                {
                    "what": f"extract, {times} x as long",
                    "frames": longer["frames"],
                    "frames/s": round(longer["rate"], 1),
                    "peak MB": round(longer["peak"]),
                    "to the loop": "",
                }
            )
    report("extract", rows, f"{clip.name}, {SIZE}-px faces, {available_cores()} cores, median of {RUNS} runs")
    return int(ratio < LEAST_TO_LOOP or max(peaks) > MOST_GROWTH * peaks[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
