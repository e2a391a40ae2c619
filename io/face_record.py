"""One face as faceswap's files hold it, typed: in alignments files, face pictures' headers and journals.

The records change to and from dicts of builtin types with faceswap's keys in faceswap's order (spec §13.1,
§13.2), and are made from :class:`facestream.stream.types.Faces` (spec §2.6). Arrays are float64, so that what
is read from a file is written again with the very same values.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from facestream.faces.crops import RATIOS
from facestream.faces.landmarks import LandmarkType
from facestream.stream.types import Faces, Image, Masks

Doubles: TypeAlias = npt.NDArray[np.float64]

_FACE_KEYS: Final = ("x", "y", "w", "h", "landmarks_xy", "mask", "identity")
_MASK_KEYS: Final = ("mask", "affine_matrix", "interpolator", "stored_size", "stored_centering")
_LAYOUTS: Final = frozenset(kind.value for kind in LandmarkType)
_LARGEST_MASK: Final = 4096  # pixels along its edge
_LARGEST_BOX: Final = 1 << 31


@dataclass(frozen=True, slots=True, eq=False)
class StoredMask:
    """A mask, compressed.

    Attributes:
        mask: zlib of ``stored_size``² bytes, row by row.
        affine_matrix: frame pixels → pixels of the mask, as the file has it: (3, 3), or (2, 3) without the last row,
            which some files of faceswap 2.4 lack. :meth:`matrix` is always (3, 3).
        interpolator: OpenCV's flag for the way from the mask to the frame: 1 linear, 2 cubic, 3 area.
        stored_size: pixels along the mask's edge.
        stored_centering: "legacy", "face" or "head".
    """

    mask: bytes
    affine_matrix: Doubles
    interpolator: int
    stored_size: int
    stored_centering: str

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read a dict with faceswap's keys.

        Raises:
            ValueError: a key is missing, unknown or of the wrong type; says which.
        """
        values = _keys("mask", value, _MASK_KEYS)
        matrix = _numbers("affine_matrix", values["affine_matrix"])
        if matrix.shape not in ((3, 3), (2, 3)):
            raise ValueError(f"affine_matrix is {matrix.shape}, not (3, 3)")
        size = _integer("stored_size", values["stored_size"], 1, _LARGEST_MASK)
        centering = values["stored_centering"]
        if centering not in RATIOS:
            raise ValueError(f"stored_centering is {_shown(centering)}, not one of {', '.join(RATIOS)}")
        mask = values["mask"]
        if not isinstance(mask, bytes):
            raise ValueError(f"mask is a {type(mask).__name__}, not bytes")
        interpolator = _integer("interpolator", values["interpolator"], 0, 4)
        return cls(mask, matrix, interpolator, size, centering)

    def fields(self) -> dict[str, Any]:
        return {
            "mask": self.mask,
            "affine_matrix": self.affine_matrix,
            "interpolator": self.interpolator,
            "stored_size": self.stored_size,
            "stored_centering": self.stored_centering,
        }

    def matrix(self) -> Doubles:
        """(3, 3), frame pixels → pixels of the mask."""
        if len(self.affine_matrix) == 3:
            return self.affine_matrix
        return np.vstack([self.affine_matrix, (0.0, 0.0, 1.0)])

    def pixels(self) -> Image:
        """uint8 (stored_size, stored_size), read-only.

        Raises:
            ValueError: the compressed bytes are damaged or aren't of that size.
        """
        wanted = self.stored_size**2
        try:
            raw = zlib.decompressobj().decompress(self.mask, wanted + 1)
        except zlib.error as error:
            raise ValueError(f"the mask is damaged: {error}") from error
        if len(raw) != wanted:
            raise ValueError(f"the mask isn't of {self.stored_size}x{self.stored_size} pixels")
        return np.frombuffer(raw, np.uint8).reshape(self.stored_size, self.stored_size)


