"""What a mask looks like, as a picture. Pure."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from facestream.faces.crops import RATIOS
from facestream.faces.mask_view import MaskView
from facestream.faces.masks import NAMES as LANDMARK_MASKS
from facestream.faces.masks import landmark_masks
from facestream.io.face_record import FaceAlignment, StoredMask
from facestream.jobs.mask.options import Shown
from facestream.stream.types import Image

BORDER: Final = 2
"""Pixels of white around each part of a combined picture."""

_DRAWN_SIZE: Final = 512  # of the masks that are drawn from landmarks


def shown(image: Image, mask: Image, how: Shown) -> Image:
    """A picture of a mask.

    Args:
        image: uint8 BGR (h, w, 3).
        mask: uint8 (h, w).
    """
    match how:
        case Shown.MASK:
            return mask
        case Shown.MASKED:
            return np.dstack([image, mask])
        case Shown.COMBINED:
            return combined(image, mask)


def combined(image: Image, mask: Image) -> Image:
    """Image, masked image and mask side by side, or if they are wider than high below each other; white around each."""
    share = mask[..., None].astype(np.uint16)
    masked = ((image * share + 127) // 255).astype(np.uint8)
    parts = [image, masked, np.asarray(cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR), np.uint8)]
    height, width = mask.shape
    axis = 0 if width > height else 1
    joined = [np.pad(part, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), constant_values=255) for part in parts]
    return np.concatenate(joined, axis=axis)


def stored_names(face: FaceAlignment, masker: str) -> list[str]:
    """What a face has of a masker: ``bisenet-fp`` may be ``bisenet-fp_face`` and ``bisenet-fp_head``."""
    variants = {masker, *(f"{masker}_{centering}" for centering in RATIOS)}
    return [name for name in face.mask if name in variants]


def views_of(face: FaceAlignment, masker: str) -> dict[str, MaskView]:
    """The masks of one kind that a face has, by the name that they are stored under.

    Args:
        masker: a mask model, what a mask is stored as, or one that is drawn from landmarks.

    Raises:
        ValueError: a mask is damaged, or the landmarks outline nothing.
    """
    if masker in LANDMARK_MASKS and masker not in face.mask:
        landmarks = face.landmarks_xy[None].astype(np.float32)
        view = MaskView.of(landmark_masks(landmarks, masker, size=_DRAWN_SIZE, centering="head"), 0)
        return {} if view is None else {masker: view}
    return {name: view_of(face.mask[name]) for name in stored_names(face, masker)}


def view_of(mask: StoredMask) -> MaskView:
    """
    Raises:
        ValueError: the mask is damaged.
    """
    return MaskView(mask.stored_centering, mask.matrix().astype(np.float32), mask.pixels())
