from __future__ import annotations

import asyncio

from facestream.stream.hub import Hub
from facestream.testing.plugins import FakeDetector
from facestream.testing.sources import FakeSource
from tests.jobs.living import BOXES, Notebook, live, start, until


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
        assert await session.drain(0.01) == ["Notebook"]
    assert stuck.finalised == 1


async def test_a_session_may_publish_on_a_hub_that_was_there_before():
    hub = Hub()
    async with live(hub=hub) as session, hub.subscribe() as results:
        await start(session, FakeSource("door", frames=3))
        async with asyncio.timeout(10):
            assert (await anext(results)).frame.source == "door"
