"""Cameras of different rates and sizes beside each other: none starves, whoever else there is."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.stream.batching import FrameQueue
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import Frame, FrameFaces
from facestream.testing.plugins import FakeDetector
from facestream.tests.stream.build import frame

RATES = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@settings(max_examples=40)
@given(rates=RATES, batch_size=st.integers(1, 8), files=st.integers(0, 2), per_batch=st.integers(1, 5))
def test_whoever_waits_is_served_within_one_round(
    rates: list[int], batch_size: int, files: int, per_batch: int
) -> None:
    """Rates are frames in 60 ticks; the models take a batch each ``per_batch`` ticks."""
    queue = FrameQueue()
    for camera in range(len(rates)):
        queue.add(f"camera{camera}", live=True)
    for file in range(files):
        queue.add(f"file{file}", live=False, capacity=batch_size)
    round_length = -(-(len(rates) + files) // batch_size)
    waited = Counter[str]()
    for tick in range(120):
        for camera, rate in enumerate(rates):
            if tick * rate // 60 != (tick + 1) * rate // 60:
                queue.offer(frame(f"camera{camera}", tick, size=(1, 1)))
        for file in range(files):
            while queue.has_room(f"file{file}"):
                queue.offer(frame(f"file{file}", tick, size=(1, 1)))
        if tick % per_batch:
            continue
        waiting = [source for source in queue.sources() if queue.statistics(source).waiting]
        taken = Counter(faces.frame.source for faces in queue.take(batch_size))
        assert all(taken[f"camera{camera}"] <= 1 for camera in range(len(rates)))
        assert sum(taken.values()) == batch_size or all(source in taken for source in waiting)
        for source in waiting:
            waited[source] = 0 if source in taken else waited[source] + 1
            assert waited[source] < round_length


def camera_frame(source: str, seq: int, size: tuple[int, int]) -> Frame:
    width, height = size
    image = np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))  # of any size in no memory
    return Frame(source, 0, seq, seq / 25, seq / 25, image)


async def test_a_4k_camera_takes_no_turns_from_small_ones_beside_it() -> None:
    sizes = {"hall": (3840, 2160), "door": (640, 360), "yard": (640, 360)}
    seen: list[str] = []
    async with Bridge(torch_threads=1) as bridge:
        chain = Pipeline([Stage.detect(FakeDetector(batch_size=2), bridge)], bridge, in_flight=1)
        for source in sizes:
            chain.gate.add(source, live=True)

        async def publish(faces: FrameFaces) -> None:
            source = faces.frame.source
            seen.append(source)
            if len(seen) < 60:
                await chain.put(camera_frame(source, faces.frame.seq + 1, sizes[source]))
            else:
                await chain.close()

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(chain.run(publish))
            for source in sizes:
                await chain.put(camera_frame(source, 0, sizes[source]))
            await asyncio.wait([running])
    counts = Counter(seen[:60])
    assert max(counts.values()) - min(counts.values()) <= 2


@pytest.mark.parametrize("live", [True, False])
def test_frames_passed_over_count_as_captured_and_dropped_and_take_no_turn(live: bool) -> None:
    queue = FrameQueue()
    queue.add("a", live=live)
    for seq in range(10):
        if seq % 4 == 0:
            queue.offer(frame("a", seq))
            (taken,) = queue.take(4)
            assert taken.dropped == (3 if seq else 0)
        else:
            queue.pass_over("a")
    statistics = queue.statistics("a")
    assert (statistics.captured, statistics.taken, statistics.dropped, statistics.limited) == (10, 3, 7, 7)


def test_a_source_of_another_kind_keeps_its_counts_and_drops_what_a_live_one_would_not_have_kept() -> None:
    queue = FrameQueue()
    queue.add("a", live=False, capacity=3)
    for seq in range(3):
        queue.offer(frame("a", seq))
    queue.change("a", live=True)
    queue.offer(frame("a", 3))
    (taken,) = queue.take(4)
    assert (taken.frame.seq, taken.dropped) == (3, 3)
    statistics = queue.statistics("a")
    assert (statistics.captured, statistics.taken, statistics.dropped) == (4, 1, 3)
