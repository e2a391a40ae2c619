from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

from facestream.errors import ModelError, OutOfDeviceMemory
from facestream.stream.channel import Channel
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage
from facestream.stream.types import Detections, ExtractBatch, Floats, Image, Masks
from facestream.testing.plugins import FakeAligner, FakeDetector
from facestream.tests.stream.build import batch, frame, known

BOXES = [(2, 2, 20, 20), (4, 4, 12, 12)]


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge(torch_threads=1) as bridge:
        yield bridge


async def through(stage: Stage, *batches: ExtractBatch) -> list[ExtractBatch]:
    """``batches``, sent through ``stage``."""
    inbound, outbound = Channel[ExtractBatch](len(batches) or 1), Channel[ExtractBatch](1)
    for one in batches:
        inbound.ends[0].send_nowait(one)
    inbound.ends[0].close()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.run(inbound.ends[1], outbound.ends[0]))
        return [done async for done in outbound.ends[1]]


async def test_a_detector_fills_each_frame_with_its_own_faces(bridge: Bridge) -> None:
    stage = Stage.detect(FakeDetector(BOXES), bridge)
    (done,) = await through(stage, ExtractBatch(frames=[frame(seq=0), frame(seq=1)]))
    assert done.frame_ids.tolist() == [0, 0, 1, 1]
    assert done.boxes[:2].tolist() == [list(box) for box in BOXES]
    assert done.points is not None


async def test_a_frame_without_faces_costs_its_neighbours_no_points(bridge: Bridge) -> None:
    class Sparing(FakeDetector):
        """Gives no array of points where there is no face."""

        def _detections(self, boxes: Floats) -> Detections:
            found = super()._detections(boxes)
            return found if len(boxes) else Detections(found.boxes, found.scores)

    detector = Sparing(lambda image: BOXES if image.any() else [])
    some, none = frame(seq=0), frame(seq=1)
    some.image[:] = 1
    (done,) = await through(Stage.detect(detector, bridge), ExtractBatch(frames=[some, none]))
    assert done.points is not None
    assert done.points.shape == (2, 5, 2)


async def test_frames_without_faces_pass_the_aligner_in_order_and_untouched(bridge: Bridge) -> None:
    aligner = FakeAligner()
    done = await through(Stage.faces(aligner, bridge), batch([0, 0]), batch([0], first=2))
    assert [f.seq for one in done for f in one.frames] == [0, 1, 2]
    assert aligner.batches == []


async def test_faces_are_batched_by_the_stages_own_size(bridge: Bridge) -> None:
    aligner = FakeAligner(batch_size=4)
    done = await through(Stage.faces(aligner, bridge), batch([3, 0, 6, 1]))
    assert aligner.batches == [4, 4, 2]
    assert sum(len(one) for one in done) == 10
    assert all(one.landmarks is not None and len(one.landmarks) == len(one) for one in done)


async def test_what_waits_while_the_device_is_busy_shares_the_next_batch(bridge: Bridge) -> None:
    aligner = FakeAligner(batch_size=8)
    inbound, outbound = Channel[ExtractBatch](8), Channel[ExtractBatch](8)
    sender = inbound.ends[0]
    async with asyncio.TaskGroup() as tasks:
        with aligner.held():
            tasks.create_task(Stage.faces(aligner, bridge).run(inbound.ends[1], outbound.ends[0]))
            sender.send_nowait(batch([1]))
            await asyncio.to_thread(aligner.entered.wait)
            for seq in range(1, 7):
                sender.send_nowait(batch([1], first=seq))
            sender.close()
        done = [one async for one in outbound.ends[1]]
    assert aligner.batches[0] == 1  # the first face didn't wait for others
    assert len(aligner.batches) < 7
    assert sum(aligner.batches) == 7
    assert [f.seq for one in done for f in one.frames] == list(range(7))


