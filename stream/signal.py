"""A condition variable for the tasks of one event loop, without a lock: between two awaits nobody else runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """Says that something has changed, to those who wait for what may be so then.

    :class:`asyncio.Condition` does this, too, with a lock around it that costs more than all else, for each frame.
    """

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Have everyone who waits look again, in the order in which they came."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait_for(self, holds: Callable[[], object]) -> None:
        """Return as soon as ``holds()``, which is asked now and each time that something has changed. It still holds
        when this returns. Cancelling loses nothing.
        """
        while not holds():
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            finally:
                if future in self._waiting:  # cancelled
                    self._waiting.remove(future)
