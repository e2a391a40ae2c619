"""Loading a model and seeing that it keeps its contract, before the first frame comes (spec §20).

A model that returns the wrong thing fails here with its name, not later in somebody else's code.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from facestream.errors import FacestreamError, ModelError
from facestream.faces.aligned import align
from facestream.faces.landmarks import LandmarkType
from facestream.faces.meanface import MEAN_FACE
from facestream.plugins.card import Role
from facestream.plugins.third_party import said
from facestream.stream.types import Detections, ExtractBatch, Floats, Frame, Image

_EDGE: Final = 64  # of the blank frame, in pixels


def load_checked(plugin: Any, role: Role | str, device: str) -> None:
    """Load ``plugin`` onto ``device`` and let it look at blank frames once.

    Raises:
        WeightsMissing, WeightsCorrupt, DeviceError: as its ``load`` does.
        ModelError: it can't be loaded, fails, or returns what its contract forbids; the message names it.
    """
    try:
        plugin.load(device)
    except FacestreamError:
        raise
    except Exception as error:  # may be somebody else's code
        raise ModelError(f"{plugin.name}: can't be loaded on {device}: {said(error)}") from error
    try:
        result = _detections(plugin) if role == Role.DETECT else _batch(plugin)
    except FacestreamError:
        raise
    except Exception as error:  # may be somebody else's code
        raise ModelError(f"{plugin.name}: fails on a blank frame: {said(error)}") from error
    if role == Role.DETECT:
        check_detections(plugin.name, result, 2)
    else:
        check_faces(plugin.name, Role(role), result)


def _detections(plugin: Any) -> Any:
    feed = plugin.pre_process([_blank(_EDGE // 2, _EDGE), _blank(_EDGE, _EDGE)])
    return plugin.post_process(plugin.infer(feed), feed)


def _batch(plugin: Any) -> Any:
    landmarks = _EDGE * np.concatenate([_jaw(), MEAN_FACE]).astype(np.float32)[None]
    batch = ExtractBatch(
        frames=[Frame("warm-up", 0, 0, 0.0, 0.0, _blank(_EDGE, _EDGE))],
        boxes=np.array([[0, 0, _EDGE, _EDGE]], np.float32),
        scores=np.ones(1, np.float32),
        landmarks=landmarks,
        aligned=align(landmarks),
        frame_ids=np.zeros(1, np.int32),
    )
    feed = plugin.pre_process(batch)
    plugin.post_process(plugin.infer(feed), feed, batch)
    return batch


def _blank(height: int, width: int) -> Image:
    return np.zeros((height, width, 3), np.uint8)


def _jaw() -> Floats:
    angles = np.linspace(np.pi, 0, 17)
    return np.stack([0.5 + 0.6 * np.cos(angles), 0.3 + 0.9 * np.sin(angles)], axis=1).astype(np.float32)


def check_detections(name: str, found: Any, frames: int) -> None:
    """
    Raises:
        ModelError: ``found`` isn't one sound :class:`Detections` for each of so many frames.
    """
    if not isinstance(found, list) or len(found) != frames or not all(isinstance(one, Detections) for one in found):
        raise ModelError(f"{name}: post_process must return a list with one Detections a frame, not {_told(found)}")
    for one in found:
        count = len(one.boxes) if isinstance(one.boxes, np.ndarray) else 0
        _check_floats(name, "boxes", one.boxes, (count, 4))
        _check_floats(name, "scores", one.scores, (count,))
        _check_range(name, "scores", one.scores)
        if one.points is not None:
            _check_floats(name, "points", one.points, (count, 5, 2))


def check_faces(name: str, role: Role, batch: ExtractBatch) -> None:
    """
    Raises:
        ModelError: a model for ``role`` hasn't written sound results about each of the batch's faces into it.
    """
    count = len(batch)
    if role is Role.ALIGN:
        points = batch.landmarks.shape[1] if batch.landmarks is not None and batch.landmarks.ndim == 3 else 68
        known = [kind.value for kind in LandmarkType]
        _check_floats(name, "landmarks", batch.landmarks, (count, points if points in known else 68, 2))
        if batch.landmark_scores is not None:
            _check_floats(name, "landmark scores", batch.landmark_scores, (count,))
            _check_range(name, "landmark scores", batch.landmark_scores)
        return
    if not (batch.masks if role is Role.MASK else batch.identities):
        raise ModelError(f"{name}: wrote no {'masks' if role is Role.MASK else 'identities'} into the batch")
    for key, rows in batch.identities.items():
        _check_floats(name, f"identities {key!r}", rows, (count, *np.shape(rows)[1:2]))
    for key, masks in batch.masks.items():
        shape = (count, *2 * np.shape(masks.masks)[-1:])
        if masks.masks.dtype != np.uint8 or masks.masks.shape != shape:
            raise ModelError(f"{name}: mask {key!r} is {_told(masks.masks)}, not uint8 (N, size, size)")
        _check_floats(name, f"the matrices of mask {key!r}", masks.matrices, (count, 3, 3))


def _check_floats(name: str, what: str, array: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.shape != shape:
        raise ModelError(f"{name}: {what} are {_told(array)}, not float32 {shape}")
    if not np.isfinite(array).all():
        raise ModelError(f"{name}: {what} aren't finite")


def _check_range(name: str, what: str, scores: Floats) -> None:
    if ((scores < 0) | (scores > 1)).any():
        raise ModelError(f"{name}: {what} must lie in 0..1, not {scores.min():.3g}..{scores.max():.3g}")


def _told(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"{len(value)} of them" if isinstance(value, list) else type(value).__name__
