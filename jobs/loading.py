"""Loading a model and seeing that it keeps its contract, before the first frame comes (spec §20).

The form of its results is checked again for every batch (``stream/checks.py``); their values are here only.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from facestream.errors import FacestreamError, ModelError
from facestream.faces.aligned import align
from facestream.faces.meanface import MEAN_FACE
from facestream.plugins.card import Role
from facestream.plugins.third_party import said
from facestream.stream.checks import check_detections, check_faces
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
        if role == Role.DETECT:
            _try_detector(plugin)
        else:
            _try_on_a_face(plugin, Role(role))
    except FacestreamError:
        raise
    except Exception as error:  # may be somebody else's code
        raise ModelError(f"{plugin.name}: fails on a blank frame: {said(error)}") from error


def _try_detector(plugin: Any) -> None:
    images = [_blank(_EDGE * 9 // 16, _EDGE), _blank(_EDGE * 9 // 8, _EDGE * 2)]  # most videos' shape: it gets compiled
    feed = plugin.pre_process(images)
    found: list[Detections] = plugin.post_process(plugin.infer(feed), feed)
    check_detections(plugin.name, found, len(images))
    for one in found:
        _check_finite(plugin.name, "boxes", one.boxes)
        _check_scores(plugin.name, "scores", one.scores)


def _try_on_a_face(plugin: Any, role: Role) -> None:
    landmarks = _EDGE * np.concatenate([_jaw(), MEAN_FACE]).astype(np.float32)[None]
    batch = ExtractBatch(
        frames=[Frame("warm-up", 0, 0, 0.0, 0.0, _blank(_EDGE, _EDGE))],
        boxes=np.array([[0, 0, _EDGE, _EDGE]], np.float32),
        scores=np.ones(1, np.float32),
        landmarks=None if role is Role.ALIGN else landmarks,
        aligned=None if role is Role.ALIGN else align(landmarks),
        frame_ids=np.zeros(1, np.int32),
    )
    feed = plugin.pre_process(batch)
    plugin.post_process(plugin.infer(feed), feed, batch)
    check_faces(plugin.name, batch)
    written = {Role.ALIGN: batch.landmarks is not None, Role.MASK: batch.masks, Role.IDENTITY: batch.identities}
    if not written[role]:
        raise ModelError(f"{plugin.name}: wrote no {_RESULTS[role]} into the batch")
    if batch.landmarks is not None:
        _check_finite(plugin.name, "landmarks", batch.landmarks)
    if batch.landmark_scores is not None:
        _check_scores(plugin.name, "landmark scores", batch.landmark_scores)
    for key, rows in batch.identities.items():
        _check_finite(plugin.name, f"identity {key!r}", rows)


_RESULTS: Final = {Role.ALIGN: "landmarks", Role.MASK: "masks", Role.IDENTITY: "identities"}


def _blank(height: int, width: int) -> Image:
    return np.zeros((height, width, 3), np.uint8)


def _jaw() -> Floats:
    angles = np.linspace(np.pi, 0, 17)
    return np.stack([0.5 + 0.6 * np.cos(angles), 0.3 + 0.9 * np.sin(angles)], axis=1).astype(np.float32)


def _check_finite(name: str, what: str, array: Floats) -> None:
    if not np.isfinite(array).all():
        raise ModelError(f"{name}: {what} aren't finite")


def _check_scores(name: str, what: str, scores: Floats) -> None:
    _check_finite(name, what, scores)
    if ((scores < 0) | (scores > 1)).any():
        raise ModelError(f"{name}: {what} must lie in 0..1, not {scores.min():.3g}..{scores.max():.3g}")
