"""Where an identity model sees a face: turned, scaled and moved so that eyes, nose and mouth lie as in training."""

from __future__ import annotations

from typing import Final

import numpy as np

from facestream.errors import ModelError
from facestream.faces.aligned import align
from facestream.faces.meanface import CORE, MEAN_FACE
from facestream.faces.umeyama import umeyama
from facestream.stream.types import Doubles, ExtractBatch, Floats

ARCFACE: Final[Doubles] = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)], np.float64
)
"""Eyes, nose tip and mouth corners in a crop of :data:`ARCFACE_SIZE` pixels (Liu et al.: SphereFace, CVPR 2017; Deng et
al.: ArcFace, CVPR 2019); the subject's right eye, on the picture's left, first."""

ARCFACE_SIZE: Final = 112

_RIGHT_EYE, _LEFT_EYE, _NOSE_TIP, _MOUTH_CORNERS = slice(36, 42), slice(42, 48), 30, (48, 54)


def five_points(landmarks: Floats | Doubles) -> Doubles:
    """float64 (N, 5, 2) out of (N, 68, 2): both eyes' middles, nose tip, both mouth corners."""
    points = np.asarray(landmarks, np.float64)
    eyes = np.stack([points[:, eye].mean(axis=1) for eye in (_RIGHT_EYE, _LEFT_EYE)], axis=1)
    return np.concatenate([eyes, points[:, [_NOSE_TIP, *_MOUTH_CORNERS]]], axis=1)


def template_matrices(batch: ExtractBatch, name: str, template: Doubles = ARCFACE) -> Floats:
    """float32 (N, 3, 3), frame pixels → crop pixels, by which each face's five points come to ``template`` (5, 2).

    By the landmarks, all of them: what lays them onto the mean face, then its five points onto the template. Measured
    on LFW, that tells people apart a little better than five points of the face itself, which move when it smiles or
    turns. Faces without landmarks are placed by the detector's points.

    Args:
        batch: faces with landmarks or points.
        name: the model's, for the error.

    Raises:
        ModelError: the faces have neither.
    """
    if batch.landmarks is not None:
        aligned = batch.aligned or align(batch.landmarks)
        return (_from_mean_face(template) @ aligned.matrices).astype(np.float32)
    if batch.points is None:
        raise ModelError(f"{name}: needs to know where eyes, nose and mouth are: choose an aligner")
    return umeyama(batch.points, template)[0].astype(np.float32)


def _from_mean_face(template: Doubles) -> Doubles:
    """(3, 3): normalised mean-face coordinates → crop pixels."""
    mean = np.concatenate([np.zeros((CORE.start, 2)), MEAN_FACE])  # the jaw isn't looked at
    return np.asarray(umeyama(five_points(mean[None]), template)[0][0], np.float64)
