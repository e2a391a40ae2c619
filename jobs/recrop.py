"""One face of an alignments file, out of its frame again: which are large enough, and the picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from facestream.faces.aligned import align, transform
from facestream.faces.crops import crop, crop_matrices, padding
from facestream.faces.landmarks import LandmarkType, landmark_type, to_68
from facestream.faces.meanface import CORE, MEAN_FACE, MEAN_QUAD
from facestream.faces.umeyama import umeyama
from facestream.io.face_record import FaceAlignment
from facestream.io.faces import ALIGNMENTS_VERSION, with_header
from facestream.io.png import encode_png
from facestream.stream.types import Floats, Image, Region

SMALLEST: Final = 4
"""Pixels: with any size limit at all, a head box below this is too small."""

# The subject's own eyes, among the 51 points without the jaw.
_RIGHT_EYE: Final = slice(19, 25)
_LEFT_EYE: Final = slice(25, 31)


def least_edge(size: int, percent: float) -> int:
    """The head box's least edge in frame pixels for ``--min-size percent`` of ``size`` (spec §15.5); 0 for none."""
    return max(SMALLEST, int(size * percent / 100)) if percent > 0 else 0


def head_edge(face: FaceAlignment, size: int) -> float | None:
    """The edge in frame pixels of the box that a head-centred crop of ``size`` shows.

    None where the landmarks determine no crop.
    """
    points = face.landmarks_xy[None].astype(np.float32)
    match landmark_type(points):
        case LandmarkType.QUAD:
            matrices, usable = umeyama(points, MEAN_QUAD)
        case LandmarkType.CORE:
            matrices, usable = umeyama(points, MEAN_FACE)
        case _:
            matrices, usable = umeyama(to_68(points)[:, CORE], MEAN_FACE)
    if not usable[0]:
        return None
    scale = float(np.hypot(matrices[0, 0, 0], matrices[0, 1, 0]))
    return size / (scale * (size - 2 * padding(size, "head")))


def level_eyes(matrix: Floats, landmarks: Floats, size: int) -> Floats:
    """A crop's matrix (3, 3), turned about the crop's middle so that the eyes lie level.

    The angle is that of faceswap's ``align_eyes`` (spec §15.5), which turns about the frame's origin instead and
    so moves the face out of the middle. Four points have no eyes: their matrix stays.

    Args:
        matrix: frame pixels → crop pixels.
        landmarks: float32 (M, 2), frame pixels.
    """
    kind = landmark_type(landmarks)
    if kind is LandmarkType.QUAD:
        return matrix
    core = landmarks if kind is LandmarkType.CORE else to_68(landmarks)[CORE]
    points = transform(matrix[None], core[None])[0]
    across = points[_LEFT_EYE].mean(axis=0) - points[_RIGHT_EYE].mean(axis=0)
    angle = np.arctan2(across[1], across[0])
    cosine, sine, middle = np.cos(angle), np.sin(angle), (size - 1) / 2
    turn = np.array(
        [
            [cosine, sine, middle - (cosine + sine) * middle],
            [-sine, cosine, middle - (cosine - sine) * middle],
            [0, 0, 1],
        ]
    )
    return np.asarray(turn @ matrix, np.float32)


def face_matrix(face: FaceAlignment, size: int, centering: str = "head", align_eyes: bool = False) -> Floats:
    """float32 (3, 3): frame pixels → pixels of the face's crop.

    Args:
        size: the crop's edge in pixels.
        centering: "legacy", "face" or "head".
        align_eyes: see :func:`level_eyes`.
    """
    landmarks = face.landmarks_xy.astype(np.float32)
    matrix = crop_matrices(align(landmarks[None]), size, centering)[0]
    return level_eyes(matrix, landmarks, size) if align_eyes else matrix


def needed_region(matrices: Sequence[Floats], size: int, frame: tuple[int, int]) -> Region:
    """The part of a frame of (width, height) ``frame`` that the crops of these matrices look at."""
    edge = size - 1
    corners = np.array([(0, 0, 1), (0, edge, 1), (edge, edge, 1), (edge, 0, 1)], np.float64)
    points = np.concatenate([corners @ np.linalg.inv(matrix.astype(np.float64)).T for matrix in matrices])[:, :2]
    # What interpolation and averaging look at beyond the corners.
    reach = 4 + 2 * max(1 / float(np.hypot(matrix[0, 0], matrix[1, 0])) for matrix in matrices)
    left, top = np.clip(np.floor(points.min(axis=0) - reach), 0, np.array(frame) - 1).astype(int).tolist()
    right, bottom = np.clip(np.ceil(points.max(axis=0) + reach), (left + 1, top + 1), frame).astype(int).tolist()
    return left, top, right, bottom


def face_picture(image: Image, matrix: Floats, face: FaceAlignment, source: dict[str, Any], size: int) -> bytes:
    """A face's PNG with faceswap's header. Takes one or two milliseconds for the crop and four for a PNG of 512 pixels.

    Args:
        matrix: pixels of ``image`` → crop pixels; see :func:`face_matrix`.
        source: the header's ``source``; see :func:`header_source`.
        size: the picture's edge in pixels.
    """
    header = {"alignments": face.to_dict(thumb=False), "source": source}
    return with_header(encode_png(crop(image, matrix, size)), header)


def shifted(matrix: Floats, left: int, top: int) -> Floats:
    """A frame's matrix for the part of it that begins at (left, top), in float64 so as not to move by a rounding."""
    wide = matrix.astype(np.float64)
    wide[:2, 2] += wide[:2, :2] @ (left, top)
    return wide  # type: ignore[return-value]


def header_source(key: str, stem: str, index: int, *, video: bool, size: tuple[int, int]) -> dict[str, Any]:
    """The header's description of where a face comes from (spec §13.1).

    Args:
        key: the frame's name in the alignments.
        stem: what the picture's name begins with.
        index: the face's place among the frame's faces.
        size: the frame's (width, height).
    """
    return {
        "alignments_version": ALIGNMENTS_VERSION,
        "original_filename": f"{stem}_{index}.png",
        "face_index": index,
        "source_filename": key,
        "source_is_video": video,
        "source_frame_dims": (size[1], size[0]),
    }
