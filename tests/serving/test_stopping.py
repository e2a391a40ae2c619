from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from facestream.serving.stopping import GAVE_UP, Stop


class Ended:
    """Stands in for the end of the process."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.happened = threading.Event()

    def __call__(self, code: int) -> None:
        self.code = code
        self.happened.set()


async def served(stop: Stop, number: signal.Signals) -> str:
    with stop:
        stop.started()
        os.kill(os.getpid(), number)
        await stop.wait()
        return "finished"


@pytest.fixture(autouse=True)
def interrupts_as_before():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_whoever_waits_is_told_and_finishes(number):
    assert await served(Stop(60), number) == "finished"


async def test_nothing_ends_a_stop_that_takes_its_time_but_not_too_long():
    ended = Ended()
    await served(Stop(60, end=ended), signal.SIGTERM)
    assert ended.code is None


async def test_what_hangs_is_given_up_with_one_line(caplog):
    ended = Ended()
    with Stop(0.01, lambda: "FaceSaver", end=ended) as stop:
        stop.started()
        stop.ask()
        assert await asyncio.to_thread(ended.happened.wait, 10)
    assert ended.code == GAVE_UP
    (line,) = [record.getMessage() for record in caplog.records if record.name == "facestream.serve"]
    assert "FaceSaver" in line


async def test_sigterm_before_there_is_anything_to_finish_ends_quietly():
    with Stop(60):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
    assert not asyncio.current_task().cancelling()


async def test_a_cancellation_that_is_not_ours_goes_on():
    async def block():
        with Stop(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_second_ctrl_c_ends_the_process_at_once():
    code = """if True:
        import asyncio, os, signal, time
        from facestream.serving.stopping import Stop

        async def main():
            with Stop(60) as stop:
                stop.started()
                os.kill(os.getpid(), signal.SIGINT)
                await stop.wait()
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)

        asyncio.run(main())
    """
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -signal.SIGINT
