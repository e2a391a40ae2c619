"""Landmark layouts: what the points of a face are, told by their number (spec §8.1)."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

import numpy as np

from facestream.stream.types import Floats, Ints


class LandmarkType(Enum):
    """The layouts we know; the value is the number of points."""

    QUAD = 4  # corners of a face's square, clockwise from the top left
    CORE = 51  # 300-W without the jaw
    IBUG = 68  # 300-W
    WFLW = 98


class Part(NamedTuple):
    """Points ``start`` to ``stop`` - 1 joined by a line, back to the first one when ``closed``."""

    start: int
    stop: int
    closed: bool


PARTS: Final[dict[LandmarkType, dict[str, Part]]] = {
    LandmarkType.QUAD: {"face": Part(0, 4, True)},
    LandmarkType.IBUG: {
        "jaw": Part(0, 17, False),
        "chin": Part(7, 9, False),
        "right_eyebrow": Part(17, 22, False),
        "left_eyebrow": Part(22, 27, False),
        "nose": Part(27, 36, False),
        "right_eye": Part(36, 42, True),
        "left_eye": Part(42, 48, True),
        "mouth_outer": Part(48, 60, True),
        "mouth_inner": Part(60, 68, True),
    },
    LandmarkType.WFLW: {
        "jaw": Part(0, 33, False),
        "chin": Part(14, 19, False),
        "right_eyebrow": Part(33, 42, True),
        "left_eyebrow": Part(42, 51, True),
        "nose": Part(51, 60, False),
        "right_eye": Part(60, 68, True),
        "left_eye": Part(68, 76, True),
        "mouth_outer": Part(76, 88, True),
        "mouth_inner": Part(88, 96, True),
    },
}

WFLW_TO_IBUG: Final[Ints] = np.array(
    [
        *range(0, 33, 2),  # jaw
        *range(33, 38),  # right eyebrow, upper edge
        *range(42, 47),  # left eyebrow, upper edge
        *range(51, 60),  # nose
        *(60, 61, 63, 64, 65, 67),  # right eye
        *(68, 69, 71, 72, 73, 75),  # left eye
        *range(76, 88),  # outer mouth
        *range(88, 96),  # inner mouth
    ],
    np.int32,
)


def landmark_type(landmarks: Floats) -> LandmarkType:
    """The layout of ``landmarks`` (…, M, 2).

    Raises:
        ValueError: no layout has that shape.
    """
    if landmarks.ndim >= 2 and landmarks.shape[-1] == 2:
        for kind in LandmarkType:
            if kind.value == landmarks.shape[-2]:
                return kind
    known = ", ".join(f"({kind.value}, 2)" for kind in LandmarkType)
    raise ValueError(f"no landmark layout has the shape {landmarks.shape}; the last two axes must be one of {known}")


def to_68(landmarks: Floats) -> Floats:
    """68 points from 68 or 98, of any number of faces: (…, M, 2) → (…, 68, 2).

    Raises:
        ValueError: the layout holds fewer than 68 points.
    """
    kind = landmark_type(landmarks)
    if kind is LandmarkType.IBUG:
        return landmarks
    if kind is LandmarkType.WFLW:
        return landmarks[..., WFLW_TO_IBUG, :]
    raise ValueError(f"{kind.value} points can't be turned into 68")
