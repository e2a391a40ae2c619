"""Where a mask ends: further out, further in, harder or softer (spec §9.2)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import cv2
import numpy as np

from facestream.stream.types import Image


class Blur(StrEnum):
    """How a mask's edge is softened."""

    GAUSSIAN = "gaussian"
    NORMALIZED = "normalized"  # the plain average of the kernel's square


_SHRINKING: Final = {Blur.GAUSSIAN: 0.8, Blur.NORMALIZED: 0.5}
"""By how much the kernel of each further pass is smaller."""


def dilated(mask: Image, percent: float) -> Image:
    """The mask (s, s), grown by an ellipse of ``percent`` of its edge, or shrunk when that is negative."""
    kernel = round(mask.shape[0] * abs(percent) / 100)
    if kernel == 0:
        return mask
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (kernel, kernel))
    change = cv2.dilate if percent > 0 else cv2.erode
    return np.asarray(change(mask, element), np.uint8)


def thresholded(mask: Image, percent: float) -> Image:
    """The mask with what is within ``percent`` (0..50) of nothing made 0, and within as much of everything 255.

    Raises:
        ValueError: another percentage.
    """
    if not 0 <= percent <= 50:
        raise ValueError(f"a mask's threshold is 0 to 50 percent, not {percent}")
    margin = percent / 100 * 255
    result = np.where(mask < margin, np.uint8(0), mask)
    return np.where(mask > 255 - margin, np.uint8(255), result)


def blurred(mask: Image, kernel: int, kind: Blur | str = Blur.GAUSSIAN, passes: int = 1) -> Image:
    """The mask with a soft edge.

    Args:
        kernel: pixels, made odd; less than 2 is none. Each further pass has a smaller one: 0.8 of it when gaussian,
            half of it when normalized.
        kind: a :class:`Blur`.
        passes: how many times.

    Raises:
        ValueError: there is no such kind.
    """
    kind = Blur(kind)
    for _ in range(passes):
        if kernel < 2:
            break
        kernel |= 1
        if kind is Blur.GAUSSIAN:
            mask = np.asarray(cv2.GaussianBlur(mask, (kernel, kernel), 0), np.uint8)
        else:
            mask = np.asarray(cv2.blur(mask, (kernel, kernel)), np.uint8)
        kernel = int(kernel * _SHRINKING[kind])
    return mask
