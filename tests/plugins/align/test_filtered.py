"""Filters in a chain: frames split over batches, later stages, frames that lose every face."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from facestream.plugins.align.filtered import FilteredAligner
from facestream.plugins.align.filters import Thresholds
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import ExtractBatch, Floats, Frame, FrameFaces, Image
from facestream.testing.plugins import FakeAligner, FakeDetector

SMALL, LARGE = 4, 40


class Identity:
    """Knows each face by its box."""

    name, batch_size = "box", 2

    def load(self, device: str) -> None: ...

    def pre_process(self, batch: ExtractBatch) -> Floats:
        assert batch.landmarks is not None
        assert len(batch.landmarks) == len(batch)
        return batch.boxes

    def infer(self, feed: Floats) -> Floats:
        return feed

    def post_process(self, raw: Floats, feed: Floats, batch: ExtractBatch) -> None:
        batch.identities["box"] = raw


def frame(seq: int) -> Frame:
    return Frame("clip", 0, seq, seq / 25, 0.0, np.full((300, 400, 3), seq, np.uint8))


def sizes(seq: int) -> list[int]:
    """The faces of a frame: none, only small ones, or up to seven of both."""
    random = np.random.default_rng(seq)
    if seq % 3 == 0:
        return [SMALL] * int(random.integers(0, 4))
    return random.choice([SMALL, LARGE], random.integers(1, 8)).tolist()


def boxes(image: Image) -> list[tuple[int, int, int, int]]:
    return [(50 * i, 10, 50 * i + size, 10 + size) for i, size in enumerate(sizes(int(image[0, 0, 0])))]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
async def test_every_frame_comes_out_with_the_faces_that_are_left(batch_size: int) -> None:
    aligner = FilteredAligner(FakeAligner(batch_size=batch_size), Thresholds(min_scale=0.06))
    results: list[FrameFaces] = []

    async def publish(faces: FrameFaces) -> None:
        results.append(faces)

    async with Bridge(torch_threads=1) as bridge:
        stages = [
            Stage.detect(FakeDetector(boxes), bridge, 2),
            Stage.faces(aligner, bridge),
            Stage.faces(Identity(), bridge),
        ]
        chain = Pipeline(stages, bridge, in_flight=6)
        chain.gate.add("clip", live=False)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(chain.run(publish))
            for seq in range(60):
                await chain.gate.put(frame(seq))
            await chain.gate.close()

    assert [faces.frame.seq for faces in results] == list(range(60))
    for faces in results:
        found = np.float32(boxes(faces.frame.image)).reshape(-1, 4)
        expected = found[found[:, 2] - found[:, 0] == LARGE]
        assert faces.boxes.tolist() == expected.tolist()
        if len(expected):
            assert faces.identities["box"].tolist() == expected.tolist()
    refused = sum(sizes(seq).count(SMALL) for seq in range(60))
    assert stages[1].summary() == [f"[Align filter] Faces left out: outside scale 0.06 to 4: {refused}"]
    assert stages[2].summary() == []


async def test_one_frame_beside_the_stream_is_filtered_too() -> None:
    aligner = FilteredAligner(FakeAligner(), Thresholds(min_scale=0.06))
    async with Bridge(torch_threads=1) as bridge:
        chain = Pipeline([Stage.detect(FakeDetector(boxes), bridge), Stage.faces(aligner, bridge)], bridge)
        (seq,) = [seq for seq in range(3, 30, 3) if sizes(seq)][:1]
        faces = await chain.process_one(frame(seq))
    assert len(faces) == 0
