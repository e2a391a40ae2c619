"""The extract job against a plain loop with the very same models, and its memory on inputs of different lengths.

(a) ``facestream extract -o FOLDER``: pictures with headers, alignments with thumbnails, a journal; all of it can go on.
(b) a loop in one thread of control: decode a frame, detect, align, crop, encode, write the picture; then the next one.
    No header, no alignments. torch and FFmpeg's decoder have as many threads as in (a).

Each run is a fresh process that loads its models before its clock starts; the runs of (a) and (b) alternate.

Then (a) once more on a clip at 1080p, with timers around decoding, models, encoding and writing: the share of the time
in which somebody was at each of them, and the CPU time of each by thread. Whatever takes longest should never wait.

python bench/extract.py [CLIP]
python bench/extract.py busy [CLIP]    # the latter only
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import aiofiles.os
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
LEAST_BUSY = 0.9  # of the time, the busiest of decoding, models and encoding


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
        if kind == "busy":
            print(json.dumps(busy(clip, Path(name))))
            return
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


class Stopwatch:
    """When calls of one kind were running, in any thread."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []
        self.cpu = 0.0

    def around(self, function: Any) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            cpu, start = time.thread_time(), time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.spans.append((start, time.perf_counter()))
                self.cpu += time.thread_time() - cpu

        return timed

    def busy(self) -> float:
        """Seconds in which at least one call was running."""
        total, until = 0.0, 0.0
        for start, end in sorted(self.spans):
            total += max(0.0, end - max(start, until))
            until = max(until, end)
        return total


@contextmanager
def watched(places: dict[str, Sequence[tuple[Any, str]]]) -> Iterator[dict[str, Stopwatch]]:
    """Kind of work → a stopwatch around the methods that do it."""
    watches = {kind: Stopwatch() for kind in places}
    originals = [(owner, name, getattr(owner, name)) for methods in places.values() for owner, name in methods]
    for kind, methods in places.items():
        for owner, name in methods:
            setattr(owner, name, watches[kind].around(getattr(owner, name)))
    try:
        yield watches
    finally:
        for owner, name, function in originals:
            setattr(owner, name, function)


def busy(clip: Path, folder: Path) -> dict[str, Any]:
    """Where the time goes in (a)."""
    import facestream.io.picture_writer as picture_writer
    from facestream.io.savers import FaceSaver
    from facestream.io.video import VideoReader
    from facestream.stream.stage import DetectRole, FaceRole

    from facestream.plugins import registry  # isort: skip

    models = [registry.model_class(registry.card(*each)) for each in (("detect", "yunet"), ("align", "mesh"))]
    verbs = [(role, verb) for role in (DetectRole, FaceRole) for verb in ("pre_process", "post_process")]
    places = {
        "decode": [(VideoReader, "read")],
        "infer": [(model, "infer") for model in models],
        "pre, post": verbs,
        "encode": [(FaceSaver, "_encode")],
        "write": [(picture_writer, "write_atomically")],
    }
    with watched(places) as watches:
        # It holds the function that it was made of; this process ends with the run.
        picture_writer._write_file = aiofiles.os.wrap(picture_writer.write_atomically)
        begun = time.process_time()
        frames, seconds = ours(clip, folder)
        total = time.process_time() - begun
    watches["models"] = Stopwatch()
    watches["models"].spans = watches["infer"].spans + watches["pre, post"].spans
    watches["models"].cpu = watches["infer"].cpu + watches["pre, post"].cpu
    shares = {f"{kind} %": round(100 * watch.busy() / seconds, 1) for kind, watch in watches.items()}
    costs = {kind: round(1000 * watch.cpu / frames, 2) for kind, watch in watches.items()}
    return {"rate": frames / seconds, "frames": frames, "shares": shares, "ms": costs, "cpu": total / seconds}


def large(folder: Path) -> Path:
    """The demo video at 1920×1080."""
    target = folder / "1080p.mp4"
    with av.open(str(demo_video())) as source, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number, decoded in enumerate(source.decode(video=0)):
            picture = decoded.reformat(1920, 1080)
            picture.pts, picture.time_base = number, Fraction(1, 24)
            picture.pict_type = av.video.frame.PictureType.NONE
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return target


def report_busy(clip: Path | None) -> bool:
    """Whether the busiest was busy enough."""
    with tempfile.TemporaryDirectory() as name:
        clip = clip or large(Path(name))
        results = [run("busy", clip) for _ in range(2)]
    best = max(results, key=lambda result: max(result["shares"].values()))
    row = {"frames": best["frames"], "frames/s": round(best["rate"], 1), **best["shares"]}
    report("extract-busy", [row], f"{clip.name}, {available_cores()} cores, share of the time")
    cores = {"cores busy": round(best["cpu"], 2), "CPU ms a frame": round(1000 * best["cpu"] / best["rate"], 2)}
    report("extract-cpu", [{**cores, **best["ms"]}], "CPU ms a frame in the calling threads; FFmpeg's not among them")
    return max(best["shares"][f"{kind} %"] for kind in ("decode", "models", "encode")) >= 100 * LEAST_BUSY


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--child"]:
        child(arguments[1], Path(arguments[2]))
        return 0
    if arguments[:1] == ["busy"]:
        return int(not report_busy(Path(arguments[1]) if arguments[1:] else None))
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
    enough = report_busy(Path(arguments[0]) if arguments else None)
    return int(not enough or ratio < LEAST_TO_LOOP or max(peaks) > MOST_GROWTH * peaks[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
