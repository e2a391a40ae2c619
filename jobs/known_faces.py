"""Faces that a file knows already, in the place of a detector's or an aligner's (spec §14.3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.io.alignments_json import ImportedFace, entries_of, read_json
from facestream.io.face_record import FrameEntry, faces_of
from facestream.io.urls import SourceKind
from facestream.jobs.extract_plan import ExtractPlan, InputPlan
from facestream.jobs.models import FILE
from facestream.stream.types import Faces, Frame, FrameFaces


class KnownFaces:
    """An input's faces by frame.

    Attributes:
        entries: the frames as records, where their landmarks count; else None.
        missing: frames that the file doesn't have, so far; they have no faces.
    """

    def __init__(self, faces: Mapping[str, Faces] | None, entries: Mapping[str, FrameEntry] | None = None) -> None:
        self._boxes = faces
        self.entries = entries
        self.missing = 0

    @classmethod
    def load(cls, path: Path, *, landmarks: bool, video: Path | None = None) -> KnownFaces:
        """Read an alignments or a JSON file. Blocks.

        Args:
            landmarks: the faces come with their landmarks, so that no aligner is needed.
            video: whose frames these are, for files that call them as before version 2.4.

        Raises:
            AlignmentsError: the file can't be read, or lacks landmarks that are needed.
        """
        if path.suffix.lower() == ".json":
            imported = read_json(path)
            if landmarks:
                return cls(None, entries_of(path, imported))
            return cls({name: _boxes_of_imported(faces) for name, faces in imported.items()})
        alignments = Alignments.load(path)
        if video is not None:
            alignments.name_after_video(video)
        if landmarks:
            return cls(None, alignments.frames)
        return cls({name: _boxes_only(faces_of(entry.faces)) for name, entry in alignments.frames.items()})

    @property
    def counts(self) -> dict[str, int]:
        """Frame → how many faces the file has of it."""
        if self._boxes is not None:
            return {name: len(faces) for name, faces in self._boxes.items()}
        return {name: len(entry.faces) for name, entry in (self.entries or {}).items()}

    def of(self, frame: Frame, name: str) -> FrameFaces:
        """The frame with its faces, as they go into the models.

        Raises:
            AlignmentsError: the frame's faces have different landmark layouts.
        """
        faces = self._find(name)
        if faces is None:
            self.missing += 1
            faces = Faces()
        return FrameFaces(frame=frame, **faces.face_fields(slice(None)))

    def _find(self, name: str) -> Faces | None:
        if self._boxes is not None:
            return self._boxes.get(name)
        assert self.entries is not None
        entry = self.entries.get(name)
        try:
            return None if entry is None else faces_of(entry.faces)
        except ValueError as error:
            raise AlignmentsError(f"frame {name}: {error}; extract it again with an aligner") from None


def known_faces(plan: ExtractPlan, item: InputPlan) -> KnownFaces | None:
    """The input's faces, where they come from a file; see :meth:`KnownFaces.load`."""
    if item.faces is None:
        return None
    video = None if item.spec.kind is SourceKind.FOLDER else Path(item.spec.url)
    return KnownFaces.load(item.faces, landmarks=plan.options.models.aligner == FILE, video=video)


def _boxes_only(faces: Faces) -> Faces:
    return Faces(boxes=faces.boxes, scores=faces.scores)


def _boxes_of_imported(faces: list[ImportedFace]) -> Faces:
    boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
    return Faces(boxes=boxes, scores=np.ones(len(faces), np.float32))
