"""Where each frame of a video stands: its time stamp in the order of showing, and whether decoding can begin at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from facestream.errors import SourceError, SourceFormatError
from facestream.io.averrors import explain
from facestream.io.face_record import VideoMeta
from facestream.io.video import HOPELESS
from facestream.stream.types import Bools, Longs

T = TypeVar("T")

_TIMEOUT: Final = 10.0  # seconds, for opening and for each read of a file on a slow disk
_HINT: Final = "check the path, and that it is a video"
_HIDING: Final = frozenset({"vp8"})
"""Codecs some of whose packets aren't shown: their frames can't be counted without decoding."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """The frames of a video in the order in which they are shown.

    Attributes:
        keys: bool (N,): decoding can begin here.
        pts: int64 (N,), strictly rising, in units of the stream's time base; None when the stream has no usable time
            stamps, so that frames can only be counted off from the beginning.
    """

    keys: Bools
    pts: Longs | None

    def __len__(self) -> int:
        return len(self.keys)

    def key_before(self, index: int) -> int:
        """The last key frame at or before ``index``; 0 where there is none."""
        before = np.flatnonzero(self.keys[: index + 1])
        return int(before[-1]) if len(before) else 0

    def metas(self) -> list[VideoMeta]:
        """What an alignments file's ``video_meta`` holds, a frame each; none at all without time stamps."""
        if self.pts is None:
            return []
        return [VideoMeta(int(time), bool(key)) for time, key in zip(self.pts, self.keys)]


def index_frames(path: str | Path, *, exact: bool = False) -> FrameIndex:
    """Index a video by reading its packets, without decoding them: seconds for hours of video.

    Args:
        exact: decode everything instead. That is slower by far, and right also where a damaged file holds packets that
            can't be decoded. It is also done by itself for codecs some of whose packets aren't shown, and
            where packets have no or repeated times.

    Raises:
        SourceUnavailable, SourceFormatError: the file can't be read.
    """
    if not exact:
        with OpenedVideo(Path(path)) as video:
            if video.stream.codec_context.name not in _HIDING:
                stamps = video.call(lambda: [(p.pts, p.is_keyframe) for p in video.packets() if not p.is_discard])
                index = _index(stamps)
                if index.pts is not None:
                    return index
    with OpenedVideo(Path(path)) as video:
        seekable, stamps = True, []

        def decode_all() -> None:
            nonlocal seekable
            for packet in video.packets():
                seekable &= packet.pts is not None
                stamps.extend((frame.pts, frame.key_frame) for frame in video.decode(packet))
            stamps.extend((frame.pts, frame.key_frame) for frame in video.decode(None))

        video.call(decode_all)
    return _index(stamps if seekable else [(None, key) for _, key in stamps])


def _index(stamps: Sequence[tuple[int | None, bool]]) -> FrameIndex:
    """Of frames in the order of decoding or of showing, if they all have different times; else in theirs."""
    times = [time for time, _ in stamps if time is not None]
    if len(times) < len(stamps) or len(set(times)) < len(times):
        return FrameIndex(np.array([key for _, key in stamps], np.bool_), None)
    pts = np.array(times, np.int64)
    order = np.argsort(pts)
    return FrameIndex(np.array([key for _, key in stamps], np.bool_)[order], pts[order])


def video_meta(path: str | Path, *, exact: bool = False) -> list[VideoMeta]:
    """Time and key flag of every frame of a video, for its alignments file; see :func:`index_frames`.

    Empty when the video has no usable time stamps.
    """
    return index_frames(path, exact=exact).metas()


class OpenedVideo:
    """A video being demuxed and decoded; FFmpeg's errors come out of :meth:`call` as ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container: InputContainer = self.call(
            lambda: av.open(f"file:{path}", mode="r", timeout=(_TIMEOUT, _TIMEOUT))
        )
        stream = self.container.streams.best("video")
        # FFmpeg draws any text file as a film ("tty").
        if not isinstance(stream, VideoStream) or self.container.format.name == "tty":
            self.container.close()
            raise SourceFormatError(f"{path} has no video in it; give a video")
        stream.thread_type = "AUTO"
        self.stream = stream

    def call(self, function: Callable[[], T]) -> T:
        failure: SourceError
        try:
            return function()
        except FFmpegError as error:
            failure = explain(error, str(self.path), _HINT, camera=False, late=False, timeout=_TIMEOUT)
        raise failure

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets from here on, damage left out; the one that ends it not among them."""
        packets = self.container.demux(self.stream)
        for _ in range(HOPELESS):
            try:
                for packet in packets:
                    if packet.size:
                        yield packet
                return
            except InvalidDataError:
                packets = self.container.demux(self.stream)  # the exception has ended the old one

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """The frames that a packet completes, or with None all that are left; none where it is damaged."""
        try:
            return self.stream.decode(packet)
        except InvalidDataError:
            return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.container.close()
