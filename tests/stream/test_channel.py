from __future__ import annotations

import asyncio

import pytest

from facestream.stream.channel import BrokenChannel, Channel, EndOfChannel, Overload, WouldBlock


async def test_items_come_out_in_order_and_the_loop_ends_when_the_sender_closes() -> None:
    sender, receiver = Channel[int](8).ends
    for i in range(3):
        await sender.send(i)
    sender.close()
    assert [item async for item in receiver] == [0, 1, 2]
    with pytest.raises(EndOfChannel):
        await receiver.receive()


async def test_a_full_channel_makes_its_sender_wait() -> None:
    sender, receiver = Channel[int](1).ends
    await sender.send(1)
    with pytest.raises(WouldBlock):
        sender.send_nowait(2)
    waiting = asyncio.create_task(sender.send(2))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await receiver.receive() == 1
    await waiting
    assert await receiver.receive() == 2


async def test_newest_wins_drops_the_oldest_and_counts_it() -> None:
    sender, receiver = Channel[int](2, Overload.NEWEST).ends
    for i in range(5):
        await sender.send(i)
    assert [receiver.receive_nowait(), receiver.receive_nowait()] == [3, 4]
    statistics = receiver.statistics()
    assert (statistics.sent, statistics.received, statistics.dropped, statistics.peak) == (5, 2, 3, 2)


async def test_a_receiver_that_leaves_wakes_and_tells_its_sender() -> None:
    sender, receiver = Channel[int](1).ends
    await sender.send(1)
    waiting = asyncio.create_task(sender.send(2))
    await asyncio.sleep(0)
    receiver.close()
    with pytest.raises(BrokenChannel):
        await waiting
    assert sender.statistics().dropped == 1


async def test_cancelling_a_receive_loses_nothing() -> None:
    sender, receiver = Channel[int](1).ends
    waiting = asyncio.create_task(receiver.receive())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await sender.send(1)
    assert await receiver.receive() == 1


async def test_cancelling_a_send_leaves_the_item_unsent() -> None:
    sender, receiver = Channel[int](1).ends
    await sender.send(1)
    waiting = asyncio.create_task(sender.send(2))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    sender.close()
    assert [item async for item in receiver] == [1]


async def test_closing_twice_is_closing_once() -> None:
    sender, receiver = Channel[int](1).ends
    sender.close()
    sender.close()
    receiver.close()
    receiver.close()
    with pytest.raises(BrokenChannel):
        sender.send_nowait(1)


async def test_taking_from_an_empty_channel_would_block() -> None:
    _, receiver = Channel[int](1).ends
    with pytest.raises(WouldBlock):
        receiver.receive_nowait()


def test_a_channel_holds_at_least_one_item() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Channel[int](0)
