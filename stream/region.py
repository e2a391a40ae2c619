"""The part of a frame in which faces are looked for. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facestream.stream.types import Detections, Region


def pixels_of(shares: tuple[float, float, float, float], size: tuple[int, int]) -> Region:
    """left, top, right, bottom as shares of a frame of ``size`` (width, height) → whole pixels, one at least."""
    width, height = size
    left, top = min(int(shares[0] * width), width - 1), min(int(shares[1] * height), height - 1)
    right, bottom = round(shares[2] * width), round(shares[3] * height)
    return left, top, max(left + 1, right), max(top + 1, bottom)


def moved(found: Detections, region: Region | None) -> Detections:
    """Detections in a region's own pixels → in the frame's."""
    if region is None:
        return found
    corner = np.asarray(region[:2], np.float32)
    points = None if found.points is None else found.points + corner
    return replace(found, boxes=found.boxes + np.tile(corner, 2), points=points)
