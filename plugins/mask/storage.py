"""How every mask model stores its masks: their size, their square, and that they end where the frame does (spec §9.1).

Knows no network; imports no torch.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import cv2
import numpy as np

from facestream.errors import ConfigError, ModelError
from facestream.faces.aligned import align
from facestream.stream.types import Aligned, ExtractBatch, Floats, Image

STORAGE_SIZE: Final = 128
"""Pixels of a stored mask's edge, unless its user wants another."""

_LEAST, _MOST = 64, 1028

logger = logging.getLogger("facestream.plugins")


def stored_size(wanted: int, own: int) -> int:
    """The edge of stored masks in pixels.

    Args:
        wanted: 64–1028; less becomes 64, which is logged; 0 is the model's ``own``.

    Raises:
        ConfigError: masks can't be stored at that size.
    """
    if not 0 <= wanted <= _MOST:
        raise ConfigError(f"masks are stored at 0 or {_LEAST} to {_MOST} pixels, not {wanted}: correct --mask-size")
    if 0 < wanted < _LEAST:
        logger.warning("masks are stored at %d pixels at least, not %d: they will have %d", _LEAST, wanted, _LEAST)
        return _LEAST
    return wanted or own


def aligned_of(name: str, batch: ExtractBatch) -> Aligned:
    """What the faces' landmarks imply.

    Raises:
        ModelError: they have none; the message names the model, ``name``.
    """
    if batch.aligned is not None:
        return batch.aligned
    if batch.landmarks is None:
        raise ModelError(f"{name}: faces are cut out by their landmarks: choose an aligner")
    return align(batch.landmarks)


def stored_mask(mask: Floats, inside: Image, size: int) -> Image:
    """uint8 (size, size), 0..255: a mask (s, s), 0..1, as far as it is ``inside`` (any size, 0..255) the frame."""
    edge = mask.shape[0]
    if inside.min() < 255:
        frame = inside if inside.shape == mask.shape else _resized(inside, edge)
        mask = mask * (frame.astype(np.float32) / np.float32(255))
    if edge != size:
        mask = _resized(mask, size)
    return np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8)


def _resized(picture: Any, size: int) -> Any:
    """Square, of any dtype: the average over the area when it becomes smaller."""
    interpolation = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (size, size), interpolation=interpolation)
