"""Ctrl-C: the first lets a job finish what it has begun, the second ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

INTERRUPTED = 130


@contextmanager
def stopping(stop: Callable[[], None], end: Callable[[int], object] = os._exit) -> Iterator[None]:
    """While the block runs, SIGINT or SIGTERM calls ``stop``; another one calls ``end`` with the exit code 130.

    ``end`` is to end the process at once: what is recorded by then is as safe as from a kill. Where an event loop has
    no signal handlers (Windows) everything stays as it was: the first Ctrl-C cancels the job.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def on_signal() -> None:
        nonlocal asked
        if asked:
            end(INTERRUPTED)
        asked = True
        stop()

    signals = (signal.SIGINT, signal.SIGTERM)
    with suppress(NotImplementedError):
        for number in signals:
            loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)
