from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from facestream.jobs.outflow import Outflow
from facestream.stream.hub import Hub
from facestream.stream.types import FrameFaces, SourceState
from facestream.testing.plugins import FakeDetector
from facestream.testing.sources import FakeSource
from facestream.tests.io.hanging import HangingCamera
from facestream.tests.stream.build import frame
from tests.jobs.living import BOXES, Notebook, info, live, start, until
from tests.threads import left_over


async def test_what_is_in_flight_reaches_the_sinks():
    notebook = Notebook()
    async with live(FakeDetector(BOXES, delay=0.01), notebook) as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=200))
        await until(session, lambda: session.sources()[0].processed >= 3)
        assert await session.drain(10) == []
        (door,) = session.sources()
        assert len(notebook.results) == door.processed == door.captured - door.dropped
        assert notebook.finalised == 0
    assert notebook.finalised == 1


async def test_a_sink_that_takes_nothing_is_given_up_and_finalised_all_the_same():
    stuck = Notebook(gate=asyncio.Event())
    async with live(None, stuck) as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=200))
        await until(session, lambda: session.sources()[0].processed >= 3)
        assert "Notebook" in await session.drain(0.01)
    assert stuck.finalised == 1


async def test_a_camera_whose_driver_hangs_costs_no_result_and_no_longer_than_it_may_take():
    camera = HangingCamera(patience=600)
    notebook = Notebook()
    async with asyncio.timeout(60), live(FakeDetector(BOXES), notebook) as session:
        await start(session, camera.source())
        await start(session, FakeSource("door", frames=None, live=True, rate=200))
        await asyncio.to_thread(camera.readers[0].hung.wait)
        await until(session, lambda: info(session, "door").processed >= 3)
        assert await session.drain(0.5) == []
        assert len(notebook.results) == info(session, "door").processed
    assert info(session, "cam").state is SourceState.STOPPED
    camera.free()
    assert not left_over("facestream-cam")


async def test_a_session_may_publish_on_a_hub_that_was_there_before():
    hub = Hub()
    async with live(hub=hub) as session, hub.subscribe() as results:
        await start(session, FakeSource("door", frames=3))
        async with asyncio.timeout(60):
            assert (await anext(results)).frame.source == "door"


async def test_a_result_that_comes_when_a_sink_was_given_up_ends_nothing():
    stuck = Notebook(gate=asyncio.Event())
    outflow = Outflow(Hub(), [stuck], None, biometrics=True)
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
        await outflow.enter_sinks(stack)
        outflow.start(tasks)
        await asyncio.sleep(0)
        outflow.writing[0].cancel()
        await asyncio.wait(outflow.writing)
        await outflow.publish(FrameFaces(frame=frame()))
