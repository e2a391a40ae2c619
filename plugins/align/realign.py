"""Re-align: look at a face again, upright and in the middle, as the landmarks of the first pass place it (spec §7.4).

The first pass's landmarks are laid onto the mean face; the second pass looks at a square in the mean face's own
coordinates: level, centred, and of the same size for every face, however the detector saw it. Spec D4 and D5 can't
occur, because the second pass is cut and prepared by the very code of the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from facestream.faces.meanface import CORE, MEAN_FACE
from facestream.faces.umeyama import umeyama
from facestream.plugins.align.roi import Squares
from facestream.stream.types import Floats

BOX: Final = 1 / 0.7  # the side of a detector's box in mean faces: 15 % of it on each side lies beyond the mean face


@dataclass(frozen=True, slots=True, eq=False)
class Upright:
    """Level squares around the mean face, in its coordinates: one mean face is the unit.

    Attributes:
        centres: float32 (N, 2), or (2,) for all faces alike; the mean face's middle is (0.5, 0.5).
        sides: float32 (N,) or a number.
    """

    centres: Floats | tuple[float, float]
    sides: Floats | float

    @classmethod
    def like(cls, squares: Squares, boxes: Floats) -> Self:
        """Lying to an imitated detector's box around the mean face as ``squares`` (N) lie to real ``boxes`` (N, 4).

        This is faceswap's rule, for aligners that state none of their own.
        """
        longest = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0), 1)
        away = (squares.centres - (boxes[:, :2] + boxes[:, 2:]) / 2) / longest[:, None]
        cos, sin = np.cos(squares.angles), np.sin(squares.angles)
        along = np.stack([away[:, 0] * cos + away[:, 1] * sin, away[:, 1] * cos - away[:, 0] * sin], -1)
        return cls((0.5 + BOX * along).astype(np.float32), np.asarray(BOX * squares.sides / longest, np.float32))

    def on(self, landmarks: Floats, otherwise: Squares) -> Squares:
        """The same squares in frame pixels, turned as the faces are.

        Args:
            landmarks: (N, 68, 2) in frame pixels.
            otherwise: for faces whose landmarks place nothing (not finite, all in one spot).
        """
        matrices, usable = umeyama(landmarks[:, CORE], MEAN_FACE)  # frame → mean face
        back = np.linalg.inv(matrices)
        centres = np.broadcast_to(self.centres, (len(back), 2))[..., None]
        centres = (back[:, :2, :2] @ centres)[..., 0] + back[:, :2, 2]
        sides = np.hypot(back[:, 0, 0], back[:, 1, 0]) * self.sides
        angles = np.arctan2(back[:, 1, 0], back[:, 0, 0])
        return Squares(
            np.where(usable[:, None], centres, otherwise.centres).astype(np.float32),
            np.where(usable, np.maximum(sides, 1), otherwise.sides).astype(np.float32),
            np.where(usable, angles, otherwise.angles).astype(np.float32),
        )