@dataclass(frozen=True, slots=True, eq=False)
class FaceAlignment:
    """One face of a frame.

    Attributes:
        x, y, w, h: the detector's box in frame pixels; may lie partly outside.
        landmarks_xy: (M, 2), frame pixels, M one of 4, 51, 68 and 98.
        mask: name → mask.
        identity: name → (D,) embedding.
        thumb: a JPEG of 96 pixels, or None.
    """

    x: int
    y: int
    w: int
    h: int
    landmarks_xy: Doubles
    mask: dict[str, StoredMask] = field(default_factory=dict)
    identity: dict[str, Doubles] = field(default_factory=dict)
    thumb: bytes | None = None

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read a dict with faceswap's keys; ``thumb`` may be missing, bytes or a list of 0..255.

        Lists may also be tuples, arrays or NumPy arrays. The caller knows the file and turns the error into
        its own: :class:`~facestream.errors.AlignmentsError` or :class:`~facestream.errors.FaceHeaderError`.

        Raises:
            ValueError: a key is missing, unknown or of the wrong type; says which.
        """
        values = _keys("face", value, _FACE_KEYS, ("thumb",))
        points = _numbers("landmarks_xy", values["landmarks_xy"])
        if points.ndim != 2 or points.shape[1] != 2 or len(points) not in _LAYOUTS:
            raise ValueError(f"landmarks_xy is {points.shape}, no known set of points")
        return cls(
            _integer("x", values["x"], -_LARGEST_BOX, _LARGEST_BOX),
            _integer("y", values["y"], -_LARGEST_BOX, _LARGEST_BOX),
            _integer("w", values["w"], -_LARGEST_BOX, _LARGEST_BOX),
            _integer("h", values["h"], -_LARGEST_BOX, _LARGEST_BOX),
            points,
            {name: _named(name, StoredMask.from_dict, mask) for name, mask in _dict("mask", values["mask"])},
            {name: _named(name, _embedding, row) for name, row in _dict("identity", values["identity"])},
            _bytes(values.get("thumb")),
        )

    def fields(self, *, thumb: bool = True) -> dict[str, Any]:
        """The keys and values as they are written; lists of numbers are arrays still (a thumbnail's is uint8)."""
        fields: dict[str, Any] = {
            "x": self.x,
            "y": self.y,
            "w": self.w,
            "h": self.h,
            "landmarks_xy": self.landmarks_xy,
            "mask": {name: mask.fields() for name, mask in self.mask.items()},
            "identity": dict(self.identity),
        }
        if thumb:
            fields["thumb"] = None if self.thumb is None else np.frombuffer(self.thumb, np.uint8)
        return fields

    def to_dict(self, *, thumb: bool = True) -> dict[str, Any]:
        """Builtin types only, keys in faceswap's order. A face picture's header has no ``thumb``."""
        fields = _builtin(self.fields(thumb=thumb))
        assert isinstance(fields, dict)
        return fields


@dataclass(frozen=True, slots=True)
class VideoMeta:
    """Where a frame stands in its video: its time in units of the stream, and whether it is a key frame."""

    pts_time: int | float
    keyframe: bool

    @classmethod
    def from_dict(cls, value: object) -> Self | None:
        """Read faceswap's dict; an empty one is None.

        Raises:
            ValueError: as for :meth:`FaceAlignment.from_dict`.
        """
        if value == {}:
            return None
        values = _keys("video_meta", value, ("pts_time", "keyframe"))
        time, keyframe = values["pts_time"], values["keyframe"]
        if not _is_number(time) or keyframe not in (False, True):
            raise ValueError(f"video_meta is {_shown(value)}, not a time and a truth value")
        return cls(time, bool(keyframe))

    def to_dict(self) -> dict[str, Any]:
        return {"pts_time": self.pts_time, "keyframe": self.keyframe}


@dataclass(slots=True, eq=False)
class FrameEntry:
    """What an alignments file says about one frame. No faces is an entry like any other."""

    faces: list[FaceAlignment] = field(default_factory=list)
    video_meta: VideoMeta | None = None

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read faceswap's dict.

        Raises:
            ValueError: as for :meth:`FaceAlignment.from_dict`; says which face.
        """
        values = _keys("frame", value, ("faces", "video_meta"))
        faces = values["faces"]
        if not isinstance(faces, list):
            raise ValueError(f"faces is a {type(faces).__name__}, not a list")
        records = [_named(f"face {index}", FaceAlignment.from_dict, face) for index, face in enumerate(faces)]
        return cls(records, VideoMeta.from_dict(values["video_meta"]))

    def fields(self) -> dict[str, Any]:
        meta = {} if self.video_meta is None else self.video_meta.to_dict()
        return {"faces": [face.fields() for face in self.faces], "video_meta": meta}

    def to_dict(self) -> dict[str, Any]:
        """Builtin types only, keys in faceswap's order."""
        fields = _builtin(self.fields())
        assert isinstance(fields, dict)
        return fields


# From results, and back


def records_of(
    faces: Faces, thumbs: Sequence[bytes | None] | None = None, *, storage_size: int | None = None
) -> list[FaceAlignment]:
    """The records of a frame's faces, in their order (spec §2.6).

    Args:
        faces: with landmarks, unless there are no faces.
        thumbs: one a face; none at all by default.
        storage_size: pixels that masks are stored with; as they are by default.

    Raises:
        ValueError: faces have no landmarks, or a box or landmark isn't finite.
    """
    return [
        record_of(faces, index, None if thumbs is None else thumbs[index], storage_size=storage_size)
        for index in range(len(faces))
    ]


def record_of(
    faces: Faces, index: int, thumb: bytes | None = None, *, storage_size: int | None = None
) -> FaceAlignment:
    """One face's record; see :func:`records_of`."""
    if faces.landmarks is None:
        raise ValueError("alignments need landmarks; run an aligner")
    box, landmarks = faces.boxes[index], faces.landmarks[index]
    if not (np.isfinite(box).all() and np.isfinite(landmarks).all()):
        raise ValueError("a box or landmark isn't a finite number")
    left, top, right, bottom = np.rint(box).astype(np.int64).tolist()
    return FaceAlignment(
        left,
        top,
        right - left,
        bottom - top,
        landmarks.astype(np.float64),
        {name: _stored(masks, index, storage_size) for name, masks in faces.masks.items() if masks.present[index]},
        # An embedding that isn't finite is no embedding, and no file can hold it.
        {
            name: rows[index].astype(np.float64)
            for name, rows in faces.identities.items()
            if np.isfinite(rows[index]).all()
        },
        thumb,
    )


def faces_of(records: Sequence[FaceAlignment]) -> Faces:
    """Boxes and landmarks of a frame's records as arrays; an alignments file keeps no scores, so these are 1.

    Raises:
        ValueError: the faces' landmarks are of different layouts.
    """
    if not records:
        return Faces()
    if len({len(record.landmarks_xy) for record in records}) > 1:
        raise ValueError("the faces of one frame have different numbers of landmarks")
    boxes = [(face.x, face.y, face.x + face.w, face.y + face.h) for face in records]
    return Faces(
        boxes=np.array(boxes, np.float32),
        scores=np.ones(len(records), np.float32),
        landmarks=np.stack([face.landmarks_xy for face in records]).astype(np.float32),
    )


def _stored(masks: Masks, index: int, size: int | None) -> StoredMask:
    matrix = masks.matrices[index].astype(np.float64)
    mask: Image = np.ascontiguousarray(masks.masks[index])
    edge = mask.shape[0]
    if size is not None and size != edge:
        interpolation = cv2.INTER_AREA if size < edge else cv2.INTER_LINEAR
        mask = np.asarray(cv2.resize(mask, (size, size), interpolation=interpolation), np.uint8)
        matrix[:2] *= size / edge
    # faceswap's flag for the way back to the frame was inverted, and from before the resize (spec D22).
    shrinks = float(np.hypot(matrix[0, 0], matrix[1, 0])) < 1
    interpolator = cv2.INTER_LINEAR if shrinks else cv2.INTER_AREA
    return StoredMask(zlib.compress(mask.tobytes()), matrix, interpolator, mask.shape[0], masks.centering)


THUMB_SIZE: Final = 96
THUMB_QUALITY: Final = 60


def thumbnail(image: Image) -> bytes:
    """A face crop of any size as the JPEG that alignments files hold: 96 pixels, quality 60."""
    edge = max(image.shape[:2])
    interpolation = cv2.INTER_AREA if edge > THUMB_SIZE else cv2.INTER_CUBIC
    small = cv2.resize(image, (THUMB_SIZE, THUMB_SIZE), interpolation=interpolation)
    done, content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, THUMB_QUALITY])
    if not done:
        raise ValueError(f"OpenCV can't encode {image.shape} as a JPEG")
    return content.tobytes()


