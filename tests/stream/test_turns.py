from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from facestream.errors import ConfigError, ModelError
from facestream.stream.channel import Channel
from facestream.stream.device import Bridge, parse_devices
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.tasks import task_group
from facestream.stream.turns import Shared, Turns
from facestream.stream.types import ExtractBatch, FrameFaces
from facestream.testing.plugins import FakeAligner, FakeDetector
from facestream.tests.stream.build import frame

BOXES = [(2, 2, 20, 20), (4, 4, 12, 12)]


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu,cpu", torch_threads=1) as bridge:
        yield bridge


async def through(stage: Stage, frames: int) -> AsyncIterator[ExtractBatch]:
    """Batches of one frame, sent through ``stage``."""
    inbound, outbound = Channel[ExtractBatch](frames), Channel[ExtractBatch](1)
    for number in range(frames):
        inbound.ends[0].send_nowait(ExtractBatch(frames=[frame(seq=number)]))
    inbound.ends[0].close()
    async with task_group() as tasks:
        tasks.create_task(stage.run(inbound.ends[1], outbound.ends[0]))
        async for done in outbound.ends[1]:
            yield done


def numbers(done: list[ExtractBatch]) -> list[int]:
    return [each.seq for one in done for each in one.frames]


async def begun(model: FakeDetector) -> None:
    """Wait until the model infers."""
    assert await asyncio.to_thread(model.entered.wait, 60)


def test_turns_come_in_the_order_in_which_work_began() -> None:
    turns = Turns()
    first, second = turns.begin(), turns.begin()
    assert (turns.has_come(first), turns.has_come(second)) == (True, False)
    turns.leave(first)
    assert turns.has_come(second)


def test_nobody_leaves_before_their_turn_or_without_having_begun() -> None:
    turns = Turns()
    turns.begin(), turns.begin()
    for turn in (1, 2):
        with pytest.raises(ValueError, match="can't leave"):
            turns.leave(turn)


async def test_shared_work_is_taken_once_each_and_ends_for_everybody() -> None:
    async def work() -> AsyncIterator[str]:
        for piece in "abcd":
            await asyncio.sleep(0)
            yield piece

    async def all_of(shared: Shared[str]) -> list[tuple[int, str]]:
        taken = []
        while (piece := await shared.take()) is not None:
            taken.append(piece)
        return taken

    shared = Shared(work())
    first, second = await asyncio.gather(all_of(shared), all_of(shared))
    assert sorted(first + second) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
    assert first
    assert second


def test_devices_are_of_one_kind() -> None:
    assert parse_devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    assert parse_devices("mps") == ("mps",)
    for text in ("cuda:0,cpu", "cpu,", ",", "auto,auto"):
        with pytest.raises(ConfigError, match="of one kind"):
            parse_devices(text)


async def test_each_device_has_its_own_worker(bridge: Bridge) -> None:
    first, second = bridge.worker("mesh", 0), bridge.worker("mesh", 1)
    assert first is not second
    assert bridge.worker("mesh", 1) is second
    assert await first.run(threading.get_ident) != await second.run(threading.get_ident)


async def test_on_gpus_each_model_has_a_worker_on_each() -> None:
    bridge = Bridge("cuda:0,cuda:1")
    names = {bridge.worker(model, replica).name for model in ("mesh", "sface") for replica in (0, 1)}
    assert len(names) == 4
    await bridge.aclose()


async def test_whoever_is_free_takes_the_next_batch_and_order_holds(bridge: Bridge) -> None:
    slow, quick = FakeDetector(BOXES), FakeDetector(BOXES)
    stage = Stage.detect(slow, bridge, 1, replicas=[quick])
    with slow.held():
        results = aiter(through(stage, 8))
        first = asyncio.ensure_future(anext(results))
        await begun(slow)
        await begun(quick)  # at the same time
        assert not first.done()
    done = [await first, *[each async for each in results]]
    assert numbers(done) == list(range(8))
    assert all(len(one) == len(BOXES) for one in done)
    assert len(slow.batches) + len(quick.batches) == 8
    assert len(quick.batches) >= 2


async def test_what_waits_for_a_slow_device_is_bounded(bridge: Bridge) -> None:
    slow, quick = FakeDetector(BOXES), FakeDetector(BOXES)
    stage = Stage.detect(slow, bridge, 1, replicas=[quick])
    with slow.held():
        results = aiter(through(stage, 100))
        first = asyncio.ensure_future(anext(results))
        await begun(slow)
        for _ in range(200):
            await asyncio.sleep(0.0005)
        assert len(quick.batches) <= 5
    assert numbers([await first, *[each async for each in results]]) == list(range(100))


async def test_batches_that_do_not_fit_are_halved_in_their_place(bridge: Bridge) -> None:
    small, large = FakeDetector(BOXES, fits=1), FakeDetector(BOXES)
    stage = Stage.detect(small, bridge, 4, replicas=[large])
    inbound, outbound = Channel[ExtractBatch](8), Channel[ExtractBatch](1)
    for start in range(0, 32, 4):
        inbound.ends[0].send_nowait(ExtractBatch(frames=[frame(seq=start + i) for i in range(4)]))
    inbound.ends[0].close()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.run(inbound.ends[1], outbound.ends[0]))
        done = [each async for each in outbound.ends[1]]
    assert numbers(done) == list(range(32))
    assert stage.batch_size == 1


async def test_an_error_on_one_device_ends_all(bridge: Bridge) -> None:
    stage = Stage.detect(FakeDetector(BOXES), bridge, 1, replicas=[FakeDetector(BOXES, error=ModelError("broken"))])
    with pytest.raises(ModelError, match="broken"):
        async for _ in through(stage, 8):
            pass


async def test_a_pipeline_on_two_devices_gives_each_frame_once_and_in_order(bridge: Bridge) -> None:
    detectors = FakeDetector(BOXES, delay=0.002), FakeDetector(BOXES)
    aligners = FakeAligner(), FakeAligner(delay=0.001)
    stages = [
        Stage.detect(detectors[0], bridge, 2, replicas=[detectors[1]]),
        Stage.faces(aligners[0], bridge, 3, replicas=[aligners[1]]),
    ]
    pipeline = Pipeline(stages, bridge)
    published: list[FrameFaces] = []

    async def publish(faces: FrameFaces) -> None:
        published.append(faces)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pipeline.run(publish))
        for number in range(60):
            await pipeline.put(frame(seq=number))
        await pipeline.close()
    assert [faces.frame.seq for faces in published] == list(range(60))
    assert all(faces.landmarks is not None and len(faces) == len(BOXES) for faces in published)
    assert all(model.batches for model in (*detectors, *aligners))
