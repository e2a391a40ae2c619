from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from facestream.stream.daemon import DaemonThread
from tests.threads import left_over


def test_calls_run_one_after_another_in_one_thread() -> None:
    executor = DaemonThread("facestream-x")
    seen: list[int] = []
    futures = [executor.submit(lambda i=i: (seen.append(i), threading.current_thread().name)[1]) for i in range(20)]
    assert {future.result(60) for future in futures} == {"facestream-x"}
    assert seen == list(range(20))
    executor.shutdown()
    assert not left_over("facestream-x")


def test_an_error_belongs_to_whoever_asked() -> None:
    with DaemonThread("facestream-x") as executor:
        with pytest.raises(ZeroDivisionError):
            executor.submit(lambda: 1 / 0).result(60)
        assert executor.submit(int).result(60) == 0


def test_what_was_cancelled_in_time_never_runs() -> None:
    started, go = threading.Event(), threading.Event()
    with DaemonThread("facestream-x") as executor:
        executor.submit(lambda: (started.set(), go.wait()))
        started.wait(60)
        late = executor.submit(pytest.fail, "it ran")
        assert late.cancel()
        go.set()


def test_a_process_ends_while_a_call_hangs() -> None:
    code = (
        "import threading; from facestream.stream.daemon import DaemonThread; "
        "DaemonThread('x').submit(threading.Event().wait); print('over')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout.strip()) == (0, "over")
