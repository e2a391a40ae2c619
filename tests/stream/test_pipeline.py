from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import count

import pytest

from facestream.stream.batching import Item
from facestream.stream.channel import BrokenChannel
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import Stage
from facestream.stream.tasks import task_group
from facestream.stream.types import FrameFaces
from facestream.testing.plugins import FakeAligner, FakeDetector
from facestream.tests.stream.build import frame, known

BOXES = [(2, 2, 20, 20)]


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge(torch_threads=1) as bridge:
        yield bridge


def pipeline(bridge: Bridge, detector: FakeDetector, aligner: FakeAligner | None = None, **options: int) -> Pipeline:
    stages = [Stage.detect(detector, bridge), Stage.faces(aligner or FakeAligner(), bridge)]
    return Pipeline(stages, bridge, tracks=Tracks(), **options)


def collect(results: list[FrameFaces]) -> Callable[[FrameFaces], Awaitable[None]]:
    async def publish(faces: FrameFaces) -> None:
        results.append(faces)

    return publish


async def test_every_frame_of_a_file_comes_out_once_in_order_with_everything_known(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES), in_flight=6)
    results: list[FrameFaces] = []
    chain.gate.add("a", live=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(chain.run(collect(results)))
        for seq in range(50):
            await chain.gate.put(frame("a", seq))
        await chain.gate.close()
    assert [faces.frame.seq for faces in results] == list(range(50))
    last = results[-1]
    assert last.landmarks is not None
    assert last.aligned is not None
    assert last.tracks is not None
    assert last.tracks.tolist() == [1]


async def test_frames_without_faces_come_out_too(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector([]))
    results: list[FrameFaces] = []
    chain.gate.add("a", live=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(chain.run(collect(results)))
        for seq in range(5):
            await chain.gate.put(frame("a", seq))
        await chain.gate.close()
    assert [len(faces) for faces in results] == [0] * 5


async def test_in_overload_the_newest_frame_is_next_and_every_frame_is_accounted_for(bridge: Bridge) -> None:
    detector = FakeDetector(BOXES)
    chain = pipeline(bridge, detector)
    results: list[FrameFaces] = []
    chain.gate.add("camera", live=True)
    async with asyncio.TaskGroup() as tasks:
        with detector.held():
            tasks.create_task(chain.run(collect(results)))
            await chain.gate.put(frame("camera", 0))
            await asyncio.to_thread(detector.entered.wait)
            for seq in range(1, 100):
                await chain.gate.put(frame("camera", seq))
                await asyncio.sleep(0)
        await chain.gate.close()
    seqs = [faces.frame.seq for faces in results]
    assert seqs[0] == 0
    assert seqs[-1] == 99
    assert len(seqs) <= 4  # one on the device, one prepared, the newest, and none that grew old
    assert len(results) + sum(faces.dropped for faces in results) == 100
    statistics = chain.gate.statistics("camera")
    assert statistics.captured == len(results) + statistics.dropped


async def test_no_more_batches_are_in_flight_than_allowed(bridge: Bridge) -> None:
    detector = FakeDetector(BOXES, batch_size=1)
    chain = pipeline(bridge, detector, in_flight=2)
    results: list[FrameFaces] = []
    for name in "abcd":
        chain.gate.add(name, live=True)
    async with asyncio.TaskGroup() as tasks:
        with detector.held():
            tasks.create_task(chain.run(collect(results)))
            for name in "abcd":
                await chain.gate.put(frame(name))
            await asyncio.to_thread(detector.entered.wait)
            for _ in range(20):
                await asyncio.sleep(0)
            assert chain.batches_in_flight == 2
        await chain.gate.close()
    assert sorted(faces.frame.source for faces in results) == list("abcd")


async def test_flush_waits_for_what_was_accepted_and_the_stream_goes_on(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES))
    results: list[FrameFaces] = []
    chain.gate.add("a", live=False)
    chain.gate.add("idle", live=True)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(chain.run(collect(results)))
        for seq in range(3):
            await chain.gate.put(frame("a", seq))
        await chain.flush()
        assert len(results) == 3
        await chain.gate.put(frame("a", 3))
        await chain.flush()
        await chain.gate.close()
    assert len(results) == 4


async def everything(chain: Pipeline, items: Sequence[Item]) -> list[FrameFaces]:
    """``items``, put into a chain and waited for."""
    results: list[FrameFaces] = []
    async with task_group() as tasks:
        tasks.create_task(chain.run(collect(results)))
        for item in items:
            await chain.put(item)
        await chain.close()
    return results


async def test_a_chain_without_models_derives_what_the_landmarks_of_a_file_imply(bridge: Bridge) -> None:
    results = await everything(Pipeline([], bridge), [known(count, seq=i) for i, count in enumerate([2, 0, 1])])
    assert [(faces.frame.seq, len(faces)) for faces in results] == [(0, 2), (1, 0), (2, 1)]
    assert results[0].aligned is not None
    assert results[0].aligned.matrices.shape == (2, 3, 3)


async def test_a_chain_may_begin_with_a_model_that_looks_at_faces(bridge: Bridge) -> None:
    aligner = FakeAligner(batch_size=4)
    counts = [3, 0, 6, 1, 0]
    items = [known(count, seq=i, landmarks=False) for i, count in enumerate(counts)]
    results = await everything(Pipeline([Stage.faces(aligner, bridge)], bridge), items)
    assert [len(faces) for faces in results] == counts
    assert max(aligner.batches) <= 4
    for faces in results:
        assert faces.boxes[:, 1].tolist() == list(range(len(faces)))
        assert not len(faces) or (faces.landmarks is not None and faces.aligned is not None)


async def test_a_detector_finds_anew_what_was_known(bridge: Bridge) -> None:
    chain = Pipeline([Stage.detect(FakeDetector(BOXES), bridge)], bridge)
    (faces,) = await everything(chain, [known(3)])
    assert faces.boxes.tolist() == [list(box) for box in BOXES]
    assert faces.landmarks is None


async def test_frames_with_and_without_landmarks_share_a_chain_but_not_a_batch(bridge: Bridge) -> None:
    items = [known(2, source=str(i % 2), seq=i // 2, landmarks=bool(i % 2)) for i in range(6)]
    results = await everything(Pipeline([], bridge, in_flight=4), items)
    for source in range(2):
        mine = [faces for faces in results if faces.frame.source == str(source)]
        assert [faces.frame.seq for faces in mine] == [0, 1, 2]
        assert all((faces.landmarks is not None) == bool(source) for faces in mine)


async def test_one_frame_is_processed_beside_a_running_stream_and_not_published(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES))
    results: list[FrameFaces] = []
    chain.gate.add("a", live=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(chain.run(collect(results)))
        await chain.gate.put(frame("a", 0))
        alone = await chain.process_one(frame("other", 7))
        await chain.gate.close()
    assert alone.frame.source == "other"
    assert alone.landmarks is not None
    assert [faces.frame.source for faces in results] == ["a"]


async def test_one_frame_with_more_faces_than_a_batch_holds_is_processed_whole(bridge: Bridge) -> None:
    many = [(i, i, i + 10, i + 10) for i in range(40)]
    chain = pipeline(bridge, FakeDetector(many), FakeAligner(batch_size=16))
    assert len(await chain.process_one(frame())) == 40


async def test_a_models_error_ends_the_run_as_itself(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES, error=LookupError("broken model")))
    chain.gate.add("a", live=False)
    await chain.gate.put(frame("a", 0))
    with pytest.raises(LookupError, match="broken model"):
        await chain.run(collect([]))


async def test_results_can_be_iterated_over(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES), in_flight=4)

    async def feed() -> None:
        for seq in range(20):
            await chain.put(frame("a", seq))
        await chain.close()

    async with asyncio.TaskGroup() as tasks, chain.running() as results:
        tasks.create_task(feed())
        assert [faces.frame.seq async for faces in results] == list(range(20))


async def test_leaving_the_results_early_ends_the_run_and_whoever_feeds_it(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES))
    ended = asyncio.Event()

    async def feed() -> None:
        with pytest.raises(BrokenChannel):
            for seq in count():
                await chain.put(frame("a", seq))
        ended.set()

    async with asyncio.TaskGroup() as tasks:
        async with chain.running() as results:
            tasks.create_task(feed())
            async for faces in results:
                if faces.frame.seq == 3:
                    break
        await ended.wait()


