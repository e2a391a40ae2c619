from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from facestream.serving.systemd import Notifier, Reporter, Watchdog


class Systemd:
    """The socket that systemd listens on."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        lines: list[str] = []
        while True:
            try:
                lines += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path):
    systemd = Systemd(str(tmp_path / "notify"))
    yield systemd
    systemd.close()


@pytest.fixture
def notifier(systemd: Systemd, tmp_path: Path) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "notify")})


def test_systemd_hears_what_is_sent(systemd, notifier):
    notifier.send(READY=1, STATUS="two\nlines")
    assert systemd.heard() == ["READY=1", "STATUS=two lines"]


def test_a_socket_may_have_an_abstract_name():
    systemd = Systemd(f"\0facestream-test-{os.getpid()}")
    Notifier(f"@facestream-test-{os.getpid()}").send(STOPPING=1)
    assert systemd.heard() == ["STOPPING=1"]
    systemd.close()


def test_without_systemd_nothing_happens(tmp_path):
    Notifier.from_environment({}).send(READY=1)
    Notifier(str(tmp_path / "nobody")).send(READY=1)


@pytest.mark.parametrize(
    "environment", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}]
)
def test_a_watchdog_is_there_only_when_systemd_asks_this_process_for_it(environment):
    assert Watchdog.from_environment(environment, pid=7) is None


def test_signs_of_life_come_three_times_within_the_time():
    watchdog = Watchdog.from_environment({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, pid=7)
    assert watchdog is not None
    assert [now for now in range(31) if watchdog.due(now, alive=True)] == [0, 10, 20, 30]


def test_what_is_stuck_gives_no_sign_until_it_goes_on():
    watchdog = Watchdog(3)
    assert not watchdog.due(0, alive=False)
    assert watchdog.due(5, alive=True)


def test_each_change_of_status_is_told_once(systemd, notifier):
    status = ["loading"]
    reporter = Reporter(notifier, Watchdog(30), alive=lambda: True, status=lambda: status[0])
    for now in range(3):
        reporter.beat(now)
    status[0] = "1 live"
    reporter.ready()
    reporter.beat(4)
    reporter.stopping()
    assert systemd.heard() == [
        *("WATCHDOG=1", "STATUS=loading", "READY=1", "STATUS=1 live"),
        *("STOPPING=1", "STATUS=stopping"),
    ]
