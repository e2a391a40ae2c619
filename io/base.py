"""What every source shares: a name, a state with one door, and its counters."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from facestream.errors import SourceError, SourceFormatError
from facestream.stream.device import LaneForsaken
from facestream.stream.types import Frame, SourceState, SourceStatistics

StateCallback = Callable[[SourceState, str], None]

_log = logging.getLogger("facestream.source")


class BaseSource(ABC):
    """Base of every source; fulfils :class:`facestream.stream.types.Source`.

    A subclass opens in :meth:`_open`, yields from :meth:`_next` (``None`` at the end) and closes in
    :meth:`_close`, which may be called more than once and after a failed open. It never has to touch the
    counters or the state.

    Attributes:
        name: unique among the sources of a session; part of every frame's key.
        live: when the pipeline is busy, the newest frame matters and older ones may be dropped. A source over
            HTTP knows only once it is open.
        quiet: don't log the changes of state: another source speaks for this one.

    Args:
        reason: why it is connecting.
        clock: Unix seconds.
    """

    def __init__(self, name: str, *, live: bool, reason: str = "", clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.live = live
        self.quiet = False
        self._state = SourceState.CONNECTING
        self._reason = reason
        self._now = clock
        self._since = clock()
        self._callbacks: list[StateCallback] = []
        self._captured = 0
        self._opened = False
        self._closing = False
        self._ended = False

    @property
    def state(self) -> SourceState:
        """Where it is in its life."""
        return self._state

    @property
    def reason(self) -> str:
        """Why it is in that state; one line without credentials, "" when there's nothing to say."""
        return self._reason

    @property
    def since(self) -> float:
        """When it came into that state, in Unix seconds. Another reason for the same state doesn't change it."""
        return self._since

    @property
    def finite(self) -> bool:
        """It has an end, and reaching it is no failure. Final once open."""
        return False

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) in pixels; None while unknown. May change with the epoch."""
        return None

    @property
    def rate(self) -> float | None:
        """Frames a second as announced; None when unknown. Never to be trusted for timing."""
        return None

    @property
    def count(self) -> int | None:
        """Frames in all as announced; None when unknown."""
        return None

    @property
    def skipped(self) -> int:
        """Frames passed over so far because nobody wanted them (see ``wanted`` of :func:`open_source`)."""
        return 0

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(captured=self._captured)

    async def clip(self, before: float, after: float, path: Path) -> float:
        """Write a clip of the source's own packets, of the last ``before`` seconds and the ``after`` to come.

        It begins at the key frame before that and ends early where the source does, is lost or begins anew. Only
        sources opened with ``keep_packets`` can give one. ``path``, which ends in ``.mp4`` or ``.mkv``, is there whole
        or not at all. Cancelling leaves none. See :mod:`facestream.io.clips`.

        Returns:
            its length in seconds.

        Raises:
            SourceFormatError: this source has no packets, or none that the file can hold.
            SourceUnavailable: it hasn't sent any yet.
            OutputError: the file can't be written.
        """
        raise SourceFormatError(f"no clip of {self.name}: it keeps no packets; clips are for cameras and videos")

    def on_state(self, callback: StateCallback) -> None:
        """Call ``callback(state, reason)`` in the event loop at each change of either."""
        self._callbacks.append(callback)

    def _set_state(self, state: SourceState, reason: str = "") -> None:
        """The one setter of state, reason and time; every change is logged and told here."""
        if (state, reason) == (self._state, self._reason):
            return
        if state is not self._state:
            self._since = self._now()
        self._state, self._reason = state, reason
        if not self.quiet:
            self._log_state()
        for callback in self._callbacks:
            callback(state, reason)

    def _log_state(self) -> None:
        failed = self.state is SourceState.STOPPED and self.reason
        why = self.reason or ("at its end" if self._ended else "")
        level = logging.ERROR if failed else logging.WARNING if self.state is SourceState.DEGRADED else logging.INFO
        _log.log(
            level,
            "source %s: %s%s",
            self.name,
            self.state.value,
            f" ({why})" if why else "",
            extra={"source": self.name, "state": self.state.value, "reason": self.reason},
        )

    @abstractmethod
    async def _open(self) -> None: ...

    @abstractmethod
    async def _next(self) -> Frame | None: ...

    @abstractmethod
    async def _close(self) -> None: ...

    async def __aenter__(self) -> Self:
        """Open. Cancelling closes again whatever was open.

        Raises:
            SourceUnavailable: it isn't there now.
            SourceFormatError: it is there, but isn't something we read.
            RuntimeError: it was opened before; a source lives once.
        """
        if self._opened:
            raise RuntimeError(f"source {self.name!r} was opened before; make a new one")
        self._opened = True
        try:
            await self._open()
        except BaseException as error:
            with suppress(LaneForsaken):  # it would hide that somebody stops waiting
                await self._end(str(error) if isinstance(error, SourceError) else "")
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the file or connection and end its thread. Safe to call twice; takes at most the read time-
        out.
        """
        await self._end(self.reason if self.state is SourceState.STOPPED else "")

    def give_up(self) -> None:  # noqa: B027 - most sources have nothing to do here
        """Let :meth:`aclose`, which is waiting, wait no longer for a driver or network that may never answer. What
        the connection holds is let go of when it does. For sources that don't wait for such, nothing happens.
        """

    async def _end(self, reason: str) -> None:
        self._closing = True
        try:
            await self._close()
        finally:
            self._set_state(SourceState.STOPPED, reason)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        """The next frame. Cancelling loses at most the frame being decoded.

        Raises:
            SourceUnavailable: lost, unless it reconnects by itself.
            RuntimeError: not opened yet.
        """
        if not self._opened:
            raise RuntimeError(f"source {self.name!r} isn't open; write `async with source:` around the loop")
        if self.state is SourceState.STOPPED:
            raise StopAsyncIteration
        try:
            frame = await self._next()
        except SourceError as error:
            self._set_state(SourceState.STOPPED, str(error))
            raise
        if frame is None:
            # A word for the log alone: STOPPED with a reason is a failure.
            self._ended = self.finite and not self._closing
            self._set_state(SourceState.STOPPED, self.reason)
            raise StopAsyncIteration
        self._captured += 1
        return frame

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.state.value}>"
