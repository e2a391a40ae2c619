"""How much a picture of a face tells about whose it is: large, frontal, sharp, whole, surely a face. 0.05 ms a face."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from facestream.faces.aligned import face_sizes, solved
from facestream.stream.types import Doubles, Floats, FrameFaces, Image

_FULL_SIZE: Final = 112.0
"""Pixels of a face's edge from which more don't help: what identity models see."""

_SIDEWAYS: Final = 75.0
"""Degrees of yaw or pitch at which nothing is left of a face."""

_EDGE: Final = 48
"""Pixels of the edge in which sharpness is measured, so that it doesn't depend on the face's size."""

_SHARP: Final = 0.1
"""The Laplacian's variance over the grey values' own, above which a picture is as sharp as it need be."""


def picture_quality(faces: FrameFaces) -> Floats:
    """float32 (N,) in 0..1: the product of five marks, each 1 for a picture that can't be better in that respect.

    * size: the face's edge in pixels, the square root of its share of 112;
    * frontality: yaw and pitch, 1 − (angle / 75°)²; without landmarks it counts as 1;
    * sharpness: the Laplacian's spread over that of the grey values, at one size for all faces;
    * wholeness: the share of the box inside the frame, squared;
    * certainty: the smaller of the detector's and the aligner's score.
    """
    if not len(faces):
        return np.zeros(0, np.float32)
    marks = _size(faces) * _frontality(faces) * _wholeness(faces) * _certainty(faces)
    worth = np.flatnonzero(marks > 0)
    marks[worth] *= [_sharpness(faces.frame.image, faces.boxes[face]) for face in worth]
    return np.asarray(marks, np.float32)


def _size(faces: FrameFaces) -> Doubles:
    edges = np.sqrt(np.maximum(_areas(faces.boxes), 0.0))
    if faces.aligned is not None:
        edges = np.where(solved(faces.aligned), face_sizes(faces.aligned.matrices), edges)
    return np.asarray(np.sqrt(np.clip(edges / _FULL_SIZE, 0.0, 1.0)), np.float64)


def _frontality(faces: FrameFaces) -> Doubles:
    if faces.aligned is None:
        return np.ones(len(faces))
    angles = np.hypot(faces.aligned.pose[:, 0], faces.aligned.pose[:, 1]).astype(np.float64)
    return np.clip(1.0 - (angles / _SIDEWAYS) ** 2, 0.0, 1.0)


def _wholeness(faces: FrameFaces) -> Doubles:
    width, height = faces.frame.size
    inside = np.clip(faces.boxes, 0, np.array([width, height, width, height], np.float32))
    return (_areas(inside) / np.maximum(_areas(faces.boxes), 1e-6)) ** 2


def _certainty(faces: FrameFaces) -> Doubles:
    scores = faces.scores if faces.landmark_scores is None else np.minimum(faces.scores, faces.landmark_scores)
    return np.clip(scores.astype(np.float64), 0.0, 1.0)


def _sharpness(image: Image, box: Floats) -> float:
    """Of the box's middle, where the features are and the background isn't."""
    height, width = image.shape[:2]
    margin = (box[2:] - box[:2]) * 0.2
    left, top = np.clip(np.floor(box[:2] + margin), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(box[2:] - margin), 0, (width, height)).astype(int)
    if right - left < 4 or bottom - top < 4:
        return 0.0
    part = image[top:bottom, left:right]
    if max(part.shape[:2]) > _EDGE:
        part = np.asarray(cv2.resize(part, (_EDGE, _EDGE), interpolation=cv2.INTER_AREA), np.uint8)
    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    contrast = float(grey.var())
    if contrast <= 1.0:
        return 0.0
    return float(np.sqrt(min(cv2.Laplacian(grey, cv2.CV_32F).var() / (contrast * _SHARP), 1.0)))


def _areas(boxes: Floats) -> Doubles:
    wide = boxes.astype(np.float64)
    return (wide[:, 2] - wide[:, 0]) * (wide[:, 3] - wide[:, 1])
