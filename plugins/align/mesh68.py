"""From the 468 points of the face mesh to the 68 points of 300-W."""

from __future__ import annotations

import numpy as np

from facestream.stream.types import Floats

RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 33, 263  # the outer ones; "right" is the subject's

# The vertex of the mesh nearest to what 300-W means by each of its points, in 300-W order.
INDICES = np.array(
    [
        *(127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356),  # jaw
        *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
        *(168, 197, 5, 4, 59, 60, 2, 290, 289),  # nose
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
        *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),  # outer lips
        *(78, 81, 13, 311, 308, 402, 14, 178),  # inner lips
    ]
)


def to_68(mesh: Floats, offsets: Floats | None = None) -> Floats:
    """The 68 points of meshes in eye-levelled crops: float32 (N, 468, 2) → (N, 68, 2).

    Args:
        mesh: crop pixels.
        offsets: (68, 2), added to each point, in units of the distance between the outer eye corners: where
            annotators put a point, relative to the vertex nearest to it. None means the plain vertices.
    """
    points = mesh[:, INDICES]
    if offsets is None:
        return points
    eyes = np.linalg.norm(mesh[:, LEFT_EYE_CORNER] - mesh[:, RIGHT_EYE_CORNER], axis=1)
    return np.asarray(points + offsets * eyes[:, None, None], np.float32)
