"""What systemd is told of a service of ``Type=notify``: https://www.freedesktop.org/software/systemd/man/sd_notify.html."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

PINGS: Final = 3
"""Signs of life within the time after which systemd takes a service for dead."""


class Notifier:
    """Sends datagrams to the socket that systemd names; without one it does nothing.

    Args:
        address: a path, or ``@name`` for one in the abstract namespace; "" for nobody.
    """

    def __init__(self, address: str = "") -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Notifier:
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def send(self, **fields: str | int) -> None:
        """``READY=1``, ``STATUS="…"`` and the like. Never waits: what can't be sent now is left out."""
        if not self._address:
            return
        text = "\n".join(f"{name}={str(value).replace(chr(10), ' ')}" for name, value in fields.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with suppress(OSError):  # systemd is busy or gone; there is nobody else to tell
                sender.sendto(text.encode(), self._address)


class Watchdog:
    """Decides when to give systemd a sign of life. Pure.

    Args:
        timeout: seconds without a sign after which systemd restarts the service.
    """

    def __init__(self, timeout: float) -> None:
        self._period = timeout / PINGS
        self._due = float("-inf")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> Watchdog | None:
        """The one that systemd asks for, of this process; None if it asks for none."""
        for_whom = environment.get("WATCHDOG_PID", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        if not microseconds.isdecimal() or not int(microseconds) or for_whom not in ("", str(pid or os.getpid())):
            return None
        return cls(int(microseconds) / 1e6)

    def due(self, now: float, alive: bool) -> bool:
        """Whether to give a sign at ``now``; never while what it stands for isn't alive."""
        if not alive or now < self._due:
            return False
        self._due = now + self._period
        return True


class Reporter:
    """Keeps systemd informed; :meth:`beat` is for the event loop's pulse, so a stuck loop is noticed by silence.

    Args:
        alive: whether the pipeline works.
        status: one line for people, as ``systemctl status`` shows it.
    """

    def __init__(
        self, notifier: Notifier, watchdog: Watchdog | None, *, alive: Callable[[], bool], status: Callable[[], str]
    ) -> None:
        self._notifier = notifier
        self._watchdog = watchdog
        self._alive = alive
        self._status = status
        self._said = ""

    def beat(self, now: float) -> None:
        if self._watchdog is not None and self._watchdog.due(now, self._alive()):
            self._notifier.send(WATCHDOG=1)
        self._say(self._status())

    def ready(self) -> None:
        """Started."""
        self._said = self._status()
        self._notifier.send(READY=1, STATUS=self._said)

    def stopping(self) -> None:
        self._notifier.send(STOPPING=1, STATUS="stopping")

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._notifier.send(STATUS=text)
