"""Video through PyAV: files, cameras and devices, one blocking reader for all."""

from __future__ import annotations

import errno
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import av
from av import error as av_error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from facestream.errors import SourceError, SourceFormatError, SourceUnavailable
from facestream.io.averrors import explain
from facestream.io.clips import PacketKeeper
from facestream.io.convert import DisplayMatrix, FrameConverter
from facestream.io.falling_behind import FallingBehind
from facestream.io.hardware import HardwareDecoding
from facestream.io.reading import LazyPicture, LazyPixels, Picture, Wanted, everything
from facestream.io.urls import redact
from facestream.stream.types import Image, Region

T = TypeVar("T")

_log = logging.getLogger("facestream.video")

HOPELESS = 100
"""So many failed reads of the container in a row are the end of a damaged file."""

_HELD: Final = 4
"""Frames that wait, with several decoder threads, for those decoded before them: what they refer to may turn out to be
damaged only when it is shown itself, a few frames later."""


@dataclass(frozen=True, slots=True)
class VideoInput:
    """What to hand to FFmpeg.

    Attributes:
        target: the URL, path or device, credentials included; or a function that finds it at each opening.
        label: the same for messages, without credentials.
        hint: what to check when it can't be read.
        format: FFmpeg's name of the format or device layer; None to find out.
        options: FFmpeg's own options.
        meanings: what FFmpeg's error numbers say at opening because of ``options``, after the label.
        patience: seconds that reading must be allowed to take, however short the reader's own time-out.
        finite: it ends; None when only opening it tells (HTTP: a clip or a camera).
    """

    target: str | Callable[[], str]
    label: str
    hint: str = "check that it is a video"
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    meanings: Mapping[int, str] = field(default_factory=dict)
    finite: bool | None = False
    patience: float = 0.0

    def __repr__(self) -> str:
        return f"VideoInput({self.label})"