async def test_neighbouring_batches_overlap(bridge: Bridge) -> None:
    """While one batch is held on the device, the next is prepared."""
    prepared = threading.Semaphore(0)

    class Detector(FakeDetector):
        def pre_process(self, images: Sequence[Image]) -> list[Image]:
            prepared.release()
            return super().pre_process(images)

    detector = Detector(BOXES)
    with detector.held():
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(
                through(Stage.detect(detector, bridge), *(ExtractBatch(frames=[frame(seq=i)]) for i in range(3)))
            )
            assert await asyncio.to_thread(prepared.acquire, timeout=60)
            assert await asyncio.to_thread(prepared.acquire, timeout=60)
            detector.release()
    assert [one.frames[0].seq for one in running.result()] == [0, 1, 2]


async def test_out_of_memory_halves_the_batch_for_good_and_loses_nothing(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    aligner = FakeAligner(batch_size=16, fits=3)
    stage = Stage.faces(aligner, bridge)
    done = await through(stage, batch([10]), batch([1], first=1))
    assert max(aligner.batches) <= 3
    assert sum(len(one) for one in done) == 11
    boxes = np.concatenate([one.boxes for one in done])
    assert boxes[:10, 1].tolist() == list(range(10))
    assert stage.batch_size == 3
    assert "out of memory" in caplog.text


async def test_a_detector_out_of_memory_goes_on_with_fewer_frames(bridge: Bridge) -> None:
    detector = FakeDetector(BOXES, fits=1)
    done = await through(Stage.detect(detector, bridge), ExtractBatch(frames=[frame(seq=i) for i in range(4)]))
    assert [f.seq for one in done for f in one.frames] == [0, 1, 2, 3]
    assert detector.batches == [1, 1, 1, 1]


async def test_a_single_sample_that_does_not_fit_is_an_error_that_says_what_to_do(bridge: Bridge) -> None:
    with pytest.raises(OutOfDeviceMemory, match="fake-aligner: not even one face fits into the memory of cpu: close"):
        await Stage.faces(FakeAligner(fits=0), bridge).run_one(batch([2]))
    with pytest.raises(OutOfDeviceMemory, match=r"not even one frame fits .* a smaller --detect-size"):
        await Stage.detect(FakeDetector(BOXES, fits=0), bridge).process_one(frame())


async def test_boxes_that_are_not_boxes_are_dropped(bridge: Bridge) -> None:
    bad = [(0, 0, 10, 10), (5, 5, 5, 9), (np.nan, 0, 1, 1), (0, 0, np.inf, 3), (9, 9, 3, 3)]
    (done,) = await through(Stage.detect(FakeDetector(bad), bridge), ExtractBatch(frames=[frame()]))
    assert done.boxes.tolist() == [[0, 0, 10, 10]]


async def test_a_detector_that_forgets_a_frame_is_named(bridge: Bridge) -> None:
    class Forgetful(FakeDetector):
        def post_process(self, raw: list[Floats], feed: list[Image]) -> list[Detections]:
            return []

    with pytest.raises(BaseExceptionGroup) as caught:
        await through(Stage.detect(Forgetful(name="forgetful"), bridge), ExtractBatch(frames=[frame()]))
    assert caught.group_contains(ModelError, match="forgetful returned 0 results for 1 frames")


async def test_a_stage_alone_processes_one_frame_and_leaves_the_given_object_as_it_was(bridge: Bridge) -> None:
    given = known(40, landmarks=False)
    found = await Stage.faces(FakeAligner(batch_size=16), bridge).process_one(given)
    assert found.landmarks is not None
    assert found.landmarks.shape == (40, 68, 2)
    assert found.boxes[:, 1].tolist() == list(range(40))
    assert given.landmarks is None
    assert len(await Stage.detect(FakeDetector(BOXES), bridge).process_one(frame())) == 2


class Writes(FakeAligner):
    """Writes something of its own into the batch."""

    def __init__(self, **fields: object) -> None:
        super().__init__(name="mynet")
        self._fields = fields

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        for name, value in self._fields.items():
            setattr(batch, name, value)


EYE = np.zeros((2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"landmarks": np.zeros((2, 30, 2), np.float32)}, r"landmarks are float32 \(2, 30, 2\)"),
        ({"landmarks": np.zeros((1, 68, 2), np.float32)}, r"landmarks are float32 \(1, 68, 2\)"),
        (
            {"landmark_scores": np.zeros((2, 1), np.float32)},
            r"landmark_scores are float32 \(2, 1\)",
        ),
        (
            {"masks": {"m": Masks("face", EYE, np.zeros((2, 9, 9, 1), np.uint8))}},
            "mask 'm'",
        ),
        ({"masks": {"m": Masks("nose", EYE, np.zeros((2, 9, 9), np.uint8))}}, "'nose'"),
        ({"identities": {"i": np.zeros((2, 8))}}, r"identity 'i' are float64 \(2, 8\)"),
    ],
)
async def test_what_a_model_writes_in_the_wrong_form_is_told_with_its_name(
    bridge: Bridge, fields: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ModelError, match=f"^mynet: .*{complaint}"):
        await Stage.faces(Writes(**fields), bridge).process_one(known(2))


