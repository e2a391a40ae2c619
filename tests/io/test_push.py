import asyncio

import pytest

from facestream.errors import SourceUnavailable
from facestream.io.push import PushSource
from facestream.io.sources import open_source
from facestream.stream.types import FrameKey, SourceState
from facestream.testing.sources import make_picture

PICTURE = make_picture(0)


async def test_what_is_fed_is_read_with_its_key_and_times() -> None:
    async with PushSource("phone", clock=lambda: 50.0) as source:
        source.connect()
        assert await source.feed(PICTURE, pts=7.0, captured_at=40.0) == FrameKey("phone", 0, 0)
        frame = await anext(source)
        assert (frame.key, frame.pts, frame.captured_at) == (("phone", 0, 0), 7.0, 40.0)
        assert await source.feed(PICTURE) == FrameKey("phone", 0, 1)
        frame = await anext(source)
        assert (frame.pts, frame.captured_at) == (10.0, 50.0)
        assert source.size == (64, 48)
        assert source.statistics().captured == 2


async def test_it_is_live_while_somebody_pushes_and_says_when_nobody_does() -> None:
    source = open_source("push:phone")
    assert isinstance(source, PushSource)
    assert source.live
    states: list[tuple[SourceState, str]] = [(source.state, source.reason)]
    source.on_state(lambda state, reason: states.append((state, reason)))
    async with source:
        source.connect()
        await source.feed(PICTURE)
        await anext(source)
        source.disconnect()
        source.disconnect()
    assert states == [
        (SourceState.CONNECTING, "waiting for a pusher"),
        (SourceState.CONNECTING, "waiting for the first picture"),
        (SourceState.LIVE, ""),
        (SourceState.CONNECTING, "waiting for a pusher"),
        (SourceState.STOPPED, ""),
    ]


async def test_each_pusher_is_an_epoch() -> None:
    async with PushSource("phone") as source:
        for epoch in range(3):
            source.connect()
            await source.feed(PICTURE)
            assert (await anext(source)).key == ("phone", epoch, 0)
            source.disconnect()
        assert source.statistics().epoch == 2


async def test_there_is_one_pusher_at_a_time() -> None:
    async with PushSource("phone") as source:
        source.connect()
        with pytest.raises(SourceUnavailable, match="push:phone has a pusher"):
            source.connect()


async def test_feeding_takes_a_connection() -> None:
    async with PushSource("phone") as source:
        with pytest.raises(RuntimeError, match="without connect"):
            await source.feed(PICTURE)


async def test_a_feeder_waits_until_its_last_picture_is_taken() -> None:
    async with PushSource("phone") as source, asyncio.TaskGroup() as tasks:
        source.connect()
        await source.feed(PICTURE)
        second = tasks.create_task(source.feed(PICTURE))
        await asyncio.sleep(0)
        assert not second.done()
        assert (await anext(source)).seq == 0
        assert (await second).seq == 1
        assert (await anext(source)).seq == 1


async def test_a_cancelled_feed_spends_no_number() -> None:
    async with PushSource("phone") as source:
        source.connect()
        await source.feed(PICTURE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await source.feed(PICTURE)
        await anext(source)
        assert (await source.feed(PICTURE)).seq == 1
        assert source.statistics().captured == 1


async def test_closing_frees_feeders_and_readers() -> None:
    source = await PushSource("phone").__aenter__()
    source.connect()
    await source.feed(PICTURE)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(refused_feed(source))
        await asyncio.sleep(0)
        await source.aclose()
        await source.aclose()
        await waiting
    assert [frame async for frame in source] == []
    assert source.statistics().captured == 0
    with pytest.raises(SourceUnavailable, match="closed"):
        source.connect()


async def refused_feed(source: PushSource) -> None:
    with pytest.raises(SourceUnavailable, match="closed"):
        await source.feed(PICTURE)


async def test_a_waiting_reader_ends_when_the_source_closes() -> None:
    source = await PushSource("phone").__aenter__()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(anext(source, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await source.aclose()
        assert await reading is None


async def test_every_picture_fed_is_read_exactly_once() -> None:
    async def push(source: PushSource, count: int) -> None:
        source.connect()
        for _ in range(count):
            await source.feed(PICTURE)
        source.disconnect()

    async with PushSource("phone") as source, asyncio.TaskGroup() as tasks:
        tasks.create_task(push(source, 100))
        assert [(await anext(source)).seq for _ in range(100)] == list(range(100))
        assert source.statistics().captured == 100