class VideoReader:
    """The first video stream of a file, camera or device; a :class:`facestream.io.reading.Reader`.

    Frames come out as they are shown: rotated and mirrored by the display matrix, converted to BGR whatever
    their pixel format. Their size may change from one to the next. ``pts`` are the stream's own, so a
    variable frame rate stays what it is. Packets that can't be decoded are skipped and counted.

    A damaged file gives the same frames every time, so that a job that goes on ends like one that was never disturbed.
    What FFmpeg's threads make of a damaged stretch differs from time to time, since some look at a frame that another
    is still concealing the flaws of. So at the first sign of damage the file is decoded once more from its beginning,
    in one thread; frames handed on before aren't again. (FFmpeg can miss a sign, in HEVC and MPEG-4 Part 2 at times.)

    Args:
        source: what to open.
        threads: of the decoder; 0 for as many as it likes. Each delays the picture by one frame, so what is
            watched live wants 1. More are for files only.
        lazily: :meth:`read` leaves the conversion to whoever looks at the picture first, for sources of which many
            frames are dropped.
        wanted: which frames to hand on, by their number from 0. The others are decoded, as they must be, but not
            converted.
        open_timeout, read_timeout: seconds, for connecting and for the wait for each picture. Finding out
            what a connected camera sends may take another ``open_timeout``.
        keeper: gets the packets as well, for clips.
        hardware: asks for a GPU to decode with; None to decode on the CPU.
        monotonic: the clock for the read time-out and for the pts of streams that have none.
    """

    def __init__(
        self,
        source: VideoInput,
        *,
        threads: int = 1,
        lazily: bool = False,
        wanted: Wanted = everything,
        open_timeout: float = 5.0,
        read_timeout: float = 5.0,
        keeper: PacketKeeper | None = None,
        hardware: HardwareDecoding | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._keeper = keeper
        self._hardware = hardware
        self._threads = threads
        self._lazily = lazily
        self._convertible: tuple[str, int, int] | None = None  # the format and size that was converted last
        self._behind = FallingBehind()
        self._passing = False  # over frames that no other refers to
        self._wanted = wanted
        self._timeouts = (open_timeout, max(read_timeout, source.patience))
        self._monotonic = monotonic
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._ready: deque[VideoFrame] = deque()
        self._converter = FrameConverter(ask_first=False)
        self._asked = False  # a file's first frame, how it is turned
        self._last_pts = -math.inf
        self._opened_at = 0.0
        self._untimed = False
        self._interrupted = False
        self._decoded = 0
        self._given = 0  # frames that are done with, while a damaged file is decoded once more up to them
        self.damaged = 0
        self.skipped = 0
        self.size: tuple[int, int] | None = None
        self.rate: float | None = None
        self.count: int | None = None
        self.bursts = False
        self.finite = source.finite is not False  # HTTP: a guess until open

    def open(self) -> None:
        self._given = 0
        self._call(self._open_container)
        if self.finite:
            # A file's first frame tells what no header does: that it decodes, and how it is turned.
            if not self._fill():
                self.close()
                raise SourceFormatError(f"{self._source.label} holds no picture that can be decoded; try another file")
            self.size = self._converter.size(self._ready[0])

    def _open_container(self) -> None:
        source = self._source
        container = self._container = self._opened()
        stream = container.streams.best("video")
        # FFmpeg draws any text file as a film ("tty").
        if not isinstance(stream, VideoStream) or container.format.name == "tty":
            raise SourceFormatError(
                f"{source.label} has no video in it; give a video, a folder of pictures or a camera"
            )
        stream.thread_type = "AUTO" if self._threads != 1 else "SLICE"
        stream.codec_context.thread_count = self._threads
        if self._threads != 1:
            stream.codec_context.options = {"err_detect": "explode"}  # damage is to be an error, not to be concealed
        if source.finite is None:
            self.finite = container.duration is not None
        self._stream = stream
        # Multipart JPEG has no time stamps and FFmpeg makes up 25 a second: the time of arrival is nearer the
        # truth.
        self._untimed = container.format.name == "mpjpeg"
        if self._keeper is not None:
            self._keeper.begin(stream, source.label, untimed=self._untimed)
        self.bursts = container.format.name == "hls" and not self.finite
        self._packets = container.demux()
        self._opened_at = self._monotonic()
        self._last_pts = -math.inf
        self._decoded = 0
        if self.finite and not self._asked:
            # Once, not at each opening: a frame that was asked stays until the garbage collector comes.
            self._converter, self._asked = FrameConverter(ask_first=True), True
        self._behind, self._passing = FallingBehind(), False
        self.size = (stream.width, stream.height) if stream.width and stream.height else None
        self.rate = float(stream.average_rate) if stream.average_rate else None
        self.count = stream.frames or None

    def _opened(self) -> InputContainer:
        """The container, with a GPU to decode it if there's one that wants to."""
        accelerator = None if self._hardware is None else self._hardware.accelerator()
        try:
            return self._opened_with(accelerator)
        except FFmpegError:
            if accelerator is None or self._hardware is None or self._hardware.works():
                raise  # the video's own fault
            return self._opened_with(None)

    def _opened_with(self, accelerator: HWAccel | None) -> InputContainer:
        source = self._source
        return av.open(
            source.target if isinstance(source.target, str) else source.target(),
            mode="r",
            format=source.format,
            options=dict(source.options),
            timeout=self._timeouts,
            hwaccel=accelerator,
        )

    def read(self) -> Picture | None:
        frame = self._next_wanted()
        if frame is None:
            return None
        self._catch_up()
        kind = frame.format.name, frame.width, frame.height
        if self._lazily and kind == self._convertible:
            converter, matrix = self._converter, self._converter.matrix(frame)
            self.size = converter.size(frame)
            load = partial(self._load, converter, frame, matrix)
            part = load if converter.parts(frame, matrix) else None
            return Picture(LazyPixels(load, self.size, part=part, light=converter.light(frame, matrix)), self._last_pts)
        # The first of its kind is converted here, where it's the source's own fault if that can't be done.
        image = self._call(self._converter.image, frame)
        self._convertible = kind
        self.size = image.shape[1], image.shape[0]
        return Picture(image, self._last_pts)

    def _catch_up(self) -> None:
        """Where a camera sends more than can be decoded, leave out what no other frame needs until that's mended."""
        if self.finite or self.bursts or self._stream is None:
            return
        passing = self._behind.passes_over(self._last_pts, self._monotonic())
        if passing != self._passing:
            self._passing = passing
            self._stream.codec_context.skip_frame = "NONREF" if passing else "DEFAULT"
            _log.info("%s %s", self._source.label, "comes faster than it's decoded" if passing else "has caught up")

    def read_lazily(self) -> LazyPicture | None:
        """Like :meth:`read`, but whoever gets the picture converts it."""
        frame = self._next_wanted()
        if frame is None:
            return None
        converter, matrix = self._converter, self._converter.matrix(frame)
        load = partial(self._load, converter, frame, matrix)
        return LazyPicture(self._decoded - 1, None, load, converter.size(frame))

    def _load(
        self, converter: FrameConverter, frame: VideoFrame, matrix: DisplayMatrix | None, region: Region | None = None
    ) -> Image:
        try:
            return converter.convert(frame, matrix, region)
        except (FFmpegError, ValueError) as error:
            raise SourceFormatError(f"can't convert a frame of {self._source.label}: {redact(str(error))}") from None

    def _next_wanted(self) -> VideoFrame | None:
        """Decode up to the next frame that is wanted; None at the end."""
        while self._fill():
            frame = self._ready.popleft()
            self._last_pts = self._pts(frame)
            self._decoded += 1
            if self._decoded <= self._given:
                continue
            self._given = self._decoded
            if self._wanted(self._decoded - 1, None):
                return frame
            self.skipped += 1
        self._tell_wrong_count()
        return None

    def _fill(self) -> bool:
        """Decode until a frame is ready; False at the end."""
        started = self._monotonic()
        while len(self._ready) <= (0 if self._threads == 1 else _HELD):
            if self._interrupted or not self._call(self._decode_next):
                return bool(self._ready) and not self._interrupted
            if not self.finite and not self._ready and self._monotonic() - started > self._timeouts[1]:
                raise SourceUnavailable(
                    f"{self._source.label} sent no picture for {self._timeouts[1]:g} s; {self._source.hint}"
                )
        return True

    def _decode_next(self) -> bool:
        packet = self._next_packet()
        if packet is None:
            return False
        if self._stream is None or packet.stream.index != self._stream.index:
            return True
        if self._keeper is not None:
            self._keeper.add(packet, self._monotonic())
        try:
            frames = self._decoded_frames(packet)
        except FFmpegError as error:
            if self._hardware is not None and not self._hardware.refused and not isinstance(error, InvalidDataError):
                self._leave_hardware(error)
                return True
            if self._threads == 1 and not isinstance(error, InvalidDataError):
                raise
            self._pass_damage()
            return True
        if self._hardware is not None and frames:
            self._hardware.decoded(self._stream.codec_context.name, frames[0].format.name)
        if self._passing and not frames:
            self.skipped += 1
        # A damaged frame, its flaw concealed, is better than none; but others may have looked at it before it was.
        if self._threads != 1 and (packet.is_corrupt or any(frame.is_corrupt for frame in frames)):
            self._pass_damage()
        else:
            self._ready.extend(frames)
        return True

    def _pass_damage(self) -> None:
        """Count it; with several threads, start over with one, which will come to it again."""
        if self._threads == 1:
            self.damaged += 1
            return
        _log.info("%s is damaged; decoding it in one thread", self._source.label)
        self._threads = 1
        self.close()
        self._open_container()

    def _decoded_frames(self, packet: Packet[Stream]) -> list[VideoFrame]:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]

    def _leave_hardware(self, error: FFmpegError) -> None:
        """Go on with the CPU: with a file from where it was, with a camera in another connection.

        Raises:
            SourceUnavailable: it is a camera.
        """
        assert self._hardware is not None
        self._hardware.refuse(f"the GPU failed ({redact(error.strerror or type(error).__name__)})")
        if not self.finite:
            raise SourceUnavailable(f"the GPU that decoded {self._source.label} failed; it goes on on the CPU")
        self.close()
        self._open_container()

    def _next_packet(self) -> Packet[Stream] | None:
        """The next packet of any stream: sound that goes on mustn't hide that the picture stopped."""
        assert self._container is not None
        for _ in range(HOPELESS):
            try:
                return next(self._packets, None)
            except InvalidDataError:
                self._pass_damage()
                self._packets = self._container.demux()  # the exception has ended the old one
            except av_error.OSError as error:
                if error.errno == errno.EIO and self._container.format.name == "mpjpeg":
                    return None  # its demuxer's word for the end
                raise
        return None

    def _tell_wrong_count(self) -> None:
        """A file that was cut off has no damaged packet: what is missing shows by its number only."""
        seen = self._decoded + self.damaged
        if not self.count or self._interrupted or 0.9 * self.count <= seen <= self.count:
            return
        reason = "it may be cut short" if seen < self.count else "its header is wrong"
        _log.warning("%s ended after %d of %d frames; %s", self._source.label, self._decoded, self.count, reason)

    def _pts(self, frame: VideoFrame) -> float:
        if self._untimed:
            return self._monotonic() - self._opened_at
        if frame.pts is not None:
            return float(frame.time)
        return self._last_pts + 1 / (self.rate or 25.0) if math.isfinite(self._last_pts) else 0.0

    def close(self) -> None:
        container, self._container = self._container, None
        self._packets = iter(())
        self._ready.clear()
        self._stream = None
        if self._keeper is not None:
            self._keeper.end()
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
                error,
                source.label,
                source.hint,
                camera=source.finite is False,
                late=late,
                timeout=timeout,
                meaning=source.meanings.get(error.errno or 0, "") if self._stream is None else "",
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
