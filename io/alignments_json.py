"""Detections and landmarks as JSON, to exchange with other programs (spec §13.3)::

    {"clip_000001.mp4": [{"detected": [left, top, right, bottom], "landmarks_2d": [[x, y], …]}, …], …}

Masks, identities and thumbnails aren't in it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from facestream.errors import AlignmentsError
from facestream.io.atomic import replacing
from facestream.io.face_record import Doubles, FaceAlignment, FrameEntry
from facestream.io.fsa import check_name

_LARGEST: Final = 1 << 30  # bytes


class _Face(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    detected: tuple[float, float, float, float] | None = None
    landmarks_2d: list[tuple[float, float]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ImportedFace:
    """A face of a JSON file.

    Attributes:
        box: left, top, right, bottom in whole frame pixels.
        landmarks: (M, 2), or None where the file has the box only.
    """

    box: tuple[int, int, int, int]
    landmarks: Doubles | None

    def record(self) -> FaceAlignment:
        """The face for an alignments file.

        Raises:
            ValueError: it has no landmarks.
        """
        if self.landmarks is None:
            raise ValueError("a face has no landmarks_2d; import it as detections and run an aligner")
        left, top, right, bottom = self.box
        fields: dict[str, Any] = {"x": left, "y": top, "w": right - left, "h": bottom - top}
        return FaceAlignment.from_dict({**fields, "landmarks_xy": self.landmarks, "mask": {}, "identity": {}})


def read_json(path: str | os.PathLike[str]) -> dict[str, list[ImportedFace]]:
    """The faces of every frame.

    Only a face of 4 landmarks may lack ``detected``: its box is then the smallest around them.

    Raises:
        AlignmentsError: the file can't be read or isn't of that form; says where.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                raise AlignmentsError(f"{name} has more than {_LARGEST >> 20} MB; split it")
            data = file.read(_LARGEST)
        frames = msgspec.json.decode(data, type=dict[str, list[_Face]])
        return {frame: _faces(frame, faces) for frame, faces in frames.items()}
    except OSError as error:
        raise AlignmentsError(f"{name} can't be read: {error.strerror}; check the path") from error
    except RecursionError:
        raise AlignmentsError(f"{name} nests too deep; export it again") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise AlignmentsError(f"{name} can't be imported: {error}") from error


def _faces(frame: str, faces: list[_Face]) -> list[ImportedFace]:
    try:
        check_name(frame)
        return [_imported(face) for face in faces]
    except (AlignmentsError, ValueError) as error:
        raise ValueError(f"frame {frame[:80]!a}: {error}") from error


def _imported(face: _Face) -> ImportedFace:
    landmarks = None if face.landmarks_2d is None else np.array(face.landmarks_2d, np.float64).reshape(-1, 2)
    if landmarks is not None and not np.isfinite(landmarks).all():
        raise ValueError("landmarks_2d holds a number that isn't finite")
    if face.detected is not None:
        corners = list(face.detected)
    elif landmarks is not None and len(landmarks) == 4:
        corners = [*landmarks.min(axis=0).tolist(), *landmarks.max(axis=0).tolist()]
    else:
        raise ValueError("a face has no detected; only one of 4 landmarks may lack it")
    if not all(math.isfinite(edge) and abs(edge) < 1 << 30 for edge in corners):
        raise ValueError("detected holds an impossible number")
    left, top, right, bottom = (round(edge) for edge in corners)
    return ImportedFace((left, top, right, bottom), landmarks)


def entries_of(path: str | os.PathLike[str], frames: Mapping[str, list[ImportedFace]]) -> dict[str, FrameEntry]:
    """Faces imported from ``path`` as an alignments file's frames.

    Raises:
        AlignmentsError: a face has no landmarks, or of no known layout.
    """
    entries: dict[str, FrameEntry] = {}
    for name, faces in frames.items():
        try:
            entries[name] = FrameEntry([face.record() for face in faces])
        except ValueError as error:
            raise AlignmentsError(f"{os.fspath(path)}: frame {name[:80]!a}: {error}") from error
    return entries


def write_json(path: str | os.PathLike[str], frames: Mapping[str, FrameEntry]) -> None:
    """Export boxes and landmarks, whole or not at all.

    Raises:
        AlignmentsError: it can't be written.
    """
    exported = {name: [_exported(face) for face in entry.faces] for name, entry in frames.items()}
    try:
        content = msgspec.json.format(msgspec.json.encode(exported), indent=2)
        with replacing(Path(path)) as file:
            file.write(content)
    except UnicodeEncodeError:
        raise AlignmentsError(f"{os.fspath(path)} can't be written: a frame's name isn't Unicode; rename it") from None
    except OSError as error:
        raise AlignmentsError(f"{os.fspath(path)} can't be written: {error.strerror}; choose another place") from error


def _exported(face: FaceAlignment) -> dict[str, Any]:
    return {
        "detected": [face.x, face.y, face.x + face.w, face.y + face.h],
        "landmarks_2d": face.landmarks_xy.tolist(),
    }
