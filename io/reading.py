"""The contract between the blocking half of a source, which runs in a thread, and its asynchronous shell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, Self, TypeAlias

import numpy as np

from facestream.stream.types import Frame, Image, Region

_NO_PIXELS: Final[Image] = np.zeros((0, 0, 3), np.uint8)

Wanted: TypeAlias = Callable[[int, str | None], bool]
"""Whether a frame is handed on, by its place in its video, folder or list (from 0) and its picture's file name, if
it has one. Asked once for each frame, in order, in the reader's thread."""


def everything(index: int, name: str | None) -> bool:
    """Hand on every frame."""
    return True


class LazyPixels:
    """Pixels that are made when somebody first looks at them, once. From any thread.

    Args:
        load: makes them, uint8 BGR (h, w, 3). What it holds is let go then, and so are the other two.
        size: (width, height).
        part: makes those of a region, for less; None if it can't.
        light: uint8 (h, w), roughly how bright each pixel is; None if that isn't known before they are made.
    """

    __slots__ = ("_image", "_light", "_load", "_making", "_part", "size")

    def __init__(
        self,
        load: Callable[[], Image],
        size: tuple[int, int],
        *,
        part: Callable[[Region], Image] | None = None,
        light: Image | None = None,
    ) -> None:
        self.size = size
        self._load: Callable[[], Image] | None = load
        self._part = part
        self._light = light
        self._image: Image | None = None
        self._making = threading.Lock()

    def image(self) -> Image:
        """The pixels.

        Raises:
            SourceError: they can't be made.
        """
        with self._making:
            if self._load is not None:
                self._image, self._load = self._load(), None
                self._part = self._light = None
        assert self._image is not None
        return self._image

    def around(self, region: Region) -> tuple[Image, tuple[int, int]]:
        """All pixels if they are made, or can't be in part; else a region's. And where they begin.

        Raises:
            SourceError: they can't be made.
        """
        with self._making:
            if self._part is not None:
                return self._part(region), region[:2]
        return self.image(), (0, 0)

    @property
    def light(self) -> Image | None:
        """How bright they are, roughly; None where that isn't known before they are made."""
        image = self._image
        return self._light if image is None else image[:, :, 1]

    @property
    def made(self) -> bool:
        """Somebody has looked at them."""
        return self._load is None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a reader hands over: the frame's own part of a :class:`facestream.stream.types.Frame`.

    Attributes:
        pixels: uint8 BGR (h, w, 3), or what makes them.
        sha1: of the picture's file, where that was asked for.
    """

    pixels: Image | LazyPixels
    pts: float
    name: str | None = None
    sha1: str | None = None

    @property
    def image(self) -> Image:
        """The pixels, made now if they weren't before."""
        return self.pixels.image() if isinstance(self.pixels, LazyPixels) else self.pixels


class Load(Protocol):
    def __call__(self, region: Region | None = None) -> Image: ...


@dataclass(frozen=True, slots=True, eq=False)
class LazyPicture:
    """A picture whose pixels aren't there yet.

    Attributes:
        index: its place in the video, folder or list, from 0.
        name: its own file name, if it has one.
        load: makes the pixels, uint8 BGR (h, w, 3), or only those of a region, in the thread that calls it. Several
            pictures may be loaded at the same time, and after the reader has gone on. Raises SourceError
            where that fails.
        size: (width, height), where it is known before loading.
    """

    index: int
    name: str | None
    load: Load
    size: tuple[int, int] | None = None


@dataclass(slots=True, eq=False, repr=False)
class HashedFrame(Frame):
    """A frame of a picture file that knows its file: what a source gives that was asked for ``hashes``.

    Attributes:
        sha1: of the file's bytes, in hex. It tells a picture again under another name (spec §15.1).
    """

    sha1: str = ""


class LazyFrame(Frame):
    """A frame of a live source. One that gives way to a newer one before a model takes it is never converted, and of
    one of which only a part is looked at no more than that part is.
    """

    __slots__ = ("_pixels",)
    _pixels: Image | LazyPixels

    @property
    def image(self) -> Image:
        """As in any frame; who asks first waits for the conversion, a millisecond at 1080p."""
        return self._pixels.image() if isinstance(self._pixels, LazyPixels) else self._pixels

    @image.setter
    def image(self, pixels: Image) -> None:
        self._pixels = pixels

    def around(self, region: Region) -> tuple[Image, tuple[int, int]]:
        """As of any frame; of one that isn't converted yet converts no more, where that can be."""
        return self._pixels.around(region) if isinstance(self._pixels, LazyPixels) else (self._pixels, (0, 0))

    @property
    def light(self) -> Image | None:
        """As of any frame; converts nothing."""
        pixels = self._pixels
        return pixels.light if isinstance(pixels, LazyPixels) else pixels[:, :, 1]

    def changed(self, **values: Any) -> Self:
        """As of any frame; what isn't converted stays so, until one of the two is looked at."""
        return replace(self, **{"image": self._pixels, **values})

    @classmethod
    def of(cls, pixels: LazyPixels, source: str, seq: int, pts: float, captured_at: float) -> Self:
        """Of the first epoch; see :class:`Frame`."""
        frame = cls(source, 0, seq, pts, captured_at, _NO_PIXELS)
        frame._pixels = pixels
        return frame

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels; converts nothing."""
        pixels = self._pixels
        return pixels.size if isinstance(pixels, LazyPixels) else (pixels.shape[1], pixels.shape[0])


class Reader(Protocol):
    """Blocking. Every method but :meth:`interrupt` is called from one thread, one call at a time.

    Attributes:
        damaged: packets or files skipped so far because they couldn't be decoded. Goes on counting when
            reopened.
        skipped: frames passed over so far because nobody wanted them. Goes on counting when reopened.
        size, rate, count: as in :class:`facestream.stream.types.Source`; read from the event loop as well.
        finite: it has an end, and reaching it is no failure. Final once open.
        bursts: it is live, but comes seconds at a time: its pictures must be spread over their own times.
            Final once open.
    """

    damaged: int
    skipped: int
    size: tuple[int, int] | None
    rate: float | None
    count: int | None
    finite: bool
    bursts: bool

    def open(self) -> None:
        """Start at the beginning; after :meth:`close`, again.

        Raises:
            SourceUnavailable, SourceFormatError: as their names say.
        """

    def read(self) -> Picture | None:
        """The next picture, or None at the end.

        Raises:
            SourceUnavailable: lost on the way.
        """

    def close(self) -> None:
        """Let go of everything. Safe to call twice, and without :meth:`open`."""

    def interrupt(self) -> None:
        """Make a :meth:`read` in progress return soon, from any thread."""
