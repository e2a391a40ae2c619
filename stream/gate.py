"""Where sources hand their frames to the pipeline: :class:`FrameQueue` with waiting."""

from __future__ import annotations

import asyncio

from facestream.stream.batching import FrameQueue, Item, LaneStatistics, with_faces
from facestream.stream.channel import BrokenChannel, EndOfChannel
from facestream.stream.signal import Signal
from facestream.stream.types import FrameFaces


class FrameGate:
    """Many tasks put frames, one pipeline takes them.

    Args:
        capacity: frames of one lossless source that may wait. A live source has one place: the newest frame's.
    """

    def __init__(self, capacity: int = 1) -> None:
        self._capacity = capacity
        self._queue = FrameQueue()
        self._changed = Signal()
        self._ended = False

    def add(self, source: str, *, live: bool) -> None:
        """Let ``source`` put frames.

        Raises:
            ValueError: a source of that name is there already.
        """
        self._queue.add(source, live=live, capacity=self._capacity)

    def change(self, source: str, *, live: bool) -> None:
        """``source`` is of another kind from now on; its counts go on."""
        self._queue.change(source, live=live, capacity=self._capacity)

    async def remove(self, source: str) -> LaneStatistics:
        """Drop what ``source`` has waiting, count it, and let it go. A ``put`` that waits for room ends."""
        final = self._queue.remove(source)
        self._changed.tell()
        return final

    async def put(self, item: Item) -> None:
        """Offer a frame, bare or with the faces that are known already. A lossless source waits for room, a live one
        never does. A cancelled ``put`` hasn't offered its frame.

        Raises:
            BrokenChannel: the source was removed, or the gate closed.
        """
        faces = with_faces(item)
        source = faces.frame.source
        # A source that always has a frame must not keep the loop to itself. Not after the frame was offered: who is
        # cancelled there can't tell, and may offer it again.
        await asyncio.sleep(0)
        await self._changed.wait_for(lambda: self._is_shut(source) or self._queue.has_room(source))
        if self._is_shut(source):
            raise BrokenChannel
        self._queue.offer(faces)
        self._changed.tell()

    async def pass_over(self, source: str) -> None:
        """Count a frame that no model is to see, as captured and dropped; nobody looks at its pixels.

        Raises:
            BrokenChannel: the source was removed, or the gate closed.
        """
        await asyncio.sleep(0)  # as in :meth:`put`
        if self._is_shut(source):
            raise BrokenChannel
        self._queue.pass_over(source)

    async def take(self, limit: int) -> list[FrameFaces]:
        """One to ``limit`` frames, as soon as there is one. Cancelling loses nothing.

        Raises:
            EndOfChannel: the gate is closed and nothing is left.
        """
        await self._changed.wait_for(lambda: len(self._queue) or self._ended)
        frames = self._queue.take(limit)
        self._changed.tell()
        if not frames:
            raise EndOfChannel
        return frames

    async def close(self) -> None:
        """Nothing more comes; what waits is still taken."""
        self._ended = True
        self._changed.tell()

    def __contains__(self, source: object) -> bool:
        return source in self._queue

    def statistics(self, source: str) -> LaneStatistics:
        return self._queue.statistics(source)

    def captured(self) -> dict[str, int]:
        """Source → frames that it has put so far."""
        return {source: self._queue.statistics(source).captured for source in self._queue.sources()}

    def _is_shut(self, source: str) -> bool:
        return self._ended or source not in self._queue