# Checks: each raises ValueError naming the key


def _keys(what: str, value: object, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"the {what} is a {type(value).__name__}, not a dict")
    for key in required:
        if key not in value:
            raise ValueError(f"the {what} lacks {key}")
    for key in value:
        if key not in required and key not in optional:
            raise ValueError(f"the {what} has an unknown key {_shown(key)}")
    return value


def _named(name: str, read: Any, value: object) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{name[:60]!a}: {error}" if not name.startswith("face ") else f"{name}: {error}") from None


def _dict(key: str, value: object) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{key} is a {type(value).__name__}, not a dict of names")
    return list(value.items())


def _integer(key: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{key} is {_shown(value)}, not a whole number in {low}..{high}")
    return value


def _is_number(value: object) -> bool:
    """A finite float, or an integer of 64 bits."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63


def _numbers(key: str, value: object) -> Doubles:
    """Nested lists of finite numbers → float64."""
    if isinstance(value, (str, bytes)) or not isinstance(value, (list, tuple, bytearray, array, np.ndarray)):
        raise ValueError(f"{key} is a {type(value).__name__}, not a list")
    try:
        numbers = np.asarray(list(value) if isinstance(value, bytearray) else value)
    except ValueError:  # ragged
        raise ValueError(f"{key} isn't a regular list of numbers") from None
    if numbers.dtype.kind not in "fiu":
        raise ValueError(f"{key} holds something else than numbers")
    if not np.isfinite(numbers).all():  # before the cast, which warns of some NaNs
        raise ValueError(f"{key} holds a number that isn't finite")
    return numbers.astype(np.float64)


def _embedding(value: object) -> Doubles:
    row = _numbers("identity", value)
    if row.ndim != 1:
        raise ValueError(f"identity is {row.shape}, not one row")
    return row


def _bytes(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list) and all(type(item) is int and 0 <= item < 256 for item in value):
        return bytes(value)
    raise ValueError("thumb isn't a list of bytes")


def _shown(value: object) -> str:
    """A value in a message: short, on one line, whatever it is."""
    if isinstance(value, (str, int, float)):
        return ascii(value)[:60] if not isinstance(value, int) or abs(value) < 1 << 64 else "a huge number"
    return f"a {type(value).__name__}"


def _builtin(value: Any) -> Any:
    match value:
        case np.ndarray():
            return value.tolist()
        case dict():
            return {key: _builtin(item) for key, item in value.items()}
        case list():
            return [_builtin(item) for item in value]
        case _:
            return value
