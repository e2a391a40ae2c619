"""One door to everything that gives frames: :func:`open_source`."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from facestream.errors import ConfigError
from facestream.io.backoff import Backoff
from facestream.io.base import BaseSource
from facestream.io.clips import PacketKeeper
from facestream.io.hardware import Decoder, HardwareDecoding, hardware_decoding
from facestream.io.images import ImageReader
from facestream.io.live import ReconnectingSource
from facestream.io.push import PushSource
from facestream.io.reader_source import Pace, ReaderSource
from facestream.io.reading import HashedFrame, Reader, Wanted, everything
from facestream.io.redirects import settled
from facestream.io.source_lane import SourceLane
from facestream.io.urls import IMAGE_SUFFIXES, SourceKind, check_name, default_name, redact_url, source_kind
from facestream.io.video import VideoInput, VideoReader
from facestream.io.watchdog import Watchdog
from facestream.io.webcams import Webcam, device_input, list_webcams, webcam_input
from facestream.stream.device import Bridge, Lane

__all__ = ["BaseSource", "HashedFrame", "Pace", "PushSource", "Webcam", "list_webcams", "open_source"]

Location: TypeAlias = str | Path | Sequence[str | Path]
RtspTransport: TypeAlias = Literal["tcp", "udp"]

# What a camera's or web server's answer may make FFmpeg open next. Never a file of ours.
_NETWORK_PROTOCOLS = "http,https,tcp,tls,udp,rtp,srtp,crypto,data"

# Containers that hold their video, rather than say where it is, as playlists and SDP do.
_SELF_CONTAINED = (
    "mpjpeg,mjpeg,jpeg_pipe,png_pipe,webp_pipe,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,obu,ivf,mov,mp4,"
    "matroska,webm,avi,flv,live_flv,asf,ogg,nut,yuv4mpegpipe"
)
_SENDS_ON = "sends elsewhere; add that address itself"
_NAMES_OTHERS = (
    "isn't a video itself but names where one is, as playlists do; have it in the configuration, or allow source_follow"
)

# A live playlist comes a segment at a time. FFmpeg sleeps until the next one is out, and loses its place when
# it's disturbed meanwhile.
_HLS_PATIENCE = 15.0

# Seconds after FFmpeg's own time-outs at which a call is known to hang.
_GRACE = 5.0

_HEIF = {".heic", ".heif"}  # no videos for sure

_CAMERA_HINT = "check that it is on, and its address, port and path"
_WEB_HINT = "check its address, and that it sends MJPEG, HLS or a video file"
_VIDEO_HINT = "check its address, and that it sends MJPEG or a video file"
_FILE_HINT = "check the path, and that it is a video"


def open_source(
    url: Location,
    *,
    name: str | None = None,
    bridge: Bridge | None = None,
    pace: Pace = "fast",
    loop: bool = False,
    lossless: bool | None = None,
    wanted: Wanted = everything,
    hashes: bool = False,
    reconnect: bool = False,
    backoff: Backoff | None = None,
    rtsp_transport: RtspTransport = "tcp",
    open_timeout: float = 5.0,
    read_timeout: float = 5.0,
    keep_packets: float = 0.0,
    decoder: Decoder = "cpu",
    follow: bool = True,
    clock: Callable[[], float] = time.time,
) -> BaseSource:
    """Everything that gives frames, by its URL. Nothing is opened before ``async with``::

        async with open_source("rtsp://camera/stream") as source:
            async for frame in source:
                ...

    Args:
        url: ``rtsp://…``, ``rtsps://…``, ``http(s)://…`` (MJPEG, HLS or a video file), ``webcam:N``,
            ``/dev/videoN``, ``device:FORMAT:NAME`` (any input device of FFmpeg's, such as
            ``device:x11grab::0``), ``push:NAME``, a video file, a picture, a folder of pictures, or a list of
            picture files.
        name: the source's name; by default one made from the URL, which another source may have as well.
        bridge: lends the thread that the source works in; None to start one.
        pace: "fast" reads a recording as fast as it is asked for; "native" plays it as it was filmed and
            makes it ``live``.
        loop: begin a recording again at its end. Epoch stays, ``seq`` and ``pts`` go on rising.
        lossless: every frame matters, so the source isn't ``live``, whatever it is.
        wanted: which frames to hand on: ``wanted(index, name)``, by the place in the video, folder or list, from 0,
            and the picture's file name or None. It's asked once for each frame, in order, in the source's
            thread. ``seq`` counts the others as well; of a video they are decoded but not converted, of a
            folder they aren't opened.
        hashes: frames of picture files come as :class:`HashedFrame`, which has their file's SHA-1.
        reconnect: come back from errors instead of raising them; see :class:`ReconnectingSource`.
        backoff: the waits between tries; None for 0.5 s doubling to 10 s, and for 10 s doubling to 60 s where
            the password is refused.
        rtsp_transport: "tcp" or "udp".
        open_timeout, read_timeout: seconds that connecting, and waiting for a picture, may take. For a live
            HLS playlist (``….m3u8``) the latter is 15 at least; closing takes until its next segment. The
            latter is also the time after which a stream that reconnects is frozen; see :class:`Watchdog`.
        keep_packets: so many seconds of what a camera or video sends are kept as they are, so that
            :meth:`BaseSource.clip` can begin in the past. 0: none, and no clips.
        decoder: "cuda" decodes video on a GPU, "auto" does where ``bridge``'s device is one; what it doesn't take is
            decoded on the CPU.
        follow: an ``http(s)://`` address may send on to any other, by a redirection or a playlist. Without, it must
            give the video itself, or redirect within its host (:mod:`facestream.io.redirects`). (FFmpeg has no such
            choice for RTSP's redirections.)
        clock: Unix seconds, for ``captured_at``.

    Raises:
        ConfigError: the URL or the name is of no form that we know, or an option isn't for it. Errors of the
            source itself come when it opens.
    """
    kind = source_kind(str(url)) if isinstance(url, str | Path) else SourceKind.LIST
    name = check_name(name) if name is not None else _name_of(url, kind)
    if hashes and not is_pictures(url):
        raise ConfigError(f"only pictures have a file to hash, not {name}; leave hashes off for it")
    if kind is SourceKind.PUSH:
        if wanted is not everything:
            raise ConfigError(f"what is pushed to {name} can't be chosen from; leave wanted off for it")
        return PushSource(name, live=not lossless, clock=clock)
    if rtsp_transport not in ("tcp", "udp"):
        raise ConfigError(f"there's no RTSP transport {rtsp_transport!r}; choose tcp or udp")
    if decoder not in get_args(Decoder):
        raise ConfigError(f"there's no decoder {decoder!r}; choose {', '.join(get_args(Decoder))}")
    hardware = hardware_decoding(decoder, name, bridge.device if bridge is not None else "cpu")
    slowest = max(read_timeout, _patience(str(url), kind))

    def new_lane() -> Lane:
        # A job on files waits for a slow disk as long as it takes.
        patience = max(2 * open_timeout, slowest) + _GRACE if reconnect else None
        return bridge.lane(name, patience=patience) if bridge is not None else Lane(name, patience=patience)

    lane = SourceLane(name, new_lane)

    def read() -> ReaderSource:
        pictures = _pictures(url, kind, wanted, hashes)
        keeper = PacketKeeper(keep_packets) if keep_packets > 0 and pictures is None else None
        return ReaderSource(
            name,
            pictures
            or _video(
                _video_input(str(url), kind, rtsp_transport, follow),
                kind,
                pace,
                wanted,
                open_timeout,
                read_timeout,
                keeper,
                hardware,
            ),
            pace=pace,
            loop=loop,
            lossless=lossless,
            lane=lane.get(),
            keep_lane=reconnect,
            keeper=keeper,
            bridge=bridge,
            clock=clock,
        )

    if not reconnect:
        return read()
    live = not lossless and (pace == "native" or not (kind.finite or kind is SourceKind.HTTP))
    watchdog = None if kind.finite else Watchdog(slowest)
    return ReconnectingSource(
        name, read, file=kind.finite, live=live, lane=lane, watchdog=watchdog, backoff=backoff, clock=clock
    )


def _name_of(url: Location, kind: SourceKind) -> str:
    if isinstance(url, str | Path):
        return default_name(str(url), kind)
    return default_name(str(url[0]), SourceKind.FILE) if url else "pictures"


def file_reader(url: Location, wanted: Wanted = everything) -> ImageReader | VideoReader:
    """The blocking reader of a video file, a picture, a folder or a list of pictures, for jobs that read lazily.

    Raises:
        ConfigError: it is a camera or another source that isn't a file.
    """
    kind = source_kind(str(url)) if isinstance(url, str | Path) else SourceKind.LIST
    if not kind.finite:
        raise ConfigError(f"{redact_url(str(url))} isn't a file; give a video, a picture or a folder of pictures")
    pictures = _pictures(url, kind, wanted, False)
    return pictures or VideoReader(_video_input(str(url), kind, "tcp"), threads=0, wanted=wanted)


def is_pictures(url: Location) -> bool:
    """Whether ``url`` is a folder of pictures, a list of them or one, rather than a video or a camera."""
    kind = source_kind(str(url)) if isinstance(url, str | Path) else SourceKind.LIST
    return _pictures(url, kind, everything, False) is not None


def _pictures(url: Location, kind: SourceKind, wanted: Wanted, hashes: bool) -> ImageReader | None:
    if not isinstance(url, str | Path) or kind is SourceKind.FOLDER:
        return ImageReader(url, wanted=wanted, hashes=hashes)
    if kind is SourceKind.FILE and Path(url).suffix.lower() in IMAGE_SUFFIXES | _HEIF:  # the reader says what to do
        return ImageReader([url], wanted=wanted, hashes=hashes)
    return None


def _video(
    source: VideoInput,
    kind: SourceKind,
    pace: Pace,
    wanted: Wanted,
    open_timeout: float,
    read_timeout: float,
    keeper: PacketKeeper | None,
    hardware: HardwareDecoding | None,
) -> Reader:
    # All cores for a file that is read as fast as possible; what is watched live wants no picture held back
    # in a decoder's threads, and there may be many such sources.
    watched = kind is not SourceKind.FILE or pace == "native"
    return VideoReader(
        source,
        threads=1 if watched else 0,
        lazily=watched,
        wanted=wanted,
        open_timeout=open_timeout,
        read_timeout=read_timeout,
        keeper=keeper,
        hardware=hardware,
    )


def _patience(url: str, kind: SourceKind) -> float:
    """Seconds that reading must be allowed to take, however short its own time-out."""
    is_playlist = kind is SourceKind.HTTP and url.partition("?")[0].lower().endswith(".m3u8")
    return _HLS_PATIENCE if is_playlist else 0.0


def _video_input(url: str, kind: SourceKind, rtsp_transport: str, follow: bool = True) -> VideoInput:
    label = redact_url(url)
    if kind is SourceKind.WEBCAM:
        return webcam_input(url)
    if kind is SourceKind.DEVICE:
        return device_input(url)
    if kind is SourceKind.RTSP:
        options = {
            "rtsp_transport": rtsp_transport,
            "allowed_media_types": "video",
            # Don't look at a second of frames to learn the rate. And no fflags=nobuffer, as often advised: it
            # throws away what the probe has read, the first key frame with it, and then waits for another.
            "fpsprobesize": "0",
            "flags": "low_delay",
            "protocol_whitelist": _NETWORK_PROTOCOLS,
        }
        return VideoInput(url, label, _CAMERA_HINT, None, options)
    if kind is SourceKind.HTTP and not follow:
        return _self_contained(url, label)
    if kind is SourceKind.HTTP:
        options = {"protocol_whitelist": _NETWORK_PROTOCOLS}
        return VideoInput(url, label, _WEB_HINT, None, options, finite=None, patience=_patience(url, kind))
    return VideoInput("file:" + url, label, _FILE_HINT, finite=True)  # or FFmpeg would read "a:b.mp4" as protocol a


def _self_contained(url: str, label: str) -> VideoInput:
    """What is at ``url`` itself, or where its own host sends on to, and nothing that it names."""
    options = {
        "max_redirects": "0",
        "format_whitelist": _SELF_CONTAINED,
        "protocol_whitelist": "http,https,tcp,tls",
    }
    # Both are FFmpeg's words for what the options forbid; the first is also its word for a TLS handshake that fails.
    elsewhere = _SENDS_ON if url[:5].lower() == "http:" else f"can't be spoken to by TLS, or {_SENDS_ON}"
    meanings = {errno.EIO: elsewhere, errno.EINVAL: _NAMES_OTHERS}
    return VideoInput(partial(settled, url), label, _VIDEO_HINT, None, options, meanings, finite=None)
