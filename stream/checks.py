"""The form of what a plugin hands back, checked for every batch: a wrong number of dimensions is found where it arises,
not hours later at the end of the chain (spec §19, issue 1546). A few microseconds; numbers aren't looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facestream.errors import ModelError
from facestream.faces.landmarks import LandmarkType
from facestream.stream.types import Detections, Faces, Masks

_LAYOUTS = frozenset(kind.value for kind in LandmarkType)
_CENTERINGS = ("legacy", "face", "head")


def check_detections(name: str, found: Sequence[Detections], frames: int) -> None:
    """
    Raises:
        ModelError: a detector's results aren't one for each of ``frames``, or an array isn't what
            :class:`Detections` says.
    """
    if len(found) != frames:
        raise ModelError(
            f"{name} returned {len(found)} results for {frames} frames; a detector must return one for each"
        )
    for one in found:
        count = len(one.boxes)
        _check_form(name, "boxes", one.boxes, np.float32, (count, 4))
        _check_form(name, "scores", one.scores, np.float32, (count,))
        if one.points is not None:
            _check_form(name, "points", one.points, np.float32, (count, 5, 2))


def check_faces(name: str, faces: Faces) -> None:
    """
    Raises:
        ModelError: an array of ``faces``, which ``name`` has just been at, isn't what :class:`Faces` says.
    """
    count = len(faces)
    _check_form(name, "boxes", faces.boxes, np.float32, (count, 4))
    if faces.landmarks is not None:
        points = faces.landmarks.shape[1] if faces.landmarks.ndim == 3 else 68
        _check_form(name, "landmarks", faces.landmarks, np.float32, (count, points if points in _LAYOUTS else 68, 2))
    if faces.landmark_scores is not None:
        _check_form(name, "landmark_scores", faces.landmark_scores, np.float32, (count,))
    for mask, masks in faces.masks.items():
        _check_masks(f"{name}: mask {mask!r}", masks, count)
    for identity, rows in faces.identities.items():
        width = rows.shape[-1] if rows.ndim else 0
        _check_form(name, f"identity {identity!r}", rows, np.float32, (count, width))


def _check_masks(name: str, masks: Masks, count: int) -> None:
    if masks.centering not in _CENTERINGS:
        raise ModelError(f"{name}: centering is {masks.centering!r}, not one of {', '.join(_CENTERINGS)}")
    edge = masks.masks.shape[1] if masks.masks.ndim > 1 else 0
    _check_form(name, "masks", masks.masks, np.uint8, (count, edge, edge))
    _check_form(name, "matrices", masks.matrices, np.float32, (count, 3, 3))


def _check_form(name: str, what: str, array: Any, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ModelError(f"{name}: {what} are {found}, not {dtype.__name__} {shape}")
