"""Single keys from a terminal, without Enter."""

from __future__ import annotations

import os
import select
import sys
import time
from typing import Any, Self, TextIO

if sys.platform != "win32":
    import termios
    import tty


class Keyboard:
    """Reads keys within a block; the terminal is as before afterwards. Ctrl-C interrupts as ever.

    Where a terminal can't do it, no key is ever pressed.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        if sys.platform != "win32":
            self._before = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if sys.platform != "win32" and self._before is not None:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def pressed(self, within: float) -> str:
        """The key that is pressed next, "" if none is within so many seconds."""
        if self._before is None:
            time.sleep(within)
            return ""
        ready, _, _ = select.select([self._terminal], [], [], within)
        return os.read(self._terminal.fileno(), 1).decode(errors="replace") if ready else ""
