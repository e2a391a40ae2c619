"""One frame's result as the outside world reads it: protocol 1's ``faces`` message, and a line of JSON lines.

A field is absent when nothing computed it or nobody asked for it; ``track`` is absent until the face is
confirmed. Coordinates are frame pixels rounded to 0.1, scores to 3 decimals, angles to 0.1 degrees: finer
than any model is right, and a third of the bytes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from facestream.stream.types import Aligned, Floats, FrameFaces

FACE_FIELDS: Final = frozenset({"track", "box", "score", "landmarks", "pose", "identity"})
"""What ``fields`` may name. Frame fields (source, seq, size, …) are always there."""


class PoseRecord(msgspec.Struct, gc=False):
    """Where a head looks, in degrees: pitch, yaw, and the roll by which it leans clockwise in the picture."""

    pitch: float
    yaw: float
    roll: float


class IdentityRecord(msgspec.Struct, gc=False):
    """Who a face is taken for, and the cosine similarity to that person."""

    name: str
    similarity: float


class FaceRecord(msgspec.Struct, gc=False):
    """One face: ``box`` left, top, right, bottom, maybe partly outside the frame, ``landmarks`` 68 points."""

    track: int | UnsetType = UNSET
    box: list[float] | UnsetType = UNSET
    score: float | UnsetType = UNSET
    landmarks: list[list[float]] | UnsetType = UNSET
    pose: PoseRecord | UnsetType = UNSET
    identity: IdentityRecord | UnsetType = UNSET


class FrameRecord(msgspec.Struct, tag_field="type", tag="faces", gc=False, kw_only=True):
    """One frame and its faces.

    Attributes:
        pts: seconds in the source's own time.
        captured_at: Unix seconds when the frame reached facestream.
        latency_ms: from ``captured_at`` to sending; only the server fills it in.
        size: (width, height) of the frame in pixels.
        dropped: frames of this source missing since the last record.
    """

    source: str
    epoch: int
    seq: int
    pts: float
    captured_at: float
    latency_ms: float | UnsetType = UNSET
    size: tuple[int, int]
    dropped: int
    faces: list[FaceRecord]


_ENCODER: Final = msgspec.json.Encoder()


def encode(record: FrameRecord) -> bytes:
    """The record as JSON in UTF-8, without a line end."""
    return _ENCODER.encode(record)


def frame_record(
    faces: FrameFaces,
    fields: frozenset[str] | None = None,
) -> FrameRecord:
    """The record of one result.

    Args:
        faces: the result; its pixels aren't looked at.
        fields: the face fields wanted, of :data:`FACE_FIELDS`; None for all. Other names are ignored.
    """
    frame = faces.frame
    return FrameRecord(
        source=frame.source,
        epoch=frame.epoch,
        seq=frame.seq,
        pts=round(frame.pts, 6),
        captured_at=round(frame.captured_at, 6),
        size=frame.size,
        dropped=faces.dropped,
        faces=_face_records(faces, FACE_FIELDS if fields is None else fields),
    )


def _face_records(faces: FrameFaces, fields: frozenset[str]) -> list[FaceRecord]:
    records = [FaceRecord() for _ in range(len(faces))]
    if not records:
        return records
    if faces.tracks is not None and "track" in fields:
        for record, track in zip(records, faces.tracks.tolist()):
            record.track = UNSET if track < 0 else track
    if "box" in fields:
        for record, box in zip(records, _rounded(faces.boxes, 1)):
            record.box = box
    if "score" in fields:
        for record, score in zip(records, _rounded(faces.scores, 3)):
            record.score = score
    if faces.landmarks is not None and "landmarks" in fields:
        for record, points in zip(records, _rounded(faces.landmarks, 1)):
            record.landmarks = points
    if faces.aligned is not None and "pose" in fields:
        for record, angles in zip(records, _rounded(_pose_in_frame(faces.aligned), 1)):
            record.pose = PoseRecord(*angles)
    if faces.people is not None and "identity" in fields:
        for record, person in zip(records, faces.people):
            record.identity = UNSET if person is None else IdentityRecord(person.name, round(person.similarity, 3))
    return records


def _pose_in_frame(aligned: Aligned) -> Floats:
    """(N, 3) degrees. The pose's own roll is what alignment left over; what alignment took away comes on top.

    Roll is the outermost of the three rotations, about the camera's axis, so the two simply add.
    """
    pose = aligned.pose.copy()
    taken_away = np.degrees(np.arctan2(aligned.matrices[:, 1, 0], aligned.matrices[:, 0, 0]))
    pose[:, 2] = (pose[:, 2] - taken_away + 180.0) % 360.0 - 180.0
    return pose


def _rounded(values: npt.NDArray[Any], decimals: int) -> list[Any]:
    # In float64: a float32 rounded to 0.1 prints as 0.10000000149011612. Adding 0.0 turns -0.0 into 0.0.
    return (np.round(values.astype(np.float64), decimals) + 0.0).tolist()  # type: ignore[no-any-return]
