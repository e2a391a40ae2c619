"""The golden face of spec §21: the mean face with a jaw, turned by 20°, 200 px large, at (300, 180)."""

import numpy as np
import pytest

from facestream.faces.meanface import MEAN_FACE
from facestream.stream.types import Floats


@pytest.fixture
def golden_landmarks() -> Floats:
    """float32 (1, 68, 2)."""
    angle = np.pi * (1 - np.arange(17) / 16)
    jaw = np.stack([0.5 + 0.62 * np.cos(angle), 0.30 + 0.95 * np.sin(angle)], axis=1)
    cos, sin = np.cos(np.radians(20)), np.sin(np.radians(20))
    points = 200 * np.concatenate([jaw, MEAN_FACE]) @ np.array([[cos, -sin], [sin, cos]]).T + (300, 180)
    return np.asarray(points[None], np.float32)
