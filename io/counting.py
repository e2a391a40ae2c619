"""How many frames an input has, and how many of them a job will work on, before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facestream.io.frame_index import OpenedVideo
from facestream.io.images import list_images
from facestream.io.reading import Wanted, everything
from facestream.io.sources import Location, is_pictures


@dataclass(frozen=True, slots=True)
class FrameCount:
    """Frames of an input.

    Attributes:
        total: all of them; of pictures, the files, whether they can be read or not.
        wanted: those to process.
    """

    total: int
    wanted: int

    def __add__(self, other: FrameCount) -> FrameCount:
        return FrameCount(self.total + other.total, self.wanted + other.wanted)


def count_frames(location: Location, *, wanted: Wanted = everything, exact: bool = False) -> FrameCount:
    """Count the frames of a video, a folder or a list of pictures, without converting any.

    Quickly: what the video's header says, or where it says nothing, the number of its packets. Either may be wrong,
    by a few frames or, in a file that was cut off, by many; a job must bear with more or fewer. Exactly: every
    frame is decoded, which takes as long as reading it all, and the answer is what reading it gives.
    Pictures are counted without opening them either way.

    Args:
        wanted: which frames a job will ask for, as in :func:`facestream.io.sources.open_source`.

    Raises:
        SourceUnavailable, SourceFormatError: it can't be read.
    """
    if is_pictures(location):
        names = [path.name for path in _pictures(location)]
        return FrameCount(len(names), sum(wanted(index, name) for index, name in enumerate(names)))
    assert isinstance(location, str | Path)
    with OpenedVideo(Path(location)) as video:
        total = video.call(lambda: _decoded(video) if exact else video.stream.frames or _packets(video))
    return FrameCount(total, total if wanted is everything else sum(wanted(index, None) for index in range(total)))


def count_all(locations: Iterable[Location], *, wanted: Wanted = everything, exact: bool = False) -> FrameCount:
    """The frames of several inputs together; raises what :func:`count_frames` raises."""
    return sum((count_frames(each, wanted=wanted, exact=exact) for each in locations), FrameCount(0, 0))


def _pictures(location: Location) -> list[Path]:
    if not isinstance(location, str | Path):
        return [Path(path) for path in location]
    return list_images(location) if Path(location).is_dir() else [Path(location)]


def _packets(video: OpenedVideo) -> int:
    return sum(not packet.is_discard for packet in video.packets())


def _decoded(video: OpenedVideo) -> int:
    return sum(len(video.decode(packet)) for packet in video.packets()) + len(video.decode(None))
