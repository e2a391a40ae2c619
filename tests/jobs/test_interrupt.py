from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from facestream.jobs.interrupt import stopping

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="event loops have no signal handlers there")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_stops_and_the_second_ends_at_once(number: signal.Signals) -> None:
    stopped, ended, codes = asyncio.Event(), asyncio.Event(), []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    with stopping(stopped.set, end):
        os.kill(os.getpid(), number)
        await stopped.wait()
        assert not codes
        os.kill(os.getpid(), number)
        await ended.wait()
    assert codes == [130]


async def test_afterwards_ctrl_c_is_what_it_was() -> None:
    with stopping(lambda: None):
        pass
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
