"""Video through PyAV: files, cameras and devices, one blocking reader for all."""

from __future__ import annotations

import errno
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import av
import cv2
import numpy as np
import numpy.typing as npt
from av import error as av_error
from av.buffer import Buffer
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from facestream.errors import SourceError, SourceFormatError, SourceUnavailable
from facestream.io.averrors import explain
from facestream.io.reading import Picture
from facestream.io.urls import redact
from facestream.stream.types import Image

T = TypeVar("T")
DisplayMatrix: TypeAlias = npt.NDArray[np.int32]

_log = logging.getLogger("facestream.video")

HOPELESS = 100
"""So many failed reads of the container in a row are the end of a damaged file."""


@dataclass(frozen=True, slots=True)
class VideoInput:
    """What to hand to FFmpeg.

    Attributes:
        target: the URL, path or device, credentials included; or a function that finds it at each opening.
        label: the same for messages, without credentials.
        hint: what to check when it can't be read.
        format: FFmpeg's name of the format or device layer; None to find out.
        options: FFmpeg's own options.
        patience: seconds that reading must be allowed to take, however short the reader's own time-out.
        finite: it ends; None when only opening it tells (HTTP: a clip or a camera).
    """

    target: str | Callable[[], str]
    label: str
    hint: str = "check that it is a video"
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    finite: bool | None = False
    patience: float = 0.0

    def __repr__(self) -> str:
        return f"VideoInput({self.label})"


