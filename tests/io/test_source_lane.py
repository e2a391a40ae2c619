from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator

import pytest

from facestream.errors import SourceUnavailable
from facestream.io.source_lane import MOST_HANGING, SourceLane
from facestream.stream.device import Lane
from facestream.stream.types import SourceState
from facestream.tests.io.hanging import HangingCamera
from tests.threads import left_over, ours


@pytest.fixture
async def camera() -> AsyncIterator[HangingCamera]:
    camera = HangingCamera()
    yield camera
    camera.free()
    assert not left_over("facestream-cam")


@pytest.mark.parametrize("at", ["open", "read"])
async def test_a_camera_whose_driver_hangs_is_opened_anew_in_another_thread(
    at: str, caplog: pytest.LogCaptureFixture
) -> None:
    camera = HangingCamera(at=at)
    states: list[tuple[SourceState, str]] = []
    source = camera.source()
    source.on_state(lambda state, reason: states.append((state, reason)))
    async with asyncio.timeout(60), source:
        assert (await anext(source)).epoch == 0
    assert states[0][0] is SourceState.DEGRADED
    assert "cam hangs" in states[0][1]
    assert [r.levelno for r in caplog.records if "leaving its thread behind" in r.message] == [logging.ERROR]
    camera.free()
    assert await asyncio.to_thread(camera.readers[0].closed.wait, 60)


async def test_closing_a_source_that_hangs_is_bounded(camera: HangingCamera) -> None:
    source = camera.source()
    async with asyncio.timeout(60), source:
        reading = asyncio.ensure_future(anext(source))
        await asyncio.to_thread(camera.readers[0].hung.wait)
        reading.cancel()
        await asyncio.wait([reading])
    assert source.state is SourceState.STOPPED
    assert not camera.readers[0].closed.is_set()


@pytest.mark.parametrize("at", ["open", "read"])
async def test_whoever_stops_waiting_for_a_camera_that_hangs_has_stopped(at: str) -> None:
    camera = HangingCamera(at=at)
    async with asyncio.timeout(60), camera.source() as source:
        reading = asyncio.ensure_future(anext(source))
        await asyncio.to_thread(camera.readers[0].hung.wait)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
    camera.free()
    assert not left_over("facestream-cam")


async def test_what_hangs_is_tried_again_only_so_often() -> None:
    camera = HangingCamera(hanging=MOST_HANGING)
    source = camera.source()
    async with asyncio.timeout(60), source:
        reading = asyncio.ensure_future(anext(source))
        given_up = asyncio.Event()
        source.on_state(lambda _, reason: given_up.set() if "connections to cam hang" in reason else None)
        await given_up.wait()
        assert len(ours("facestream-cam")) == MOST_HANGING
        camera.free()
        await reading
    assert not left_over("facestream-cam")


async def test_a_lane_that_does_not_hang_stays() -> None:
    lane = SourceLane("cam", lambda: Lane("cam", patience=10))
    first = lane.get()
    await first.run(int)
    await lane.leave_if_hung()
    assert lane.get() is first
    await lane.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await first.run(int)


async def test_too_many_hanging_threads_are_a_source_that_is_not_there() -> None:
    free = threading.Event()
    lane = SourceLane("cam", lambda: Lane("cam", patience=0.01))
    for _ in range(MOST_HANGING):
        with pytest.raises(RuntimeError, match="hangs"):
            await lane.get().run(free.wait)
        await lane.leave_if_hung()
    with pytest.raises(SourceUnavailable, match="connections to cam hang"):
        lane.get()
    free.set()
    assert not left_over("facestream-cam")
