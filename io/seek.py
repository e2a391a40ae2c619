"""Single frames of a file by their number, in any order.

Reading a frame seeks to the last key frame before it and decodes on from there, unless the frame lies ahead in what
is being decoded anyway. What comes out is, bit for bit, the frame that reading the file from its beginning gives
under that number.

Reading many frames in a row this way wastes what reading them in order gets for nothing: use
:func:`facestream.io.sources.open_source` for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Self

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from facestream.errors import SourceFormatError
from facestream.io.convert import FrameConverter
from facestream.io.face_record import VideoMeta
from facestream.io.frame_index import OpenedVideo, index_frames
from facestream.io.images import PICTURES_PER_SECOND, list_images, read_image
from facestream.io.reading import Picture
from facestream.io.sources import is_pictures
from facestream.stream.device import Bridge, Lane


class VideoSeeker:
    """Single frames of a video; blocking. Not for several threads at once.

    Args:
        exact: see :func:`index_frames`.
    """

    def __init__(self, path: str | Path, *, exact: bool = False) -> None:
        self._path = Path(path)
        self.index = index_frames(path, exact=exact)
        self._video = OpenedVideo(self._path)
        self._converter = FrameConverter(ask_first=True)
        self._packets: Iterator[Packet[VideoStream]] = iter(())
        self._frames: Iterator[VideoFrame] = iter(())
        self._at: int | None = None  # the number of the frame that was decoded last, if more can follow it
        self.seeks = 0

    def __len__(self) -> int:
        return len(self.index)

    def read(self, index: int) -> Picture:
        """The frame of that number, from 0, as it is shown.

        Raises:
            IndexError: there is no such frame.
            SourceFormatError: it can't be decoded.
        """
        if not 0 <= index < len(self.index):
            raise IndexError(f"{self._path} has {len(self.index)} frames, and no number {index}")
        frame = self._video.call(lambda: self._find(index))
        if frame is None:
            self._at = None
            raise SourceFormatError(
                f"frame {index} of {self._path} can't be decoded; it may be damaged: read the file in order instead"
            )
        image = self._video.call(lambda: self._converter.image(frame))
        return Picture(image, float(frame.time) if frame.pts is not None else 0.0)

    def _find(self, index: int) -> VideoFrame | None:
        if self.index.pts is None:
            return self._count_to(index)
        key = self.index.key_before(index)
        if self._at is not None and key <= self._at < index:
            return self._decode_to(index)
        while True:
            if self._begin_at(key) and (frame := self._decode_to(index)) is not None:
                return frame
            if key == 0:
                return None
            key = self.index.key_before(key - 1)  # it wasn't one, whatever the file says

    def _count_to(self, index: int) -> VideoFrame | None:
        """Without time stamps: decode from the beginning, or on from here."""
        if self._at is None or self._at >= index:
            self._reopen()
            self._frames, self._at = self._decode(self._video.packets()), -1
        for frame in self._frames:
            assert self._at is not None
            self._at += 1
            if self._at == index:
                return frame
        return None

    def _decode_to(self, index: int) -> VideoFrame | None:
        """Decode on until that frame; None when it doesn't come."""
        assert self.index.pts is not None
        wanted = int(self.index.pts[index])
        for frame in self._frames:
            if frame.pts is not None and frame.pts >= wanted:
                self._at = index
                return frame if frame.pts == wanted else None
        return None

    def _begin_at(self, key: int) -> bool:
        """Make decoding begin with that key frame; False when it can't.

        Where a seek lands is the demuxer's secret: some go by the decoder's time stamps, some to the nearest
        cluster. So the packets are looked at, and a seek that went too far is made again to an earlier time.
        """
        assert self.index.pts is not None
        wanted = int(self.index.pts[key])
        earlier = key
        while True:
            packet = self._seek(int(self.index.pts[earlier]), wanted) if earlier else self._rewind(key, wanted)
            if packet is not None:
                rest = self._packets
                self._frames = self._decode(chain([packet], rest))
                first = next((frame for frame in self._frames if frame.pts is not None and frame.pts >= wanted), None)
                if first is None or first.pts != wanted or not (first.key_frame or key == 0):
                    return False
                self._frames = chain([first], self._frames)
                self._at = None
                return True
            if not earlier:
                return False
            earlier = self.index.key_before(earlier - 1)

    def _seek(self, time: int, wanted: int) -> Packet[VideoStream] | None:
        """Seek to a time; the packet of time ``wanted`` if it lies ahead of every later key frame."""
        self.seeks += 1
        self._video.container.seek(time, stream=self._video.stream, backward=True)
        return self._skip_to(wanted)

    def _rewind(self, key: int, wanted: int) -> Packet[VideoStream] | None:
        self._reopen()
        if key:
            return self._skip_to(wanted)
        self._packets = self._video.packets()
        return next(self._packets, None)

    def _skip_to(self, wanted: int) -> Packet[VideoStream] | None:
        self._packets = self._video.packets()
        for packet in self._packets:
            if packet.pts == wanted:
                return packet
            if packet.is_keyframe and packet.pts is not None and packet.pts > wanted:
                return None
        return None

    def _decode(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[VideoFrame]:
        for packet in packets:
            yield from self._video.decode(packet)
        yield from self._video.decode(None)

    def _reopen(self) -> None:
        self._video.container.close()
        self._video = OpenedVideo(self._path)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._frames = iter(())
        self._video.container.close()


class PictureSeeker:
    """Single pictures of a folder, in natural order; blocking."""

    def __init__(self, path: str | Path) -> None:
        self._paths = list_images(path) if Path(path).is_dir() else [Path(path)]

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, index: int) -> Picture:
        """The picture at that place, from 0.

        Raises:
            IndexError: there is no such picture.
            SourceUnavailable, SourceFormatError: it can't be read.
        """
        if not 0 <= index < len(self._paths):
            raise IndexError(f"there are {len(self._paths)} pictures, and no number {index}")
        path = self._paths[index]
        return Picture(read_image(path), index / PICTURES_PER_SECOND, path.name)

    def close(self) -> None:
        """Nothing is open."""


