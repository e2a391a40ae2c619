"""What an alignments file calls the frames of one input, and what their face pictures' names begin with. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import numpy as np

from facestream.errors import AlignmentsError
from facestream.io.faces import FrameStems
from facestream.stream.types import Frame

_NUMBERED: Final = re.compile(r"(?s)(.*)_\d{6,}(\.[^.]*)?")
_NO_PIXELS: Final = np.zeros((0, 0, 3), np.uint8)


class FrameNames(Protocol):
    """Names for the frames of one input, each by its place from 0 and its picture's file name, if it has one.

    Attributes:
        video: the frames are those of a video, which have no files of their own.
    """

    video: bool

    def key(self, index: int, name: str | None) -> str:
        """What the alignments file calls the frame."""

    def stem(self, index: int, name: str | None) -> str:
        """What the names of its face pictures begin with: ``<stem>_<face index>.png``."""

    def keys(self, count: int) -> Iterable[str]:
        """What the alignments file calls the input's ``count`` frames, in their order."""

    def frame_of(self, stem: str) -> tuple[str, int, str | None] | None:
        """The frame that has this stem: its key, its place and its picture's file name; None where there's none."""


class VideoNames:
    """``<stem>_<n>``, n counting from 1 with six digits or more, and a suffix in the alignments (spec §12.4)."""

    video = True

    def __init__(self, stem: str, suffix: str) -> None:
        self._stem = stem
        self._suffix = suffix

    def key(self, index: int, name: str | None) -> str:
        return self.stem(index, name) + self._suffix

    def stem(self, index: int, name: str | None) -> str:
        return f"{self._stem}_{index + 1:06d}"

    def keys(self, count: int) -> Iterable[str]:
        return (self.key(index, None) for index in range(count))

    def frame_of(self, stem: str) -> tuple[str, int, str | None] | None:
        prefix, _, number = stem.rpartition("_")
        if prefix != self._stem or not re.fullmatch(r"[0-9]{6,12}", number) or int(number) == 0:
            return None
        return stem + self._suffix, int(number) - 1, None


class PictureNames:
    """Pictures are called by their own file names. Two that differ by their suffix alone get different stems.

    Args:
        names: of all pictures of the folder or list, in its order.
    """

    video = False

    def __init__(self, names: Sequence[str]) -> None:
        stems = FrameStems()
        self._stems = {
            name: stems.stem(Frame("", 0, index, 0.0, 0.0, _NO_PIXELS, name)) for index, name in enumerate(names)
        }
        self._frames = {stem: (name, index, name) for index, (name, stem) in enumerate(self._stems.items())}

    def key(self, index: int, name: str | None) -> str:
        assert name is not None, "a picture has a file name"
        return name

    def stem(self, index: int, name: str | None) -> str:
        assert name is not None, "a picture has a file name"
        return self._stems[name]

    def keys(self, count: int) -> Iterable[str]:
        return self._stems

    def frame_of(self, stem: str) -> tuple[str, int, str | None] | None:
        return self._frames.get(stem)


def video_names(keys: Iterable[str], stems: Sequence[str], suffix: str) -> VideoNames:
    """The names under which ``keys``, an alignments file's, hold a video's frames.

    Args:
        stems: what the frames' names may begin with, the likeliest first: the video's own stem, its source's name.
        suffix: the video's. Files from before version 2.4 have ``.png``.

    Raises:
        AlignmentsError: no key is of any of these forms; says how the file calls its frames. It lacks the file's
            name.
    """
    found: Counter[tuple[str, str]] = Counter()
    example = "nothing"
    for key in keys:
        example = key
        if (parts := _NUMBERED.fullmatch(key)) is not None:
            found[parts[1], parts[2] or ""] += 1
    for stem in stems:
        for ending in (suffix, ".png"):
            if (stem, ending) in found:
                return VideoNames(stem, ending)
    wanted = f"{stems[0]}_000001{suffix}"
    raise AlignmentsError(f"knows no frame called like {wanted}, only {example}; give the file of this very input")
