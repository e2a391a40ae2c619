from __future__ import annotations

import asyncio
import gc
import weakref

from facestream.serving.memory import settled, stay_small
from facestream.stream.device import Bridge


class Ring:
    """Refers to itself, as a connection and its protocol do."""

    def __init__(self, gone: asyncio.Event) -> None:
        self.itself = self
        weakref.finalize(self, asyncio.get_running_loop().call_soon_threadsafe, gone.set)


async def test_what_refers_to_itself_is_let_go_though_the_collector_never_comes_by_itself() -> None:
    bridge, gone = Bridge("cpu"), asyncio.Event()
    gc.disable()
    try:
        Ring(gone)
        assert not gone.is_set()
        staying = asyncio.create_task(stay_small(bridge, every=0.0))
        await asyncio.wait_for(gone.wait(), 60)
        staying.cancel()
        await asyncio.wait([staying])
    finally:
        gc.enable()
        await bridge.aclose()


def test_what_was_there_before_is_not_looked_at_again() -> None:
    there = [[] for _ in range(1000)]
    with settled():
        assert gc.get_freeze_count() >= len(there)
    assert gc.get_freeze_count() == 0