class VideoReader:
    """The first video stream of a file, camera or device; a :class:`facestream.io.reading.Reader`.

    Frames come out as they are shown: rotated and mirrored by the display matrix, converted to BGR whatever
    their pixel format. Their size may change from one to the next. ``pts`` are the stream's own, so a
    variable frame rate stays what it is. Packets that can't be decoded are skipped and counted.

    Args:
        source: what to open.
        threads: of the decoder; 0 for as many as it likes. Each delays the picture by one frame, so what is
            watched live wants 1; and damage among the last few frames of a file may take its neighbours with
            it.
        open_timeout, read_timeout: seconds, for connecting and for the wait for each picture. Finding out
            what a connected camera sends may take another ``open_timeout``.
        monotonic: the clock for the read time-out and for the pts of streams that have none.
    """

    def __init__(
        self,
        source: VideoInput,
        *,
        threads: int = 1,
        open_timeout: float = 5.0,
        read_timeout: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._threads = threads
        self._timeouts = (open_timeout, max(read_timeout, source.patience))
        self._monotonic = monotonic
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._ready: deque[VideoFrame] = deque()
        self._reformatter = VideoReformatter()
        self._rotation: int | None = 0
        self._matrix: DisplayMatrix | None = None
        self._last_pts = -math.inf
        self._opened_at = 0.0
        self._interrupted = False
        self._decoded = 0
        self.damaged = 0
        self.size: tuple[int, int] | None = None
        self.rate: float | None = None
        self.count: int | None = None
        self.bursts = False
        self.finite = source.finite is not False  # HTTP: a guess until open

    def open(self) -> None:
        self._call(self._open_container)
        if self.finite:
            # A file's first frame tells what no header does: that it decodes, and how it is turned.
            if not self._fill():
                self.close()
                raise SourceFormatError(f"{self._source.label} holds no picture that can be decoded; try another file")
            first = self._ready[0]
            turned = quarter_turned(self._matrix_of(first))
            self.size = (first.height, first.width) if turned else (first.width, first.height)

    def _open_container(self) -> None:
        source = self._source
        container = av.open(
            source.target if isinstance(source.target, str) else source.target(),
            mode="r",
            format=source.format,
            options=dict(source.options),
            timeout=self._timeouts,
        )
        self._container = container
        stream = container.streams.best("video")
        # FFmpeg draws any text file as a film ("tty").
        if not isinstance(stream, VideoStream) or container.format.name == "tty":
            raise SourceFormatError(
                f"{source.label} has no video in it; give a video, a folder of pictures or a camera"
            )
        stream.thread_type = "AUTO" if self._threads != 1 else "SLICE"
        stream.codec_context.thread_count = self._threads
        if source.finite is None:
            self.finite = container.duration is not None
        self._stream = stream
        self.bursts = container.format.name == "hls" and not self.finite
        self._packets = container.demux()
        self._opened_at = self._monotonic()
        self._last_pts = -math.inf
        self._decoded = 0
        # A file's first frame is asked in any case: turned upside down in a mirror, its rotation is 0.
        self._rotation = None if self.finite else 0
        self._matrix = None
        self.size = (stream.width, stream.height) if stream.width and stream.height else None
        self.rate = float(stream.average_rate) if stream.average_rate else None
        self.count = stream.frames or None

    def read(self) -> Picture | None:
        if not self._fill():
            self._tell_early_end()
            return None
        self._decoded += 1
        frame = self._ready.popleft()
        image = orient(self._call(self._to_bgr, frame), self._matrix_of(frame))
        self.size = image.shape[1], image.shape[0]
        return Picture(image, self._pts(frame))

    def _fill(self) -> bool:
        """Decode until a frame is ready; False at the end."""
        started = self._monotonic()
        while not self._ready:
            if self._interrupted or not self._call(self._decode_next):
                return False
            if not self.finite and not self._ready and self._monotonic() - started > self._timeouts[1]:
                raise SourceUnavailable(
                    f"{self._source.label} sent no picture for {self._timeouts[1]:g} s; {self._source.hint}"
                )
        return True

    def _decode_next(self) -> bool:
        packet = self._next_packet()
        if packet is None:
            return False
        if self._stream is not None and packet.stream.index == self._stream.index:
            try:
                self._ready.extend(frame for frame in packet.decode() if isinstance(frame, VideoFrame))
            except InvalidDataError:
                self.damaged += 1
        return True

    def _next_packet(self) -> Packet[Stream] | None:
        """The next packet of any stream: sound that goes on mustn't hide that the picture stopped."""
        assert self._container is not None
        for _ in range(HOPELESS):
            try:
                return next(self._packets, None)
            except InvalidDataError:
                self.damaged += 1
                self._packets = self._container.demux()  # the exception has ended the old one
            except av_error.OSError as error:
                if error.errno == errno.EIO and self._container.format.name == "mpjpeg":
                    return None  # its demuxer's word for the end
                raise
        return None

    def _tell_early_end(self) -> None:
        """A file that was cut off has no damaged packet: what is missing shows by its number only."""
        if self.count and not self._interrupted and self._decoded + self.damaged < 0.9 * self.count:
            _log.warning(
                "%s ended after %d of %d frames; it may be cut short",
                self._source.label,
                self._decoded,
                self.count,
            )

    def _to_bgr(self, frame: VideoFrame) -> Image:
        # One reformatter for all: making its scaler anew for each frame costs time and memory. One thread:
        # FFmpeg would start one a core for each source. The size stays, so the interpolation is that of the
        # colour alone.
        bgr = self._reformatter.reformat(frame, format="bgr24", interpolation="FAST_BILINEAR", threads=1)
        return np.ascontiguousarray(bgr.to_ndarray(), np.uint8)  # a view, unless FFmpeg has padded its rows

    def _matrix_of(self, frame: VideoFrame) -> DisplayMatrix | None:
        """The frame's display matrix.

        PyAV's side data and its frame refer to each other, so that a frame once asked for it stays in memory
        until the garbage collector comes. Hence it's asked only when the rotation, which costs nothing, has
        changed.
        """
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            self._matrix = display_matrix(frame)
        return self._matrix

    def _pts(self, frame: VideoFrame) -> float:
        # Multipart JPEG has no time stamps and FFmpeg makes up 25 a second: the time of arrival is nearer the
        # truth.
        untimed = self._container is not None and self._container.format.name == "mpjpeg"
        if untimed:
            pts = self._monotonic() - self._opened_at
        elif frame.pts is not None:
            pts = frame.time
        else:
            pts = self._last_pts + 1 / (self.rate or 25.0) if math.isfinite(self._last_pts) else 0.0
        self._last_pts = pts
        return pts

    def close(self) -> None:
        container, self._container = self._container, None
        self._packets = iter(())
        self._ready.clear()
        self._stream = None
        if container is not None:
            container.close()

    def interrupt(self) -> None:
        # A blocked FFmpeg call can't be woken from outside; its time-out ends it.
        self._interrupted = True

    def _call(self, function: Callable[..., T], *args: object) -> T:
        """Call into FFmpeg; its errors come out as ours, with no trace of its text, which quotes the URL."""
        timeout = self._timeouts[0 if self._stream is None else 1]
        started, source = self._monotonic(), self._source
        failure: SourceError
        try:
            return function(*args)
        except FFmpegError as error:
            late = source.finite is not True and self._monotonic() - started >= 0.95 * timeout
            failure = explain(
                error, source.label, source.hint, camera=source.finite is False, late=late, timeout=timeout
            )
        except ValueError as error:  # a container or pixel format that it doesn't have
            failure = SourceFormatError(f"can't read {source.label}: {redact(str(error))}; {source.hint}")
        except SourceError:
            self.close()
            raise
        self.close()
        try:
            raise failure  # outside the handler, or the traceback would show FFmpeg's error as its context
        finally:
            del failure  # or it would keep itself alive, and with it the reader, through its own traceback


def display_matrix(frame: VideoFrame) -> DisplayMatrix | None:
    """The frame's display matrix: int32 (3, 3) fixed-point, as in libavutil/display.h; None when there's
    none.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3) if isinstance(data, Buffer) else None


def quarter_turned(matrix: DisplayMatrix | None) -> bool:
    """Whether width and height change places."""
    return matrix is not None and abs(int(matrix[0, 1])) > abs(int(matrix[0, 0]))


def orient(image: Image, matrix: DisplayMatrix | None) -> Image:
    """Turn and mirror ``image`` as a display matrix says, by quarter turns.

    A pixel at (x, y) is shown at (a·x + c·y, b·x + d·y) with a, b, c, d = m[0,0], m[0,1], m[1,0], m[1,1]
    (FFmpeg, libavutil/display.h), up to a shift.
    """
    if matrix is None:
        return image
    if quarter_turned(matrix):
        image = cv2.transpose(image)  # type: ignore[assignment]
        mirror_x, mirror_y = matrix[1, 0] < 0, matrix[0, 1] < 0
    else:
        mirror_x, mirror_y = matrix[0, 0] < 0, matrix[1, 1] < 0
    if mirror_x or mirror_y:
        image = cv2.flip(image, -1 if mirror_x and mirror_y else int(mirror_x))  # type: ignore[assignment]
    return image