async def test_an_error_ends_the_iteration_as_itself_with_its_own_traceback(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES, error=LookupError("broken model")))
    with pytest.raises(LookupError, match="broken model") as caught:
        async with chain.running() as results:
            await chain.put(frame("a", 0))
            async for _ in results:
                pass
    assert caught.traceback[-1].name == "_run"  # where the fake model raised it


async def test_after_an_error_nobody_waits_for_room_or_for_results(bridge: Bridge) -> None:
    detector = FakeDetector(BOXES, error=LookupError("broken model"), batch_size=1)
    chain = pipeline(bridge, detector)
    with detector.held():
        running = asyncio.create_task(chain.run(collect([])))
        await chain.put(frame("a", 0))
        flushing = asyncio.create_task(chain.flush())
        await asyncio.to_thread(detector.entered.wait)
    await asyncio.wait([running, flushing])
    assert isinstance(running.exception(), LookupError)
    assert isinstance(flushing.exception(), BrokenChannel)
    with pytest.raises(BrokenChannel):
        await chain.put(frame("a", 1))


async def test_stages_of_a_failed_pipeline_work_in_the_next_one(bridge: Bridge) -> None:
    detector = FakeDetector(BOXES, error=LookupError("broken model"))
    stages = [Stage.detect(detector, bridge)]
    with pytest.raises(LookupError):
        await everything(Pipeline(stages, bridge), [frame()])
    detector.error = None
    assert len(await everything(Pipeline(stages, bridge), [frame()])) == 1


