from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from facestream.stream.threads import Threads
from tests.threads import left_over, ours

UNDER_WAY = """
import asyncio, threading
from facestream.stream.threads import Threads

go_on = threading.Event()

async def main():
    begun = threading.Event()
    threads = Threads("x", awaited={awaited})
    threads.need(1)
    call = lambda: (begun.set(), {call}, print("done"))
    threads.call(print, asyncio.get_running_loop().create_future(), call, ())
    begun.wait()

asyncio.run(main())
print("over", flush=True)
threading.Timer(0.2, go_on.set).start()
"""


async def outcome(threads: Threads, function: Any, *args: object) -> tuple[Any, BaseException | None]:
    future = asyncio.get_running_loop().create_future()
    threads.call(lambda given, *both: given.set_result(both), future, function, args)
    both: tuple[Any, BaseException | None] = await future
    return both


async def test_what_comes_of_a_call_is_told_on_its_event_loop() -> None:
    threads = Threads("facestream-x")
    threads.need(1)
    here = threading.current_thread().name
    there, error = await outcome(threads, lambda: threading.current_thread().name)
    assert (there, error) == ("facestream-x", None)
    assert there != here
    result, error = await outcome(threads, lambda: 1 / 0)
    assert result is None
    assert isinstance(error, ZeroDivisionError)
    assert (await outcome(threads, int, "7")) == (7, None)
    threads.end()
    threads.end()
    assert not left_over("facestream-x")


async def test_there_are_no_more_threads_than_were_needed() -> None:
    threads = Threads("facestream-x", 3)
    threads.need(2)
    assert len(ours("facestream-x")) == 2
    threads.need(1)
    threads.need(9)
    assert len(ours("facestream-x")) == 3
    threads.end()
    assert not left_over("facestream-x")


def test_a_call_may_outlive_its_event_loop() -> None:
    threads, begun, go_on = Threads("facestream-x"), threading.Event(), threading.Event()
    threads.need(1)

    async def begin() -> None:
        future = asyncio.get_running_loop().create_future()
        threads.call(pytest.fail, future, lambda: (begun.set(), go_on.wait()), ())
        begun.wait()

    asyncio.run(begin())
    go_on.set()
    threads.end()


@pytest.mark.parametrize(
    ("awaited", "call", "said"), [(True, "go_on.wait()", "over\ndone\n"), (False, "threading.Event().wait()", "over\n")]
)
def test_a_process_ends_after_its_calls_unless_they_may_hang(awaited: bool, call: str, said: str) -> None:
    code = UNDER_WAY.format(awaited=awaited, call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
