"""Alignments files out of nothing but face pictures: what was lost is in their headers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple

from facestream.errors import AlignmentsError, ConfigError, SourceError
from facestream.io.alignments import Alignments
from facestream.io.face_record import FaceAlignment, FrameEntry, thumbnail
from facestream.io.fsa import SUFFIX, VERSION
from facestream.io.images import natural_key, read_image
from facestream.jobs.alignments.changes import Plan, agreeing
from facestream.jobs.alignments.matching import Matching, Place, box_of, same_landmarks
from facestream.jobs.alignments.pictures import FacePicture, list_pictures, read_pictures
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work
from facestream.jobs.wording import counted

_NUMBERED: Final = re.compile(r"(?s)(.+)_\d+")
_OF_CAMERA: Final = re.compile(r"(?s)(.+?)(?:-e\d+)?_\d+")  # -e: reconnected since
_OLD_SUFFIX: Final = ".png"  # of a video's frames, before version 2.4


class _Video(NamedTuple):
    stem: str
    suffix: str


@dataclass(slots=True)
class Rebuilt:
    """One file, as the headers have it.

    Attributes:
        video: what the frames' names begin and end with; None for pictures.
        frames: their faces in the order of their indices, numbered from 0 again.
        matching: picture → its face.
        version: the lowest that a header names.
    """

    video: _Video | None
    frames: dict[str, FrameEntry]
    matching: Matching
    version: float

    @property
    def file_name(self) -> str:
        """Where faceswap looks for it, beside a video or in a folder of pictures."""
        return f"alignments{SUFFIX}" if self.video is None else f"{self.video.stem}_alignments{SUFFIX}"


def run(work: Work, session: Session) -> None:
    """Rebuild the files: one for each video, one for all pictures.

    They go into the folder of faces; ``work.given``, a folder or (for one source) a file, says otherwise. Headers from
    before version 2.4 don't say what a video's name ended with; ``work.frames``, the video, does.

    Raises:
        FacestreamError: something can't be read or written; see :func:`facestream.jobs.alignments.changes.carry_out`.
    """
    folder = work.needed_faces
    pictures, unreadable = read_pictures(session.watched(list_pictures(folder)), whole=True)
    if not pictures:
        raise AlignmentsError(f"no picture in {folder} has a header with a face in it; check -c")
    rebuilt = rebuild(pictures, work.frames)
    targets = _targets(rebuilt, folder, work.given)
    for note in unreadable:
        session.tell(note)
    for one, target in zip(rebuilt, targets):
        session.tell(
            f"{target}: {counted(len(one.frames), 'frame')}, {counted(len(one.matching.places), 'face')}, "
            f"of version {one.version:g}; frames without a face aren't known"
        )
        if one.video is not None and one.video.suffix == _OLD_SUFFIX and one.version < VERSION:  # not a camera
            session.tell(
                f"{target}: its frames are named as before 2.4; give the video with -r for faceswap to find them"
            )
        add_thumbnails(one)
        session.carry_out(plan(one, target, _present(target)))


def _present(target: Path) -> Mapping[str, FrameEntry] | None:
    """What the file holds; None where there's none, or one that is beyond reading."""
    try:
        return Alignments.load(target).frames
    except AlignmentsError:
        return None


def _targets(rebuilt: Sequence[Rebuilt], folder: Path, given: Path | None) -> list[Path]:
    if given is not None and not given.is_dir() and given.suffix == SUFFIX:
        if len(rebuilt) > 1:
            names = ", ".join(one.file_name for one in rebuilt)
            raise ConfigError(f"{folder} has faces of {len(rebuilt)} sources ({names}); give a folder with -a")
        return [given]
    place = folder if given is None else given
    targets = [place / one.file_name for one in rebuilt]
    if len(set(targets)) < len(targets):  # clip.mp4 and clip.avi
        targets = [place / f"{''.join(one.video or ('pictures',))}_alignments{SUFFIX}" for one in rebuilt]
    return targets


def rebuild(pictures: Iterable[FacePicture], video: Path | None = None) -> list[Rebuilt]:
    """The sources that pictures were cut from, each with its frames in natural order. Pure.

    Args:
        video: whose frames' names end as its own does, also where headers from before 2.4 have ``.png``.
    """
    by_source: dict[_Video | None, list[tuple[str, FacePicture]]] = defaultdict(list)
    for picture in pictures:
        source = _video_of(picture)
        name = picture.frame
        if source is not None and video is not None and source == _Video(video.stem, _OLD_SUFFIX):
            source = _Video(video.stem, video.suffix)
            name = PurePath(name).stem + video.suffix
        by_source[source].append((name, picture))
    return [_rebuilt(source, by_source[source]) for source in sorted(by_source, key=lambda source: source or ("", ""))]


def _video_of(picture: FacePicture) -> _Video | None:
    if not picture.is_video:
        return None
    name = PurePath(picture.frame)
    camera = name.suffix == _OLD_SUFFIX and picture.version >= VERSION
    numbered = (_OF_CAMERA if camera else _NUMBERED).fullmatch(name.stem)
    return _Video(numbered[1] if numbered else name.stem, name.suffix)


def _rebuilt(source: _Video | None, pictures: Sequence[tuple[str, FacePicture]]) -> Rebuilt:
    by_frame: dict[str, list[FacePicture]] = defaultdict(list)
    for name, picture in pictures:
        by_frame[name].append(picture)
    frames: dict[str, FrameEntry] = {}
    matching = Matching()
    for name in sorted(by_frame, key=natural_key):
        # Of two copies the one with its own name stays.
        group = sorted(by_frame[name], key=lambda picture: (picture.index, picture.path.name != picture.original))
        faces: list[FaceAlignment] = []
        for picture in group:
            if any(_same(picture.face, face) for face in faces):
                matching.duplicates.append(picture)
            else:
                faces.append(picture.face)
                matching.places[picture] = Place(name, picture.face)
        frames[name] = FrameEntry(faces)
    return Rebuilt(source, frames, matching, min(picture.version for _, picture in pictures))


def _same(one: FaceAlignment, other: FaceAlignment) -> bool:
    return box_of(one) == box_of(other) and same_landmarks(one, other)


def add_thumbnails(rebuilt: Rebuilt) -> None:
    """Give each face the thumbnail that its header doesn't have. A picture that can't be decoded gives none."""
    for picture, (name, face) in list(rebuilt.matching.places.items()):
        try:
            pictured = replace(face, thumb=thumbnail(read_image(picture.path)))
        except SourceError:
            continue
        faces = rebuilt.frames[name].faces
        faces[next(index for index, other in enumerate(faces) if other is face)] = pictured
        rebuilt.matching.places[picture] = Place(name, pictured)


def plan(rebuilt: Rebuilt, target: Path, present: Mapping[str, FrameEntry] | None = None) -> Plan:
    """What it takes to write the file and to make headers say what it says; copies go to ``_duplicates``.

    Pictures keep their names: the ``rename`` job changes those.

    Args:
        present: what the file holds already, if it is there.
    """
    folder = agreeing(rebuilt.frames, rebuilt.matching, rename=False)
    if present is not None and _dicts(present) == _dicts(rebuilt.frames):
        return Plan(headers=folder.headers, moves=folder.moves)
    return Plan(
        Alignments(target, rebuilt.frames),
        [f"write {counted(len(entry.faces), 'face')} of {name}" for name, entry in rebuilt.frames.items()],
        folder.headers,
        folder.moves,
        unit="frame",
    )


def _dicts(frames: Mapping[str, FrameEntry]) -> dict[str, dict[str, Any]]:
    return {name: entry.to_dict() for name, entry in frames.items()}