class Frames:
    """Single frames of a video or pictures of a folder, by number::

        async with Frames("clip.mp4", bridge=bridge) as frames:
            picture = await frames.read(len(frames) // 2)

    Args:
        bridge: lends the thread; None to start one.
        exact: see :func:`index_frames`.
    """

    def __init__(self, path: str | Path, *, bridge: Bridge | None = None, exact: bool = False) -> None:
        self._path = path
        self._exact = exact
        self._lane = bridge.lane("frames") if bridge is not None else Lane("frames")
        self._seeker: VideoSeeker | PictureSeeker | None = None

    def __len__(self) -> int:
        return 0 if self._seeker is None else len(self._seeker)

    @property
    def metas(self) -> list[VideoMeta]:
        """Each frame's time and key flag; none of pictures."""
        return self._seeker.index.metas() if isinstance(self._seeker, VideoSeeker) else []

    async def read(self, index: int) -> Picture:
        """The frame of that number, from 0. Cancelling loses nothing: the next read finds its own way.

        Raises:
            IndexError: there is no such frame.
            SourceUnavailable, SourceFormatError: it can't be read.
        """
        assert self._seeker is not None, "write `async with frames:` around the reading"
        return await self._lane.run(self._seeker.read, index)

    async def __aenter__(self) -> Self:
        """Index the frames.

        Raises:
            SourceUnavailable, SourceFormatError: the file can't be read.
        """
        try:
            self._seeker = await self._lane.run(self._open)
        except BaseException:
            await self._lane.aclose()
            raise
        return self

    def _open(self) -> VideoSeeker | PictureSeeker:
        return PictureSeeker(self._path) if is_pictures(self._path) else VideoSeeker(self._path, exact=self._exact)

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            if self._seeker is not None:
                await self._lane.run(self._seeker.close)
        finally:
            await self._lane.aclose()
