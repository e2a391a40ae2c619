"""Evening out the light and contrast of what an aligner sees (spec §7.2). The saved face is never touched."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import cv2
import numpy as np

from facestream.stream.types import Image

CLIP_LIMIT: Final = 2.0
TILES: Final = (4, 4)


class Normalization(StrEnum):
    """How crops are evened out before an aligner sees them. Each channel of each crop goes by itself (spec D12)."""

    NONE = "none"
    CLAHE = "clahe"  # histogram equalisation of tiles, with a limit to the contrast (Zuiderveld 1994)
    HIST = "hist"  # histogram equalisation
    MEAN = "mean"  # the darkest value becomes 0 and the brightest 255; faceswap's name for it

    def __call__(self, crops: Image) -> Image:
        """uint8 (N, S, S, 3) → a new array of the same shape, or the same array where there is nothing to do."""
        if self is Normalization.NONE or not len(crops):
            return crops
        if self is Normalization.MEAN:
            return stretch(crops)
        if self is Normalization.HIST:
            return _each_plane(cv2.equalizeHist, crops)
        return _each_plane(cv2.createCLAHE(CLIP_LIMIT, TILES).apply, crops)


def stretch(crops: Image) -> Image:
    """Each channel of each crop from its own extremes to 0 and 255, rounded down; one without contrast becomes 0."""
    low = crops.min(axis=(1, 2), keepdims=True).astype(np.int32)
    span = crops.max(axis=(1, 2), keepdims=True) - low
    return np.asarray((crops - low) * 255 // np.maximum(span, 1), np.uint8)


def _each_plane(even_out: Callable[[Any], Any], crops: Image) -> Image:
    planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
    for crop in planes:
        for plane in crop:
            plane[...] = even_out(plane)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