async def test_a_stage_counts_what_it_did(bridge: Bridge) -> None:
    stage = Stage.detect(FakeDetector(BOXES), bridge)
    await through(stage, ExtractBatch(frames=[frame(seq=0), frame(seq=1)]), ExtractBatch(frames=[frame(seq=2)]))
    statistics = stage.statistics()
    assert (statistics.batches, statistics.frames, statistics.faces) == (2, 3, 6)


async def one_by_one(stage: Stage, *batches: ExtractBatch) -> list[ExtractBatch]:
    """``batches``, each sent when the one before is out."""
    return [done for one in batches for done in await stage.run_through(one)]


async def test_a_batch_that_is_alone_crosses_to_its_models_worker_once(bridge: Bridge) -> None:
    threads = []

    class Detector(FakeDetector):
        def pre_process(self, images: Sequence[Image]) -> list[Image]:
            threads.append(threading.current_thread().name)
            return super().pre_process(images)

        def post_process(self, raw: list[Floats], feed: list[Image]) -> list[Detections]:
            threads.append(threading.current_thread().name)
            return super().post_process(raw, feed)

    detector = Detector(BOXES)
    stage = Stage.detect(detector, bridge)
    done = await one_by_one(stage, *(ExtractBatch(frames=[frame(seq=i)]) for i in range(3)))
    assert [one.frames[0].seq for one in done] == [0, 1, 2]
    assert len(threads) == 6
    assert len(set(threads)) == 1
    assert bridge.worker(stage.name).name in threads[0]
    statistics = stage.statistics()
    assert (statistics.batches, statistics.frames, statistics.faces, statistics.pre.count) == (3, 3, 6, 3)


async def test_alone_or_overlapping_a_stage_gives_the_same(bridge: Bridge) -> None:
    for run in (through, one_by_one):
        aligner = FakeAligner(batch_size=16, fits=3)
        stage = Stage.faces(aligner, bridge)
        done = await run(stage, batch([10]), batch([0], first=1), batch([2], first=2))
        assert max(aligner.batches) <= 3
        assert np.concatenate([one.boxes for one in done])[:, 1].tolist() == [*range(10), 0, 1]
        assert stage.statistics().frames == 3
        assert stage.statistics().faces == 12
        assert stage.statistics().out_of_memory >= 1


async def test_a_single_sample_that_does_not_fit_alone_is_an_error_that_says_what_to_do(bridge: Bridge) -> None:
    with pytest.raises(OutOfDeviceMemory, match="not even one face fits"):
        await one_by_one(Stage.faces(FakeAligner(fits=0), bridge), batch([1]))
