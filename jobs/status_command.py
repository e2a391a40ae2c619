"""``facestream status`` and ``facestream top``: looking at a server that runs."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from facestream.errors import ServerUnavailable
from facestream.jobs.keyboard import Keyboard
from facestream.jobs.readings import Interval, Reading
from facestream.jobs.remote import Remote
from facestream.jobs.top import GOOD, screen, source_lines

DONE, NOT_GOOD = 0, 1

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # a screen of its own, without a cursor
_HOME, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"


def status_command(remote: Remote, *, as_json: bool, say: Callable[[str], None]) -> int:
    """Say how a server is. The exit code: 0 when all is well, else 1.

    Raises:
        ServerUnavailable: it doesn't answer, and it wasn't JSON that was asked for.
    """
    try:
        health = remote.health()
        sources = remote.sources() if health["status"] != "starting" else []
    except ServerUnavailable as error:
        if not as_json:
            raise
        say(json.dumps({"status": "unreachable", "reason": str(error), "url": remote.url, "sources": []}))
        return NOT_GOOD
    if as_json:
        what = {"status": health["status"], "reason": health.get("reason", ""), "url": remote.url, "sources": sources}
        say(json.dumps(what, indent=2))
    else:
        reason = f": {health['reason']}" if health.get("reason") else ""
        say(f"{remote.url} is {health['status']}{reason}")
        for line in source_lines(health, sources, _width()):
            say(line)
    return DONE if health["status"] == GOOD else NOT_GOOD


def top_command(remote: Remote, *, interval: float, say: Callable[[str], None]) -> int:
    """Show what a server does, and go on until ``q`` is pressed; once, where nobody watches.

    Raises:
        ServerUnavailable: it doesn't answer, and nobody watches.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _once(remote, interval, say)
    with Keyboard(sys.stdin) as keyboard:
        sys.stdout.write(_ENTER)
        try:
            _watch(remote, interval, keyboard)
        finally:
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()
    return DONE


def _once(remote: Remote, interval: float, say: Callable[[str], None]) -> int:
    before = _reading(remote)
    time.sleep(interval)
    health, after = remote.health(), _reading(remote)
    for line in screen(health, Interval(before, after), remote.url, _width()):
        say(line)
    return DONE if health["status"] == GOOD else NOT_GOOD


def _watch(remote: Remote, interval: float, keyboard: Keyboard) -> None:
    before = Reading()
    while True:
        try:
            health, after = remote.health(), _reading(remote)
            _draw(_page(health, before, after, remote))
            before = after
        except ServerUnavailable as error:  # it may come back
            _draw([f"facestream {remote.url}", str(error), "", "trying again; q quits"])
        if keyboard.pressed(interval) in ("q", "Q"):
            return


def _page(health: dict[str, Any], before: Reading, after: Reading, remote: Remote) -> list[str]:
    since = before if before.values else after  # at first nothing has happened yet
    lines = screen(health, Interval(since, after), remote.url, _width())
    return [*lines, "", "q quits"]


def _draw(lines: list[str]) -> None:
    width, height = shutil.get_terminal_size()
    shown = [line[:width] for line in lines[:height]]
    sys.stdout.write(_HOME + "\r\n".join(line + _CLEAR_LINE for line in shown) + _CLEAR_REST)
    sys.stdout.flush()


def _reading(remote: Remote) -> Reading:
    try:
        return Reading.parse(remote.metrics(), time.time())
    except ValueError as error:
        raise ServerUnavailable(f"{remote.url}/metrics can't be read ({error}): is it another version?") from None


def _width() -> int:
    return shutil.get_terminal_size((80, 24)).columns
