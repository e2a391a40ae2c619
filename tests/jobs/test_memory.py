"""Nothing grows with the length of the input; ``bench/memory.py`` measures the same of a whole process."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from facestream.io.frame_names import VideoNames
from facestream.io.journal import JournalHeader
from facestream.io.journal_writer import AlignmentsWriter
from facestream.io.picture_writer import Losses
from facestream.io.recorder import Recorder, named_by
from facestream.io.savers import FaceSaver
from facestream.jobs.extract import BATCHES_PER_STAGE
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import Stage
from facestream.stream.types import FrameFaces, Image
from facestream.testing.plugins import FakeAligner, FakeDetector
from facestream.testing.sources import FakeSource

BOXES = [(20, 20, 60, 70), (80, 30, 120, 90)]
BATCH = 4


class CountedPictures(Sequence[Image]):
    """``count`` new pictures, which know how many of them are alive.

    Attributes:
        alive: now.
        most: at any time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._watched: dict[int, weakref.ref[Image]] = {}
        self.most = 0

    @property
    def alive(self) -> int:
        return len(self._watched)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Image:  # type: ignore[override]
        image = np.full((120, 160, 3), index % 256, np.uint8)
        self._watched[index] = weakref.ref(image, lambda _: self._watched.pop(index, None))
        self.most = max(self.most, self.alive)
        return image


async def extracted(frames: int, folder: Path) -> CountedPictures:
    """Through detection, alignment, tracking, pictures and alignments, as in a lossless job."""
    pictures = CountedPictures(frames)
    done = 0
    async with Bridge(torch_threads=1) as bridge:
        detector, aligner = FakeDetector(BOXES, batch_size=BATCH), FakeAligner()
        stages = [Stage.detect(detector, bridge), Stage.faces(aligner, bridge)]
        chain = Pipeline(stages, bridge, in_flight=BATCHES_PER_STAGE * len(stages), tracks=Tracks())
        recorder = Recorder(
            bridge,
            named_by(VideoNames("clip", ".mp4")),
            alignments=AlignmentsWriter(folder / "clip.fsa", bridge, JournalHeader("/clip.mp4")),
            pictures=FaceSaver(folder / "faces", bridge, size=32, thumbs=True, losses=Losses.RAISE),
        )

        async def publish(faces: FrameFaces) -> None:
            nonlocal done
            done += len(faces)
            await recorder.write(faces)

        async with recorder, FakeSource(frames=pictures) as source, asyncio.TaskGroup() as tasks:
            tasks.create_task(chain.run(publish))
            async for frame in source:
                await chain.put(frame)
            await chain.close()
    assert done == frames * len(BOXES)
    return pictures


@pytest.mark.parametrize("frames", [100, 400])
async def test_as_many_frames_are_in_memory_however_long_the_input(frames: int, tmp_path: Path) -> None:
    pictures = await extracted(frames, tmp_path)
    in_flight = BATCHES_PER_STAGE * 2 * BATCH
    waiting_at_the_gate = BATCH
    being_published = BATCH  # a batch keeps its frames until the last of them is out
    being_recorded = 8 + 2  # the recorder's depth, what it commits and what waits to be put there
    being_read = 2
    assert pictures.most <= in_flight + waiting_at_the_gate + being_published + being_recorded + being_read


async def test_no_frame_outlives_the_job(tmp_path: Path) -> None:
    pictures = await extracted(50, tmp_path)
    assert pictures.most > 1
    assert pictures.alive <= 1  # the last one may still be a local variable of ours