async def test_a_pipeline_runs_once(bridge: Bridge) -> None:
    chain = Pipeline([], bridge)
    await everything(chain, [])
    with pytest.raises(RuntimeError, match="runs once"):
        await chain.run(collect([]))


async def test_a_removed_source_leaves_the_others_running(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES))
    results: list[FrameFaces] = []
    chain.gate.add("a", live=True)
    chain.gate.add("b", live=True)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(chain.run(collect(results)))
        await chain.remove("a")
        await chain.gate.put(frame("b", 0))
        await chain.flush()
        await chain.gate.close()
    assert [faces.frame.source for faces in results] == ["b"]


async def test_flushing_a_source_that_came_back_under_its_name_waits_for_its_own_frames(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES))
    results: list[FrameFaces] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(chain.run(collect(results)))
        for life in range(2):
            chain.gate.add("a", live=False)
            for seq in range(3):
                await chain.gate.put(frame("a", seq))
            await chain.flush()
            assert len(results) == 3 * (life + 1)
            await chain.remove("a")
        await chain.gate.close()


async def test_a_new_epoch_starts_new_tracks(bridge: Bridge) -> None:
    chain = pipeline(bridge, FakeDetector(BOXES))
    results: list[FrameFaces] = []
    chain.gate.add("a", live=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(chain.run(collect(results)))
        for epoch in range(2):
            for seq in range(5):
                await chain.gate.put(frame("a", seq, epoch=epoch))
        await chain.gate.close()
    first, last = results[4].tracks, results[9].tracks
    assert first is not None
    assert last is not None
    assert first.tolist() == [1]
    assert last.tolist() == [2]
