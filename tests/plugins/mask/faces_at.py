"""A face at a place of a frame, for tests of mask models."""

from __future__ import annotations

import numpy as np

from facestream.stream.types import Faces, Frame, FrameFaces
from facestream.testing.plugins import FACE_68

WIDTH, HEIGHT = 640, 480


def at(x: float, y: float, size: float = 160) -> FrameFaces:
    """A face whose box is centred there."""
    left, top = x - size / 2, y - size / 2
    landmarks = (size * FACE_68 + (left, top)).astype(np.float32)
    box = np.array([[left, top, left + size, top + size]], np.float32)
    known = Faces(boxes=box, scores=np.ones(1, np.float32), landmarks=landmarks[None])
    frame = Frame("photo", 0, 0, 0.0, 0.0, np.full((HEIGHT, WIDTH, 3), (1, 2, 3), np.uint8))
    return FrameFaces(frame=frame, **known.face_fields(slice(None)))
