from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref

import pytest

from facestream.stream import device
from facestream.stream.device import Bridge, DeviceMemory, Lane, LaneForsaken, available_cores
from tests.threads import left_over


async def test_a_lane_runs_its_calls_one_after_another_in_one_thread() -> None:
    lane = Lane("camera")
    seen: list[int] = []
    await asyncio.gather(*(lane.run(seen.append, i) for i in range(20)))
    names = {await lane.run(lambda: threading.current_thread().name) for _ in range(5)}
    await lane.aclose()
    assert seen == list(range(20))
    assert len(names) == 1


async def test_closing_waits_for_an_abandoned_call_and_leaves_no_thread() -> None:
    lane = Lane("camera")
    started, go, ended = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        started.set()
        go.wait()
        ended.set()

    waiting = asyncio.create_task(lane.run(call))
    await asyncio.to_thread(started.wait)
    waiting.cancel()
    await asyncio.wait([waiting])
    closing = asyncio.create_task(lane.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    go.set()
    await closing
    assert ended.is_set()
    await lane.aclose()
    assert not left_over()


async def test_a_bridge_is_idle_once_calls_that_nobody_waits_for_are_over() -> None:
    started, go = threading.Event(), threading.Event()

    def call() -> None:
        started.set()
        go.wait()

    async with Bridge("cpu", cpu_workers=1) as bridge:
        waiting = asyncio.create_task(bridge.worker("detect").run(call))
        await asyncio.to_thread(started.wait)
        waiting.cancel()
        await asyncio.wait([waiting])
        idle = asyncio.create_task(bridge.idle())
        await bridge.worker("align").run(int)
        assert not idle.done()
        go.set()
        await idle


async def test_an_error_in_the_thread_is_the_callers() -> None:
    lane = Lane("x")
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 / 0)
    await lane.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await lane.run(int)


async def test_inference_is_never_concurrent_and_cpu_work_is_bounded() -> None:
    inside, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def infer() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        with lock:
            inside -= 1

    async with Bridge(cpu_workers=2) as bridge:
        await asyncio.gather(*(bridge.infer(infer) for _ in range(50)))
        await asyncio.gather(bridge.cpu(both.wait), bridge.cpu(both.wait))
    assert most == 1
    assert not left_over()


async def test_a_bridge_closes_the_lanes_that_were_forgotten() -> None:
    async with Bridge() as bridge:
        lane = bridge.lane("forgotten")
        await lane.run(int)
    assert not left_over()


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1


async def test_models_have_a_thread_each_and_take_turns_on_apples_gpu() -> None:
    async with Bridge("mps") as bridge:  # making one touches no device
        assert bridge.worker("detect") is bridge.worker("align")
    async with Bridge("cpu") as bridge:
        assert bridge.worker("detect") is not bridge.worker("align")
    async with Bridge("cuda:1") as bridge:
        names = [await bridge.worker(model).run(lambda: threading.current_thread().name) for model in ("a", "b", "a")]
    assert names[0] == names[2] != names[1]
    with pytest.raises(RuntimeError, match="closed"):
        await bridge.worker("a").run(int)


async def test_a_call_that_hangs_is_left_behind_and_closing_does_not_wait_for_it() -> None:
    free, closed = threading.Event(), threading.Event()
    async with Bridge(torch_threads=1) as bridge:
        lane = bridge.lane("camera", patience=0.02)
        with pytest.raises(LaneForsaken, match="'camera' hangs"):
            await lane.run(free.wait)
        assert lane.forsaken
        with pytest.raises(LaneForsaken):
            await lane.run(closed.set)  # it will run if the call before it returns
        await lane.aclose()
        assert not closed.is_set()
    free.set()
    assert await asyncio.to_thread(closed.wait, 60)
    assert not left_over()


async def test_a_lane_with_patience_waits_for_a_call_that_returns_in_time() -> None:
    lane = Lane("camera", patience=30.0)
    assert await lane.run(lambda: 7) == 7
    await lane.aclose()
    assert not lane.forsaken
    assert not left_over()


async def test_a_call_that_returns_while_the_event_loop_is_held_up_does_not_hang() -> None:
    lane = Lane("camera", patience=0.1)
    returning = threading.Event()
    waiting = asyncio.create_task(lane.run(returning.set))
    await asyncio.sleep(0)
    returning.wait()
    time.sleep(0.5)  # noqa: ASYNC251 - that is what it is about
    await waiting
    await lane.aclose()
    assert not lane.forsaken


async def test_closing_a_lane_while_it_hangs_ends_when_its_patience_does() -> None:
    free = threading.Event()
    lane = Lane("camera", patience=0.05)
    waiting = asyncio.create_task(lane.run(free.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    async with asyncio.timeout(60):
        await lane.aclose()
    assert lane.forsaken
    free.set()
    assert not left_over()


@pytest.mark.parametrize("patience", [None, 10.0])
async def test_what_a_call_that_failed_worked_with_is_let_go_of_without_the_garbage_collector(
    patience: float | None, no_garbage_collector: None
) -> None:
    class Camera:
        def read(self) -> None:
            raise OSError("it is lost")

    async with Bridge(torch_threads=1) as bridge:
        lane = bridge.lane("camera", patience=patience)
        camera = Camera()
        gone = weakref.ref(camera)
        with contextlib.suppress(OSError):
            await lane.run(camera.read)
        del camera
        await lane.run(int)  # the thread has let go of the call before
        assert gone() is None


async def test_memory_is_told_of_each_gpu_and_of_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_memory_of", lambda name: DeviceMemory(1, 2, 3, 4 + int(name[-1])))
    assert Bridge("cuda:0,cuda:1").memory() == {
        "cuda:0": DeviceMemory(1, 2, 3, 4),
        "cuda:1": DeviceMemory(1, 2, 3, 5),
    }
    assert Bridge("cpu").memory() == {}
