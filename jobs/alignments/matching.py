"""Which picture is of which face. Pure.

A picture belongs to the face of its frame that has its box and landmarks. The index in its header isn't asked: it is
what the jobs change, and a job that was killed has changed some and not others. That is why each of them can be run
again, and then finishes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final, NamedTuple

import numpy as np

from facestream.io.face_record import FaceAlignment, FrameEntry
from facestream.jobs.alignments.pictures import FacePicture

_CLOSE: Final = 1e-3  # pixels between landmarks that are the same
_OVERLAP: Final = 0.5  # intersection over union of boxes that are of the same face, corrected by hand


class Place(NamedTuple):
    """A face of an alignments file."""

    frame: str
    face: FaceAlignment


@dataclass(slots=True)
class Matching:
    """What a folder's pictures are of.

    Attributes:
        places: picture → its face; one picture a face.
        duplicates: further pictures of a face that has one.
        strays: pictures of faces that the file doesn't have.
    """

    places: dict[FacePicture, Place] = field(default_factory=dict)
    duplicates: list[FacePicture] = field(default_factory=list)
    strays: list[FacePicture] = field(default_factory=list)

    @property
    def faces(self) -> set[FaceAlignment]:
        """The faces that have a picture."""
        return {place.face for place in self.places.values()}


def match(frames: Mapping[str, FrameEntry], pictures: Iterable[FacePicture]) -> Matching:
    """Find each picture's face.

    First come pictures with a face's very box and landmarks, then those with its box (the landmarks were smoothed
    since), then those whose box covers half of it (it was corrected by hand). Of several equal pictures the one with
    the right name and index counts.
    """
    matching = Matching()
    by_frame: dict[str, list[FacePicture]] = defaultdict(list)
    names = _FrameNames(frames)
    for picture in pictures:
        name = names.find(picture)
        if name is None:
            matching.strays.append(picture)
        else:
            by_frame[name].append(picture)
    for name, group in by_frame.items():
        _match_frame(name, frames[name].faces, group, matching)
    return matching


class _FrameNames:
    """Frames by the names that headers have for them; a video's frames ended with .png before version 2.4."""

    def __init__(self, frames: Mapping[str, FrameEntry]) -> None:
        self._frames = frames
        self._stems: dict[str, list[str]] = defaultdict(list)
        for name in frames:
            self._stems[PurePath(name).stem].append(name)

    def find(self, picture: FacePicture) -> str | None:
        if picture.frame in self._frames:
            return picture.frame
        alike = self._stems.get(PurePath(picture.frame).stem, []) if picture.is_video else []
        return alike[0] if len(alike) == 1 else None


class _Likeness(NamedTuple):
    """How much a picture is a face's; the smaller the more."""

    kind: int
    distance: float
    misplaced: bool


def _match_frame(name: str, faces: list[FaceAlignment], pictures: list[FacePicture], matching: Matching) -> None:
    likely = sorted(
        (likeness, order, index)
        for order, picture in enumerate(pictures)
        for index, face in enumerate(faces)
        if (likeness := _likeness(picture, face, index)) is not None
    )
    taken: set[int] = set()
    placed: set[int] = set()
    copies: set[int] = set()
    for likeness, order, index in likely:
        if order in placed:
            continue
        if index not in taken:
            taken.add(index)
            placed.add(order)
            matching.places[pictures[order]] = Place(name, faces[index])
        elif likeness.kind < 2:
            copies.add(order)
    for order, picture in enumerate(pictures):
        if order not in placed:
            (matching.duplicates if order in copies else matching.strays).append(picture)


def _likeness(picture: FacePicture, face: FaceAlignment, index: int) -> _Likeness | None:
    ours, theirs = picture.face, face
    misplaced = picture.index != index or picture.path.name != picture.name_at(index)
    if box_of(ours) == box_of(theirs):
        return _Likeness(0 if same_landmarks(ours, theirs) else 1, 0.0, misplaced)
    overlap = _overlap(ours, theirs)
    return _Likeness(2, 1 - overlap, misplaced) if overlap >= _OVERLAP else None


def box_of(face: FaceAlignment) -> tuple[int, int, int, int]:
    return face.x, face.y, face.w, face.h


def same_landmarks(one: FaceAlignment, other: FaceAlignment) -> bool:
    ours, theirs = one.landmarks_xy, other.landmarks_xy
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() < _CLOSE)


def _overlap(one: FaceAlignment, other: FaceAlignment) -> float:
    """Intersection over union of two boxes."""
    width = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    height = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    common = max(width, 0) * max(height, 0)
    union = one.w * one.h + other.w * other.h - common
    return common / union if union > 0 else 0.0
