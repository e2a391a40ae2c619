import asyncio

import pytest

from facestream.errors import SourceUnavailable
from facestream.stream.types import Source
from facestream.testing.sources import FakeSource, make_picture


async def test_a_fake_file_gives_its_frames_and_ends() -> None:
    source = FakeSource(frames=3, size=(32, 16))
    assert isinstance(source, Source)
    async with source:
        frames = [frame async for frame in source]
    assert [frame.key for frame in frames] == [("fake", 0, 0), ("fake", 0, 1), ("fake", 0, 2)]
    assert frames[0].size == source.size == (32, 16)
    assert (source.count, source.statistics().captured, source.opened, source.closed) == (3, 3, 1, 1)


async def test_a_fake_gives_the_pictures_it_was_given() -> None:
    pictures = [make_picture(7), make_picture(8)]
    async with FakeSource(frames=pictures) as source:
        assert [frame.image is picture async for frame in source for picture in pictures].count(True) == 2


async def test_lost_frames_leave_gaps_in_the_numbers() -> None:
    async with FakeSource(frames=6, lost={0, 3, 4}) as source:
        assert [frame.seq async for frame in source] == [1, 2, 5]


async def test_it_fails_where_it_should() -> None:
    async with FakeSource(frames=None, fail_at=2) as source:
        assert [(await anext(source)).seq for _ in range(2)] == [0, 1]
        with pytest.raises(SourceUnavailable):
            await anext(source)
    with pytest.raises(SourceUnavailable):
        await FakeSource(fail_at=0).__aenter__()


async def test_its_rate_spaces_the_frames() -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    async with FakeSource(frames=3, rate=10, sleep=wait) as source:
        assert [frame.pts async for frame in source] == [0.0, 0.1, 0.2]
    assert set(waits) == {0.1}


async def test_a_closed_gate_holds_frames_back() -> None:
    gate = asyncio.Event()
    async with FakeSource(frames=1, gate=gate) as source, asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(anext(source))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert not reading.done()
        gate.set()
        assert (await reading).seq == 0
