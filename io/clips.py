"""Clips of a source's own packets: what the camera sent, put into a file as it is. Nothing is decoded or encoded.

A source opened with ``keep_packets`` keeps its newest packets (:class:`PacketKeeper`) and makes clips of them::

    async with open_source("rtsp://door/stream", keep_packets=10) as source:
        ...
        seconds = await source.clip(before=5, after=5, path=Path("visit.mp4"))

For events, a session opens a source whose options say ``clips`` with ``keep_packets`` of at least the events'
``clip_before``, and hands :meth:`facestream.io.base.BaseSource.clip` of a source on under its name. It takes ``after``
seconds, so it needs a task of its own; cancelling that leaves no file. What may go wrong is a ``SourceError`` (the
source can't give a clip) or an ``OutputError`` (the file can't be written); neither is a reason to end anything else.
No face in a clip is covered: a source whose faces must not be seen has to be left out.
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

import av
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from facestream.errors import OutputError, SourceFormatError, SourceUnavailable
from facestream.io.atomic import replacing
from facestream.io.packets import Kept, PacketRing, PacketTimes, Take, ticks
from facestream.io.urls import redact

MAX_BYTES: Final = 64 << 20
"""What the packets of a source may take, and those of a clip: a minute of 8 Mbit/s."""

_FINE: Final = Fraction(1, 90_000)
"""The time base for streams whose own time stamps are made up."""

_HEADER: Final = 8192
_ENTRY: Final = 48
"""Bytes of an MP4's index: of what it says once, and of a packet. FFmpeg would fail where they are too few."""

_RAW: Final = frozenset({"rawvideo", "wrapped_avframe"})


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """What a clip is made of.

    Attributes:
        label: whose packets they are, for messages.
        template: says what the codec is and how it is set; lives as long as it is held, unlike the source's stream.
        time_base: in which the clip's time stamps are counted.
        packets: from a key frame on, in decoding order.
    """

    label: str
    template: VideoStream
    time_base: Fraction
    packets: list[Kept[Packet[Stream]]]

    @property
    def seconds(self) -> float:
        """From the first packet to the last."""
        return self.packets[-1].at - self.packets[0].at if self.packets else 0.0


@dataclass(slots=True, eq=False)
class Taking:
    """A clip that waits for its last packets."""

    take: Take[Packet[Stream]]
    label: str
    template: VideoStream
    time_base: Fraction
    ended: Callable[[], object]

    def footage(self) -> Footage:
        """What there is of it.

        Raises:
            SourceUnavailable: nothing.
        """
        if not self.take.packets:
            raise SourceUnavailable(f"{self.label} sent nothing that a clip could begin with; ask again later")
        return Footage(self.label, self.template, self.time_base, self.take.packets)


class PacketKeeper:
    """Keeps the newest packets of a :class:`facestream.io.video.VideoReader`, as FFmpeg's own references.

    The reader's thread calls :meth:`begin`, :meth:`add` and :meth:`end`; the rest may be called from any other. Each
    connection begins anew: no clip goes beyond one.

    Args:
        seconds: how long ago a clip can begin, at least.
        max_bytes: see :data:`MAX_BYTES`.
    """

    def __init__(self, seconds: float, max_bytes: int = MAX_BYTES) -> None:
        self._keep = seconds
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._takings: list[Taking] = []
        self._ring: PacketRing[Packet[Stream]] = PacketRing(seconds, max_bytes)
        self._times = PacketTimes()
        self._label = ""
        self._time_base = 0.0
        self._template: VideoStream | None = None
        self._raw = False
        self._untimed = False
        self._connected = False

    def begin(self, stream: VideoStream, label: str, *, untimed: bool = False) -> None:
        """A connection is open.

        Args:
            untimed: the stream's time stamps are made up; when its packets arrive counts.
        """
        self.end()
        raw = stream.codec_context.name in _RAW
        with self._lock:
            self._ring = PacketRing(self._keep, self._max_bytes)
            self._times = PacketTimes(1 / float(stream.average_rate or 25))
            self._time_base = float(stream.time_base or _FINE)
            self._label, self._untimed, self._raw = label, untimed, raw
            self._template = None if raw else _template(stream)
            self._connected = True

    def add(self, packet: Packet[Stream], arrived: float) -> None:
        """The next packet of the stream, which came at ``arrived`` seconds of any clock that never falls."""
        if self._raw or not packet.size:
            return
        with self._lock:
            if self._untimed:
                at, delay = self._times.place(arrived, arrived)
            else:
                at, delay = self._times.place(self._seconds_of(packet.dts), self._seconds_of(packet.pts))
            kept = Kept(packet, at, delay, packet.is_keyframe, packet.size)
            self._ring.add(kept)
            for taking in self._takings:
                taking.take.add(kept)
            complete = [taking for taking in self._takings if taking.take.complete]
            if complete:
                self._takings = [taking for taking in self._takings if not taking.take.complete]
        for taking in complete:
            taking.ended()

    def _seconds_of(self, stamp: int | None) -> float | None:
        return None if stamp is None else stamp * self._time_base

    def end(self) -> None:
        """The connection is over, and so are the clips that wait. What was kept stays, for clips still asked for."""
        with self._lock:
            ended, self._takings = self._takings, []
            self._connected = False
        for taking in ended:
            taking.ended()

    def take(self, before: float, after: float, ended: Callable[[], object]) -> Taking:
        """Begin a clip of the last ``before`` seconds and the ``after`` to come.

        Args:
            ended: called once, from any thread, when all that there will be of it is there.

        Raises:
            SourceUnavailable: there was no connection yet.
            SourceFormatError: what comes are no packets, but raw pictures.
        """
        with self._lock:
            if self._raw:
                raise SourceFormatError(
                    f"{self._label} sends raw pictures, of which no clip can be made; have it send MJPEG or H.264"
                )
            if self._template is None:
                raise SourceUnavailable("there's no clip of a source that isn't connected yet; ask again later")
            take = Take(self._ring.latest(before), after, self._max_bytes)
            base = _FINE if self._untimed or self._template.time_base is None else self._template.time_base
            taking = Taking(take, self._label, self._template, base, ended)
            waits = self._connected and not take.complete
            if waits:
                self._takings.append(taking)
        if not waits:
            ended()
        return taking

    def leave(self, taking: Taking) -> None:
        """A clip gets no more. Safe to call for one that has ended."""
        with self._lock:
            self._takings = [other for other in self._takings if other is not taking]


