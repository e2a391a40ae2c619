"""The contract between the blocking half of a source, which runs in a thread, and its asynchronous shell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from facestream.stream.types import Frame, Image

Wanted: TypeAlias = Callable[[int, str | None], bool]
"""Whether a frame is handed on, by its place in its video, folder or list (from 0) and its picture's file name, if
it has one. Asked once for each frame, in order, in the reader's thread."""


def everything(index: int, name: str | None) -> bool:
    """Hand on every frame."""
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a reader hands over: the frame's own part of a :class:`facestream.stream.types.Frame`.

    Attributes:
        sha1: of the picture's file, where that was asked for.
    """

    image: Image
    pts: float
    name: str | None = None
    sha1: str | None = None


Region: TypeAlias = tuple[int, int, int, int]
"""A part of a picture: left, top, right, bottom in pixels, the last two exclusive; within it, and not empty."""


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
