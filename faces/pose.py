"""Where a head looks, from 26 of its normalised landmarks and a mean head (spec §8.6)."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, hypot
from typing import Final, NamedTuple

import cv2
import numpy as np

from facestream.faces.meanface import MEAN_HEAD, POSE_INDICES
from facestream.stream.types import Doubles

CENTERS: Final[dict[str, tuple[float, float, float]]] = {"face": (0.0, -1.5, 4.2), "head": (0.0, 0.0, -2.3)}
"""Centering → the point of the mean head that belongs in the crop's middle."""

AXES: Final = ((6.0, 0.0, -2.3), (0.0, 6.0, -2.3), (0.0, 0.0, 3.7))
"""Points of the mean head six units from its centre: towards its right, up and forward."""

_CAMERA: Final = np.array([[4.0, 0.0, 0.5], [0.0, 4.0, 0.5], [0.0, 0.0, 1.0]])

# The mean head has y up, so the solver's camera sees it from behind its own back: depth is negative. Starting
# from a frontal head rather than from OpenCV's linear estimate keeps the iteration out of the mirrored
# solution (upside down, in front), where the linear start led 2 of 869 photographed faces.
_FRONTAL: Final = (np.zeros((3, 1)), np.array([[0.0], [2.6], [-56.0]]))


class Pose(NamedTuple):
    """Rotation vectors (N, 3) and translations (N, 3), mean head → camera; zeros where unsolved."""

    rotation: Doubles
    translation: Doubles


def solve(landmarks: Doubles) -> Pose:
    """Solve each head's pose. About 0.11 ms a face; OpenCV lets go of the interpreter meanwhile.

    Args:
        landmarks: (N, 68, 2), normalised by the face's own matrix, so that the in-plane rotation is out
            already.
    """
    pose = Pose(np.zeros((len(landmarks), 3)), np.zeros((len(landmarks), 3)))
    chosen = np.ascontiguousarray(landmarks[:, POSE_INDICES])
    for index in np.flatnonzero(np.isfinite(chosen).all(axis=(1, 2))):
        solved, rotation, translation = cv2.solvePnP(
            MEAN_HEAD,
            chosen[index],
            _CAMERA,
            None,
            _FRONTAL[0].copy(),
            _FRONTAL[1].copy(),
            True,
            cv2.SOLVEPNP_ITERATIVE,
        )
        if solved and np.isfinite((rotation, translation)).all():
            pose.rotation[index], pose.translation[index] = rotation[:, 0], translation[:, 0]
    return pose


def rotation_matrices(vectors: Doubles) -> Doubles:
    """Rotation vectors (N, 3) → matrices (N, 3, 3)."""
    return np.array([cv2.Rodrigues(vector)[0] for vector in vectors], np.float64).reshape(-1, 3, 3)


def angles(pose: Pose, matrix: Doubles | None = None) -> Doubles:
    """(N, 3) pitch, yaw and roll in degrees.

    Roll is what remains after the alignment has turned the face upright, so it is small. Here and below ``matrix`` is
    the pose's :func:`rotation_matrices`, for callers who need it more than once.
    """
    matrix = rotation_matrices(pose.rotation) if matrix is None else matrix
    radians = [
        (atan2(third[1], third[2]), atan2(-third[0], hypot(third[1], third[2])), atan2(second[0], first[0]))
        for first, second, third in matrix.tolist()
    ]
    return np.degrees(np.array(radians, np.float64).reshape(-1, 3))


def project(points: Sequence[tuple[float, float, float]], pose: Pose, matrix: Doubles | None = None) -> Doubles:
    """(N, P, 2) where points of the mean head appear, normalised; (0.5, 0.5) where the pose is unsolved."""
    matrix = rotation_matrices(pose.rotation) if matrix is None else matrix
    seen = np.asarray(points) @ matrix.transpose(0, 2, 1) + pose.translation[:, None]
    solved = (pose.translation[:, 2] != 0)[:, None, None]
    plane = np.where(solved, seen[..., :2], 0.0) / np.where(solved, seen[..., 2:], 1.0)
    return np.asarray(plane * _CAMERA[0, 0] + _CAMERA[0, 2], np.float64)


def offsets(pose: Pose, matrix: Doubles | None = None) -> dict[str, Doubles]:
    """Centering → (N, 2), how far its centre lies from the normalised middle; zeros where unsolved."""
    shifts = project(list(CENTERS.values()), pose, matrix) - _CAMERA[0, 2]
    return {"legacy": np.zeros((len(shifts), 2)), **{name: shifts[:, place] for place, name in enumerate(CENTERS)}}


def axes(pose: Pose) -> Doubles:
    """(N, 3, 2) where the ends of :data:`AXES` appear, normalised, with the head's centre at (0.5, 0.5).

    All three lie at the centre where the pose is unsolved.
    """
    return np.asarray(project(AXES, pose) - offsets(pose)["head"][:, None], np.float64)
