"""Decoding of detectors whose values are offsets from anchor boxes (spec §17.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from facestream.plugins.detect.base import Candidates
from facestream.stream.types import Floats

CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
_LARGEST_EXPONENT = 10.0  # e¹⁰ times an anchor is larger than any frame; beyond float32's range lies infinity


@dataclass(frozen=True, slots=True, eq=False)
class Anchored:
    """What one level of a pyramid shows.

    Attributes:
        candidates: without points.
        cells: the index of each candidate into (B, anchors, values, h, w).
        priors: float32 (N, 2), the anchors' centres, canvas pixels.
        sides: float32 (N, 1), the anchors' sides, canvas pixels.
    """

    candidates: Candidates
    cells: Any
    priors: Floats
    sides: Floats


def decode_level(scores: Floats, boxes: Floats, stride: int, anchors: Floats, threshold: float) -> Anchored:
    """Centres move in anchor sides times a variance; sizes are logarithms of factors, over another.

    Args:
        scores: (B, A, h, w), a face's probability at each of a cell's A anchors.
        boxes: (B, 4 · A, h, w): x, y, width, height of the first anchor, then of the next.
        stride: canvas pixels of a cell.
        anchors: (A,) sides of the square anchors, canvas pixels.
        threshold: the least score.
    """
    batch, count, height, width = scores.shape
    frame, anchor, row, column = np.nonzero(scores >= threshold)
    cells = (frame, anchor, slice(None), row, column)
    side = anchors[anchor][:, None]
    prior = (np.stack([column, row], 1) + np.float32(0.5)) * np.float32(stride)
    box = boxes.reshape(batch, count, 4, height, width)[cells]
    centre = prior + box[:, :2] * CENTRE_VARIANCE * side
    half = np.exp(np.minimum(box[:, 2:] * SIZE_VARIANCE, _LARGEST_EXPONENT)) * side / 2
    corners = np.concatenate([centre - half, centre + half], 1).astype(np.float32)
    found = Candidates(frame.astype(np.int32), corners, scores[frame, anchor, row, column])
    return Anchored(found, cells, prior, side)
