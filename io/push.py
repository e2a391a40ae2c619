"""A source that others feed: a browser's camera over a websocket, or a program in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from facestream.errors import SourceUnavailable
from facestream.io.base import BaseSource
from facestream.stream.types import Frame, FrameKey, Image, SourceState, SourceStatistics

WAITING = "waiting for a pusher"


class PushSource(BaseSource):
    """Frames as they are fed. Never ends by itself: between pushers it waits for the next.

    ::

        source.connect()
        key = await source.feed(image)
        source.disconnect()

    Between feeder and reader lies a slot for one frame. :meth:`feed` waits while it is taken, so nothing is
    lost here: a frame is captured in the moment the reader takes it, and from there on the session's inbox
    drops and counts. A frame that still lies in the slot when the source closes was never captured. So
    captured = processed + dropped, exactly.

    Each pusher is an epoch, and there's one at a time.
    """

    def __init__(self, name: str, *, live: bool = True, clock: Callable[[], float] = time.time) -> None:
        super().__init__(name, live=live, reason=WAITING, clock=clock)
        self._clock = clock
        self._changed = asyncio.Condition()
        self._slot: Frame | None = None
        self._connected = False
        self._closed = False
        self._epoch = -1
        self._seq = 0
        self._first_captured_at: float | None = None
        self._size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        return self._size

    @property
    def connected(self) -> bool:
        """Somebody is the pusher now."""
        return self._connected

    def statistics(self) -> SourceStatistics:
        epoch = max(0, self._epoch)
        return SourceStatistics(captured=self._captured, epoch=epoch, reconnects=epoch)

    def connect(self) -> None:
        """Become the pusher; starts an epoch.

        Raises:
            SourceUnavailable: there's one already, or the source is closed.
        """
        if self._closed:
            raise SourceUnavailable(f"push:{self.name} is closed; add it again")
        if self._connected:
            raise SourceUnavailable(f"push:{self.name} has a pusher; wait until it leaves or use another name")
        self._connected = True
        self._epoch += 1
        self._seq = 0
        self._first_captured_at = None
        self._set_state(SourceState.CONNECTING, "waiting for the first picture")

    def disconnect(self) -> None:
        """Stop being the pusher; safe to call twice. What was fed is still read."""
        self._connected = False
        if not self._closed:
            self._set_state(SourceState.CONNECTING, WAITING)

    async def feed(self, image: Image, pts: float | None = None, captured_at: float | None = None) -> FrameKey:
        """Hand over one picture and return its key; waits while the one before hasn't been taken.

        Args:
            image: uint8 BGR (h, w, 3). It becomes the reader's: don't change it afterwards.
            pts: seconds in the pusher's own time; None for the time since its first picture.
            captured_at: Unix seconds; None for now.

        Cancelling while it waits loses this picture, and no number is spent on it.

        Raises:
            RuntimeError: nobody is connected.
            SourceUnavailable: the source was closed.
        """
        if captured_at is None:
            captured_at = self._clock()
        async with self._changed:
            await self._changed.wait_for(lambda: self._slot is None or self._closed)
            if self._closed:
                raise SourceUnavailable(f"push:{self.name} is closed; add it again")
            if not self._connected:
                raise RuntimeError(f"feed() on push:{self.name} without connect()")
            if self._first_captured_at is None:
                self._first_captured_at = captured_at
            if pts is None:
                pts = captured_at - self._first_captured_at
            frame = Frame(self.name, self._epoch, self._seq, pts, captured_at, image)
            self._seq += 1
            self._slot = frame
            self._changed.notify_all()
        return frame.key

    async def _open(self) -> None:
        pass

    async def _next(self) -> Frame | None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._slot is not None or self._closed)
            frame, self._slot = self._slot, None
            self._changed.notify_all()
        if frame is None or self._closed:
            return None
        self._size = frame.size
        if self._connected and frame.epoch == self._epoch:
            self._set_state(SourceState.LIVE)
        return frame

    async def _close(self) -> None:
        self._closed = True
        async with self._changed:
            self._changed.notify_all()
