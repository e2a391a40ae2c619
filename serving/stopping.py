"""How the server is asked to stop, and what ends it when it can't.

The first SIGINT or SIGTERM asks; a SIGINT after that ends the process at once. Whatever hangs then, such as a thread
that writes to a dead disk, is given up when its time is over: nothing but leaving the process ends a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

log = logging.getLogger("facestream.serve")

GAVE_UP = 1
"""Exit code when something had to be given up."""


class Stop:
    """Turns the signals into :meth:`wait`, for the length of a block.

    Until :meth:`started` there is nothing to finish: a signal then cancels the block's task, and the block ends quietly
    for SIGTERM and with KeyboardInterrupt for SIGINT.

    Args:
        patience: seconds from :meth:`arm` on, after which the process ends whatever it is doing.
        busy: what is being waited for, for the log.
        end: ends the process with an exit code, without cleaning up.
    """

    def __init__(
        self, patience: float, busy: Callable[[], str] = lambda: "", *, end: Callable[[int], object] = os._exit
    ) -> None:
        self.busy = busy
        self._patience = patience
        self._end = end
        self._asked = asyncio.Event()
        self._signal: signal.Signals | None = None
        self._starting: asyncio.Task[object] | None = None
        self._timer: threading.Timer | None = None

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    async def wait(self) -> None:
        """Until somebody asks."""
        await self._asked.wait()

    def started(self) -> None:
        """From now on there is something to finish: whoever waits does it."""
        self._starting = None

    def ask(self, number: signal.Signals = signal.SIGTERM) -> None:
        """What a signal does."""
        if self.asked:
            return
        self._signal = number
        self._asked.set()
        _end_at_the_next_interrupt()
        self.arm()
        if self._starting is not None:
            self._starting.cancel()

    def arm(self) -> None:
        """From now on what hangs is given up. The first call counts."""
        if self._timer is None:
            # A thread of its own, as it mustn't matter which other hangs, and the bridge may be what does.
            self._timer = threading.Timer(self._patience, self._give_up)
            self._timer.daemon = True
            self._timer.start()

    def _give_up(self) -> None:
        what = self.busy()
        log.critical(
            "not finished %g s after it was to stop%s: ended by force; files may lack their last results",
            self._patience,
            what and f", still at work: {what}",
        )
        self._end(GAVE_UP)

    def __enter__(self) -> Self:
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.ask, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if self._starting is None or not self.asked or kind is not asyncio.CancelledError:
            return False
        self._starting.uncancel()
        if self._signal is signal.SIGINT:
            raise KeyboardInterrupt
        return True


def _end_at_the_next_interrupt() -> None:
    """Not by way of the event loop or of Python: either may be what hangs."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
