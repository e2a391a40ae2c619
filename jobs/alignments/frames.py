"""A source's frames by the names that its alignments file has for them (spec §12.4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

from facestream.errors import AlignmentsError, SourceError, SourceFormatError
from facestream.io.counting import count_frames
from facestream.io.frame_names import VideoNames, video_names
from facestream.io.images import PICTURES_PER_SECOND, list_images, read_image
from facestream.io.urls import IMAGE_SUFFIXES, SourceKind, default_name
from facestream.io.video import VideoInput, VideoReader
from facestream.stream.types import Image


def is_video(source: Path) -> bool:
    return not source.is_dir() and source.suffix.lower() not in IMAGE_SUFFIXES


def check_known(source: Path, known: Collection[str]) -> None:
    """Make sure that an alignments file is of this source.

    Args:
        known: the names that the file holds.

    Raises:
        SourceError: the source can't be read.
        AlignmentsError: ``known`` are of another input; it lacks the file's name.
    """
    if is_video(source):
        names_of_video(source, known)
    elif known and not any(path.name in known for path in pictures_of(source)):
        example = next(iter(known))
        raise AlignmentsError(f"knows no frame of {source}, only such as {example}; give the file of this very input")


def frame_names(source: Path, known: Collection[str]) -> list[str]:
    """The names of all frames, in order. A video is decoded to its end: only that tells how many there are.

    Args:
        known: the names that the alignments file holds.

    Raises:
        SourceError, AlignmentsError: as for :func:`check_known`.
    """
    check_known(source, known)
    if not is_video(source):
        return [path.name for path in pictures_of(source)]
    names = names_of_video(source, known)
    return [names.key(index, None) for index in range(count_frames(source, exact=True).total)]


def read_frames(source: Path, known: Collection[str], skipped: Callable[[str], None]) -> Iterator[tuple[str, Image]]:
    """Each frame's name and picture, uint8 BGR, in order, one at a time in memory.

    Args:
        skipped: told about each of a folder's pictures that can't be read.

    Raises:
        SourceError: the source can't be read.
        AlignmentsError: ``known`` are of another video; it lacks the file's name.
    """
    if not is_video(source):
        yield from _read_pictures(source, skipped)
        return
    names = names_of_video(source, known)
    with closing(_reader(source)) as reader:
        reader.open()
        index = 0
        while (picture := reader.read()) is not None:
            yield names.key(index, None), picture.image
            index += 1


def _read_pictures(source: Path, skipped: Callable[[str], None]) -> Iterator[tuple[str, Image]]:
    for path in pictures_of(source):
        try:
            image = read_image(path)
        except SourceError as error:
            skipped(f"skipped: {error}")
        else:
            yield path.name, image


def rate_of(source: Path) -> Fraction:
    """Frames a second: a video's own, 25 for pictures.

    Raises:
        SourceError: the video can't be read.
    """
    rate = PICTURES_PER_SECOND
    if is_video(source):
        with closing(_reader(source)) as reader:
            reader.open()
            rate = reader.rate or rate
    return Fraction(rate).limit_denominator(1001)


def pictures_of(source: Path) -> list[Path]:
    """The files of a folder of pictures, or the one picture."""
    return list_images(source) if source.is_dir() else [source]


def names_of_video(video: Path, known: Collection[str]) -> VideoNames:
    """What the file calls the video's frames; where it has none yet, what it would.

    Raises:
        AlignmentsError: ``known`` are of another video; it lacks the file's name.
    """
    if not known:
        return VideoNames(video.stem, video.suffix)
    return video_names(known, (video.stem, default_name(str(video), SourceKind.FILE)), video.suffix)


def _reader(video: Path) -> VideoReader:
    source = VideoInput(f"file:{video}", str(video), "check the path, and that it is a video", finite=True)
    return VideoReader(source, threads=0)


def check_movable(source: Path) -> None:
    """Make sure that frames are files of their own.

    Raises:
        SourceFormatError: they are in a video.
    """
    if is_video(source):
        raise SourceFormatError(f"{source} is a video, whose frames can't be moved; choose -o console or file")
