"""Peak memory of a long input against that of a short one: both 1080p, through the real lossless chain.

Each length runs in a fresh process, whose own peak (VmHWM) counts: a source whose every frame is a new 6 MB array,
gate, yunet, two placed faces a frame, a fake aligner, tracking, and the recorder of `facestream extract`: alignments,
journal and face pictures. What takes the time of a real run (decoding, large networks and pictures) is left out, what
holds memory is all there.

python bench/memory.py [SHORT LONG]
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from report import report

from facestream.io.frame_names import VideoNames
from facestream.io.journal import JournalHeader
from facestream.io.journal_writer import AlignmentsWriter
from facestream.io.picture_writer import Losses
from facestream.io.recorder import Recorder, named_by
from facestream.io.savers import FaceSaver
from facestream.jobs.extract import BATCHES_PER_STAGE
from facestream.jobs.models import ModelOptions, load_plugins
from facestream.jobs.profile import PlacedFaces, cloudy_pictures
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import Stage
from facestream.stream.types import FrameFaces, Image
from facestream.testing.plugins import FakeAligner
from facestream.testing.sources import FakeSource

LENGTHS = (1_000, 10_000)
SIZE = (1920, 1080)
FACES = 2
PICTURE = 64
LIMIT = 1.05


class Ring(Sequence[Image]):
    """``count`` frames, each a copy of one of a few."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pictures = cloudy_pictures(SIZE)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Image:  # type: ignore[override]
        return self._pictures[index % len(self._pictures)].copy()


async def run(frames: int) -> tuple[int, float]:
    """Results and seconds, model loading excluded."""
    results = 0
    with tempfile.TemporaryDirectory() as folder:
        async with Bridge("cpu") as bridge:
            detector, _ = await load_plugins(
                ModelOptions(detector="yunet", aligner=None, device="cpu", detect_size=128), bridge
            )
            placed = PlacedFaces(detector, FACES, SIZE)
            stages = [Stage.detect(placed, bridge, 4), Stage.faces(FakeAligner(), bridge)]
            pipeline = Pipeline(stages, bridge, in_flight=BATCHES_PER_STAGE * len(stages), tracks=Tracks())
            recorder = recorder_in(Path(folder), bridge)
            async with recorder, FakeSource(frames=Ring(frames)) as source:

                async def publish(faces: FrameFaces) -> None:
                    nonlocal results
                    results += 1
                    await recorder.write(faces)

                start = time.perf_counter()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(pipeline.run(publish))
                    async for frame in source:
                        await pipeline.put(frame)
                    await pipeline.close()
                await recorder.drain()
                seconds = time.perf_counter() - start
    return results, seconds


def recorder_in(folder: Path, bridge: Bridge) -> Recorder:
    """What `facestream extract` writes to, as it makes it."""
    pictures = FaceSaver(folder / "faces", bridge, size=PICTURE, thumbs=True, losses=Losses.RAISE)
    alignments = AlignmentsWriter(folder / "clip.fsa", bridge, JournalHeader("/clip.mp4"))
    return Recorder(bridge, named_by(VideoNames("clip", ".mp4")), alignments=alignments, pictures=pictures)


def peak_bytes() -> int:
    """This process's largest resident size; getrusage's may be that of the process before exec."""
    status = Path("/proc/self/status")
    if not status.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def one_length(frames: int) -> None:
    results, seconds = asyncio.run(run(frames))
    assert results == frames, f"{results} results of {frames} frames"
    print(json.dumps({"seconds": seconds, "peak": peak_bytes()}))


def main(lengths: Sequence[int]) -> int:
    rows, peaks = [], []
    for frames in lengths:
        command = [sys.executable, __file__, "--one", str(frames)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        peaks.append(found["peak"])
        rows.append(
            {
                "frames": frames,
                "seconds": round(found["seconds"], 1),
                "frames/s": round(frames / found["seconds"], 1),
                "peak MiB": round(found["peak"] / 2**20, 1),
                "ratio": round(found["peak"] / peaks[0], 3),
            }
        )
    ratio = peaks[-1] / peaks[0]
    report("memory", rows, f"{SIZE[0]}x{SIZE[1]}, {FACES} faces a frame; wanted: a ratio of at most {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one_length(int(sys.argv[2]))
    else:
        sys.exit(main([int(argument) for argument in sys.argv[1:]] or LENGTHS))
