"""How a server stays as small as it was in its first minutes, for months."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from facestream.stream.allocator import give_back_unused_memory
from facestream.stream.device import Bridge

EVERY: Final = 60.0
"""Seconds; looking takes milliseconds, and what is used again must be asked for again."""


@contextmanager
def settled() -> Iterator[None]:
    """Whatever is there now stays: the garbage collector needn't look at it again.

    Among the hundreds of thousands of objects that models bring along it would come too rarely, and take too long.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def stay_small(bridge: Bridge, every: float = EVERY) -> None:
    """Now and then, let go of what nobody can reach any more. Runs until it is cancelled.

    What refers to itself in a circle, such as a connection that has ended, waits for the garbage collector, which comes
    by the number of Python's objects, not by what they hold of C's memory. It must be run in the event loop's thread,
    to which some of them belong.
    """
    while True:
        await asyncio.sleep(every)
        gc.collect()
        await bridge.cpu(give_back_unused_memory)
