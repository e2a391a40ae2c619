"""Frames of a file in order, whose pixels are made where they are needed.

A source converts each frame in its one thread; whoever then works on it in another finds 6 MB of it (at 1080p) in no
cache. A job that does one thing with each frame is faster when the same worker converts and uses it, and pictures
of a folder are decoded by all workers at once.
"""

from __future__ import annotations

from typing import Self

from facestream.io.reading import LazyPicture, Wanted, everything
from facestream.io.sources import Location, file_reader
from facestream.stream.device import Bridge


class LazyFrames:
    """The frames of a video, a picture, a folder or a list of pictures::

        async with LazyFrames("clip.mp4", bridge) as frames:
            async for frame in frames:
                image = await bridge.cpu(frame.load)

    Each held frame holds its decoded picture, or of a folder nothing. One task reads.

    Args:
        wanted: as for :func:`facestream.io.sources.open_source`.

    Raises:
        ConfigError: ``location`` isn't a file or folder.
    """

    def __init__(self, location: Location, bridge: Bridge, *, wanted: Wanted = everything) -> None:
        self._reader = file_reader(location, wanted)
        self._lane = bridge.lane("read")

    @property
    def count(self) -> int | None:
        """Frames in all as announced; None when unknown."""
        return self._reader.count

    @property
    def damaged(self) -> int:
        """Packets that couldn't be decoded, so far. Pictures that don't load are their caller's to count."""
        return self._reader.damaged

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            SourceUnavailable, SourceFormatError: it can't be read.
        """
        try:
            await self._lane.run(self._reader.open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._reader.interrupt()
        try:
            await self._lane.run(self._reader.close)  # runs after the call in progress
        finally:
            await self._lane.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LazyPicture:
        """The next frame that is wanted. Cancelling loses it.

        Raises:
            SourceUnavailable: the file is lost.
        """
        picture = await self._lane.run(self._reader.read_lazily)
        if picture is None:
            raise StopAsyncIteration
        return picture