def _template(stream: VideoStream) -> VideoStream:
    """A copy of what ``stream`` says of its codec, which stays when its container is closed."""
    nowhere = av.open(io.BytesIO(), "w", format="null")
    template = nowhere.add_stream_from_template(stream, opaque=True)
    nowhere.close()  # or the two would refer to each other, until the garbage collector comes
    return template


class Run(Protocol):
    """Somewhere for blocking work, such as :meth:`facestream.stream.device.Bridge.cpu`."""

    def __call__(self, function: Callable[[], None]) -> Awaitable[None]: ...


async def make_clip(keeper: PacketKeeper, run: Run, before: float, after: float, path: Path) -> float:
    """Wait for the clip's packets and write them; see :meth:`facestream.io.base.BaseSource.clip`.

    Args:
        run: where the file is written.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    taking = keeper.take(before, after, partial(loop.call_soon_threadsafe, ended.set))
    try:
        await ended.wait()
    finally:
        keeper.leave(taking)
    writing = _Writing(taking.footage(), path)
    try:
        await run(writing.write)
    except asyncio.CancelledError:
        writing.abandon()
        raise
    return writing.footage.seconds


class _Writing:
    """A clip on its way into a file, which may be given up from another thread."""

    def __init__(self, footage: Footage, path: Path) -> None:
        self.footage = footage
        self._path = path
        self._lock = threading.Lock()
        self._abandoned = False
        self._written = False

    def write(self) -> None:
        write_clip(self.footage, self._path)
        with self._lock:
            self._written = True
            if self._abandoned:
                self._path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Leave no file, whether it is written already or will be."""
        with self._lock:
            self._abandoned = True
            if self._written:
                self._path.unlink(missing_ok=True)


def write_clip(footage: Footage, path: Path) -> None:
    """Put packets as they are into a file that only its owner can read, which is there whole or not at all. Blocking.

    It is MP4, its index first, so that a browser can play it while it comes; or Matroska where ``path`` ends in
    ``.mkv``.

    Raises:
        SourceFormatError: MP4 doesn't hold that codec.
        OutputError: the file can't be written.
    """
    try:
        with replacing(path) as file:
            os.chmod(file.fileno() if os.chmod in os.supports_fd else file.name, 0o600)
            _mux(footage, _Sink(file), matroska=path.suffix.lower() == ".mkv")
    except OSError as error:  # FFmpeg's own among them
        raise OutputError(
            f"can't write the clip {path.name}: {error.strerror or 'no reason given'}; check {path.parent}"
        ) from None


class _Sink:
    """What FFmpeg writes to. A file that it opens itself stays open for ever where its first bytes can't be written.

    Attributes:
        error: the first that writing met, after which nothing is written. Told to FFmpeg, it might come out anywhere.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        try:
            while left and self.error is None:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self.error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return self.seek(0, os.SEEK_CUR)


def _mux(footage: Footage, sink: _Sink, *, matroska: bool) -> None:
    container, options = ("matroska", {}) if matroska else ("mp4", {"moov_size": str(_index_size(footage))})
    try:
        with av.open(sink, "w", format=container, options=options) as output:
            stream = output.add_stream_from_template(footage.template, opaque=True)
            stream.time_base = footage.time_base
            if stream.codec_context.name == "hevc" and not matroska:
                stream.codec_context.codec_tag = "hvc1"  # Apple's players take no other
            for packet, dts, pts in ticks(footage.packets, float(footage.time_base)):
                output.mux_one(_retimed(packet, dts, pts, stream, footage.time_base))
                if sink.error is not None:
                    break
    except (FFmpegError, ValueError) as error:
        if isinstance(error, OSError):
            raise
        codec = footage.template.codec_context.name
        raise SourceFormatError(
            f"no clip of {footage.label}: {'Matroska' if matroska else 'MP4'} doesn't hold its {codec}"
            f" ({redact(str(error))})" + ("" if matroska else "; give a name that ends in .mkv")
        ) from None
    if sink.error is not None:
        raise sink.error


def _index_size(footage: Footage) -> int:
    """Bytes to leave at the beginning of an MP4 for its index, which is complete in the end only."""
    return _HEADER + 2 * len(footage.template.codec_context.extradata or b"") + _ENTRY * len(footage.packets)


def _retimed(packet: Packet[Stream], dts: int, pts: int, stream: Stream, time_base: Fraction) -> Packet[Stream]:
    """Another packet of the same bytes: the source's own may go into other clips at the same time."""
    same: Packet[Stream] = Packet(cast(bytes, packet))  # refers to them
    same.time_base, same.dts, same.pts = time_base, dts, pts
    same.duration = packet.duration if packet.time_base == time_base else 0
    same.is_keyframe = packet.is_keyframe
    same.stream = stream
    return same
