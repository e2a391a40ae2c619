from __future__ import annotations

import asyncio

import pytest

from facestream.stream.channel import BrokenChannel, EndOfChannel
from facestream.stream.gate import FrameGate
from facestream.tests.stream.build import frame


async def settled() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lossless_reader_waits_for_room() -> None:
    gate = FrameGate(capacity=1)
    gate.add("a", live=False)
    await gate.put(frame("a", 0))
    waiting = asyncio.create_task(gate.put(frame("a", 1)))
    await settled()
    assert not waiting.done()
    assert [taken.frame.seq for taken in await gate.take(4)] == [0]
    await waiting
    assert [taken.frame.seq for taken in await gate.take(4)] == [1]


async def test_a_live_reader_never_waits() -> None:
    gate = FrameGate()
    gate.add("a", live=True)
    for seq in range(100):
        await gate.put(frame("a", seq))
    assert [taken.frame.seq for taken in await gate.take(4)] == [99]
    assert gate.statistics("a").dropped == 99


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("turns", range(5))
async def test_whoever_is_cancelled_putting_knows_that_the_frame_was_not_offered(turns: int, live: bool) -> None:
    gate = FrameGate()
    gate.add("a", live=live)
    putting = asyncio.create_task(gate.put(frame("a", 0)))
    for _ in range(turns):
        await asyncio.sleep(0)
    putting.cancel()
    await asyncio.wait([putting])
    assert gate.statistics("a").captured == (0 if putting.cancelled() else 1)


async def test_taking_waits_for_the_first_frame_and_no_longer() -> None:
    gate = FrameGate()
    gate.add("a", live=True)
    taking = asyncio.create_task(gate.take(8))
    await settled()
    assert not taking.done()
    await gate.put(frame("a", 0))
    assert len(await taking) == 1


async def test_removing_a_source_frees_a_reader_that_waits_for_room() -> None:
    gate = FrameGate(capacity=1)
    gate.add("a", live=False)
    await gate.put(frame("a", 0))
    waiting = asyncio.create_task(gate.put(frame("a", 1)))
    await settled()
    assert (await gate.remove("a")).dropped == 1
    with pytest.raises(BrokenChannel):
        await waiting


async def test_after_closing_what_waits_is_still_taken() -> None:
    gate = FrameGate()
    gate.add("a", live=True)
    await gate.put(frame("a", 0))
    await gate.close()
    await gate.close()
    with pytest.raises(BrokenChannel):
        await gate.put(frame("a", 1))
    assert len(await gate.take(4)) == 1
    with pytest.raises(EndOfChannel):
        await gate.take(4)


async def test_cancelling_a_take_loses_nothing() -> None:
    gate = FrameGate()
    gate.add("a", live=True)
    taking = asyncio.create_task(gate.take(1))
    await settled()
    taking.cancel()
    await asyncio.wait([taking])
    await gate.put(frame("a", 0))
    assert len(await gate.take(1)) == 1
