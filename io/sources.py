"""One door to everything that gives frames: :func:`open_source`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from facestream.io.base import BaseSource
from facestream.io.images import ImageReader
from facestream.io.reader_source import Pace, ReaderSource
from facestream.io.reading import Reader
from facestream.io.urls import IMAGE_SUFFIXES, SourceKind, check_name, default_name, redact_url, source_kind
from facestream.io.video import VideoInput, VideoReader
from facestream.stream.device import Bridge

Location: TypeAlias = str | Path | Sequence[str | Path]


def open_source(
    url: Location,
    *,
    name: str | None = None,
    bridge: Bridge | None = None,
    pace: Pace = "fast",
    loop: bool = False,
    lossless: bool | None = None,
    reconnect: bool = False,
    rtsp_transport: str = "tcp",
    open_timeout: float = 5.0,
    read_timeout: float = 5.0,
    clock: Callable[[], float] = time.time,
) -> BaseSource:
    """Open a source of frames of whatever kind.

    ::

        async with open_source("clip.mp4") as source:
            async for frame in source:
                ...
    """
    kind = SourceKind.FILE
    target = str(url)
    if isinstance(url, str | Path):
        kind = source_kind(target)
    name = check_name(name) if name is not None else default_name(target, kind)
    if kind is SourceKind.FOLDER or Path(target).suffix.lower() in IMAGE_SUFFIXES:
        reader: Reader = ImageReader(target if kind is SourceKind.FOLDER else [target])
    elif not isinstance(url, str | Path):
        reader = ImageReader(list(url))
    else:
        reader = VideoReader(
            VideoInput("file:" + target, redact_url(target), finite=True),
            threads=1 if pace == "native" else 0,
            open_timeout=open_timeout,
            read_timeout=read_timeout,
        )
    lane = bridge.lane(name) if bridge is not None else None
    return ReaderSource(name, reader, pace=pace, loop=loop, lossless=lossless, lane=lane, clock=clock)
