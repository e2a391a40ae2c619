"""Sources and clips for tests: deterministic, fast, no camera needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from facestream.errors import SourceUnavailable
from facestream.io.base import BaseSource
from facestream.stream.types import Frame, Image, SourceState, SourceStatistics


class FakeSource(BaseSource):
    """A camera or file made of chosen pictures, with chosen faults.

    ::

        FakeSource(frames=100)                                  # a file of 100 frames
        FakeSource(frames=None, live=True, rate=30)             # an endless camera
        FakeSource(frames=100, lost={3, 4}, fail_at=50)         # loses two frames, then its cable

    Args:
        name: the source's name.
        frames: how many frames, None for no end; or the pictures themselves.
        size: (width, height) of made pictures; see :func:`make_picture`.
        rate: frames a second: waits between frames, and spaces ``pts``. None: no waiting, ``pts`` 25 a
            second.
        live: as in :class:`facestream.stream.types.Source`.
        lost: numbers of frames that go missing on the way; ``seq`` skips them.
        fail_at: the number of the frame in whose place :class:`SourceUnavailable` is raised; 0 fails at
            opening.
        gate: each frame waits until this event is set.
        clock: Unix seconds, for ``captured_at``.
        sleep: how to wait for a frame's time.

    Attributes:
        opened, closed: how often each has happened.
    """

    def __init__(
        self,
        name: str = "fake",
        *,
        frames: int | Sequence[Image] | None = 10,
        size: tuple[int, int] = (64, 48),
        rate: float | None = None,
        live: bool = False,
        lost: Collection[int] = (),
        fail_at: int | None = None,
        gate: asyncio.Event | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(name, live=live)
        self._pictures = None if frames is None or isinstance(frames, int) else frames
        self._total = frames if frames is None or isinstance(frames, int) else len(frames)
        self._size = size
        self._rate = rate
        self._lost = frozenset(lost)
        self._fail_at = fail_at
        self._gate = gate
        self._clock = clock
        self._sleep = sleep
        self._seq = 0
        self.opened = 0
        self.closed = 0

    @property
    def finite(self) -> bool:
        return self._total is not None

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def rate(self) -> float | None:
        return self._rate

    @property
    def count(self) -> int | None:
        return self._total

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(captured=self._captured)

    async def _open(self) -> None:
        self.opened += 1
        if self._fail_at == 0:
            raise SourceUnavailable(f"{self.name} doesn't answer; it is a fake that fails at once")

    async def _next(self) -> Frame | None:
        if self._gate is not None:
            await self._gate.wait()
        if self._rate is not None:
            await self._sleep(1 / self._rate)
        while self._seq in self._lost:
            self._seq += 1
        seq = self._seq
        if self._total is not None and seq >= self._total:
            return None
        if seq == self._fail_at:
            raise SourceUnavailable(f"{self.name} is lost; it is a fake that fails at frame {seq}")
        self._seq += 1
        image = make_picture(seq, self._size) if self._pictures is None else self._pictures[seq]
        self._set_state(SourceState.LIVE)
        return Frame(self.name, 0, seq, seq / (self._rate or 25.0), self._clock(), image)

    async def _close(self) -> None:
        self.closed += 1


def make_picture(number: int, size: tuple[int, int] = (64, 48)) -> Image:
    """A picture uint8 BGR (h, w, 3) that says which it is and how it is turned.

    Its top left quarter is red, the top right green, the bottom left blue and the last grey; a white column
    wanders to the right with ``number``.
    """
    width, height = size
    image = np.full((height, width, 3), 128, np.uint8)
    image[: height // 2, : width // 2] = (0, 0, 255)
    image[: height // 2, width // 2 :] = (0, 255, 0)
    image[height // 2 :, : width // 2] = (255, 0, 0)
    column = number * 2 % width
    image[:, column : column + 2] = 255
    return image


def make_clip(
    path: str | Path,
    *,
    frames: int | Sequence[Image] = 30,
    size: tuple[int, int] = (160, 120),
    rate: int = 30,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    pts: Sequence[float] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    keyframe_every: int = 15,
    b_frames: int = 0,
    encoder: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    format: str | None = None,
) -> Path:
    """Write a small video of :func:`make_picture`, or of the given pictures, and return its path.

    Args:
        frames: how many, or the pictures themselves (uint8 BGR, all of the clip's ``size``).
        pts: the frames' times in seconds, rising, for a variable rate; None for ``rate`` a second.
        rotation: degrees counter-clockwise by which a player turns the picture; a multiple of 90.
        mirrored: a player mirrors the picture left to right after turning it.
        b_frames: how many frames in a row may be coded out of order, from those before and after them.
        encoder: FFmpeg's options for the encoder, such as ``{"preset": "ultrafast"}``.
        options: FFmpeg's options for the container, such as ``{"movflags": "faststart"}``.
        format: the container, where the file's ending doesn't say it.
    """
    import av
    from av.video.stream import VideoStream

    pictures = [make_picture(i, size) for i in range(frames)] if isinstance(frames, int) else frames
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=encoder or {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.gop_size = keyframe_every
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.thread_count = 1
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        time_base = Fraction(1, 90_000) if pts is not None else Fraction(1, rate)
        stream.codec_context.time_base = time_base
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.time_base = time_base
            frame.pts = round(pts[index] * 90_000) if pts is not None else index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)
