from __future__ import annotations

import asyncio

from facestream.stream.signal import Signal


async def test_who_waits_goes_on_when_it_holds_and_in_the_order_of_coming() -> None:
    signal, room, taken = Signal(), [1], list[str]()

    async def take(name: str) -> None:
        await signal.wait_for(lambda: room)
        room.pop()
        taken.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(take(name))
        await asyncio.sleep(0)
        assert taken == ["a"]
        signal.tell()
        await asyncio.sleep(0)
        assert taken == ["a"]
        room.append(1)
        signal.tell()
        await asyncio.sleep(0)
        assert taken == ["a", "b"]
        room.append(1)
        signal.tell()
    assert taken == ["a", "b", "c"]


async def test_who_is_cancelled_while_waiting_takes_nothing_along() -> None:
    signal, open_ = Signal(), asyncio.Event()
    first, second = (asyncio.create_task(signal.wait_for(open_.is_set)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    open_.set()
    signal.tell()
    await second
    assert first.cancelled()
