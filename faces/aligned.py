"""What landmarks imply: matrices, centering offsets and pose of every face, all at once (spec §2.4, §8)."""

from __future__ import annotations

from typing import Final

import numpy as np

from facestream.faces import pose
from facestream.faces.landmarks import LandmarkType, landmark_type, to_68
from facestream.faces.meanface import CORE, MEAN_FACE, MEAN_QUAD
from facestream.faces.umeyama import umeyama
from facestream.stream.types import Aligned, Bools, Doubles, Floats

_BROWS_AND_EYES: Final = (*range(17, 27), *range(36, 48))
_MOUTH: Final = slice(48, 68)
_POSELESS: Final = (LandmarkType.QUAD, LandmarkType.CORE)


def align(landmarks: Floats) -> Aligned:
    """The aligned view of N faces. About 0.15 ms a face, nearly all of it the pose.

    Args:
        landmarks: (N, M, 2) in frame pixels, M being 68 or 98. 51 (no jaw) and 4 (a square's corners) give
            matrices with offsets and pose of zero: there is nothing to solve a pose from.

    Returns:
        float32 arrays, all finite. A face whose landmarks determine no transform has the identity as matrix
        and offsets and pose of zero; :func:`solved` tells which.

    Raises:
        ValueError: no landmark layout has that shape.
    """
    kind = landmark_type(landmarks)
    if kind is LandmarkType.QUAD:
        matrices, _ = umeyama(landmarks, MEAN_QUAD)
        return _without_pose(matrices)
    if kind is LandmarkType.CORE:
        matrices, _ = umeyama(landmarks, MEAN_FACE)
        return _without_pose(matrices)
    points = to_68(landmarks)
    matrices, usable = umeyama(points[:, CORE], MEAN_FACE)
    normalised = transform(matrices, np.where(usable[:, None, None], points, np.nan))
    found = pose.solve(normalised)
    turned = pose.rotation_matrices(found.rotation)
    return Aligned(
        matrices.astype(np.float32),
        {name: shift.astype(np.float32) for name, shift in pose.offsets(found, turned).items()},
        pose.angles(found, turned).astype(np.float32),
    )


def _without_pose(matrices: Doubles) -> Aligned:
    count = len(matrices)
    offsets = {name: np.zeros((count, 2), np.float32) for name in ("legacy", *pose.CENTERS)}
    return Aligned(matrices.astype(np.float32), offsets, np.zeros((count, 3), np.float32))


def transform(matrices: Floats | Doubles, points: Floats | Doubles) -> Doubles:
    """Each face's points through its own matrix: (N, 3, 3), (N, M, 2) → float64 (N, M, 2).

    What isn't finite comes out as NaN or infinite, without a warning.
    """
    wide = np.asarray(matrices, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        turned = np.asarray(points, np.float64) @ wide[:, :2, :2].transpose(0, 2, 1)
        return np.asarray(turned + wide[:, None, :2, 2], np.float64)


def normalised(aligned: Aligned, landmarks: Floats) -> Doubles:
    """The landmarks in mean-face coordinates, "legacy" centering: float64 (N, 68, 2) of 68 or 98, else (N, M, 2)."""
    points = landmarks if landmark_type(landmarks) in _POSELESS else to_68(landmarks)
    return transform(aligned.matrices, points)


def head_pose(aligned: Aligned, landmarks: Floats) -> pose.Pose:
    """The rotation and translation behind ``aligned``'s angles; zeros where it has none."""
    if landmark_type(landmarks) in _POSELESS:
        return pose.Pose(np.zeros((len(landmarks), 3)), np.zeros((len(landmarks), 3)))
    return pose.solve(np.where(solved(aligned)[:, None, None], normalised(aligned, landmarks), np.nan))


def solved(aligned: Aligned) -> Bools:
    """bool (N,): whether the landmarks determined a matrix; the identity, a face of one pixel, says no."""
    return np.asarray((aligned.matrices != np.eye(3, dtype=np.float32)).any(axis=(1, 2)))


def face_sizes(matrices: Floats) -> Floats:
    """float32 (N,): the edge in frame pixels of the face-centred square (spec §7.6)."""
    return np.asarray(2.0 / np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]), np.float32)


def average_distances(matrices: Floats, landmarks: Floats) -> Floats:
    """float32 (N,): the core landmarks' mean distance to the mean face, over points and axes (spec §7.6)."""
    core = transform(matrices, to_68(landmarks)[:, CORE])
    return np.asarray(np.abs(core - MEAN_FACE).mean(axis=(1, 2)), np.float32)


def eye_mouth_distances(matrices: Floats, landmarks: Floats) -> Floats:
    """float32 (N,): how far the mouth lies below eyes and brows; positive for a face (spec §7.6)."""
    heights = transform(matrices, to_68(landmarks))[..., 1]
    below: Doubles = heights[:, _MOUTH].min(axis=1) - heights[:, _BROWS_AND_EYES].max(axis=1)
    return below.astype(np.float32)
