"""What the checks of sources and sinks share: waiting, but not for ever, and seeing what is left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from typing import Final

_OF_OTHERS: Final = ("asyncio_", "facestream-cpu-pool")  # threads of the loop's own and of the bridge
_PATIENCE: Final = 20.0  # s; what takes longer hangs


def require(met: bool, name: str, complaint: str) -> None:
    """
    Raises:
        AssertionError: not ``met``; the message names the culprit.
    """
    if not met:
        raise AssertionError(f"{name}: {complaint}")


async def ended(name: str, what: str, waiting: Awaitable[object]) -> None:
    """Wait for it, but not for ever."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await waiting
    except TimeoutError:
        raise AssertionError(f"{name}: {what} doesn't end within {_PATIENCE:.0f} s") from None


class Leftovers:
    """What a source or sink leaves behind: compares threads and tasks with those of before."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._tasks = asyncio.all_tasks()

    async def require_none(self, name: str, when: str) -> None:
        await asyncio.sleep(0)  # a task that has just been cancelled ends in the loop's next turn
        threads = [
            thread.name
            for thread in set(threading.enumerate()) - self._threads
            if not thread.name.startswith(_OF_OTHERS)
        ]
        require(not threads, name, f"leaves threads behind {when}: {', '.join(threads)}")
        tasks = [task.get_name() for task in asyncio.all_tasks() - self._tasks]
        require(not tasks, name, f"leaves tasks behind {when}: {', '.join(tasks)}")
