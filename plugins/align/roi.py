"""Squares around faces, and the crops that an aligner sees. All arrays are over N faces at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, sin
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from facestream.stream.types import Floats, Frame, Image, Ints, Longs, Region

_NOTHING: Final = np.zeros((0, 0, 3), np.uint8)

_STEP: Final = 32
"""Pixels by which parts of frames grow: who converts several of one size prepares once."""


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """Squares in frame pixels, which may be turned and may reach out of the frame.

    Attributes:
        centres: float32 (N, 2).
        sides: float32 (N,).
        angles: float32 (N,), radians; positive turns the square's x axis towards y (clockwise on the screen).
    """

    centres: Floats
    sides: Floats
    angles: Floats

    def take(self, rows: Longs) -> Squares:
        return Squares(self.centres[rows], self.sides[rows], self.angles[rows])

    def put(self, rows: Longs, others: Squares) -> Squares:
        """With ``others`` at ``rows``."""
        mine = self.centres.copy(), self.sides.copy(), self.angles.copy()
        for array, new in zip(mine, (others.centres, others.sides, others.angles)):
            array[rows] = new
        return Squares(*mine)

    def matrices(self, size: int) -> Floats:
        """Crop pixels of a ``size`` × ``size`` crop → frame pixels: float32 (N, 2, 3)."""
        matrices = np.empty((len(self.sides), 2, 3), np.float32)
        matrices[:, :, :2] = linear = _turns(self.angles) * (self.sides / size)[:, None, None]
        matrices[:, :, 2] = self.centres - linear.sum(axis=2) * (size / 2)
        return matrices


def level_squares(boxes: Floats, points: Floats | None, scale: float) -> Squares:
    """Squares of ``scale`` long sides of each box, about its centre, turned so that the eyes are level.

    Args:
        boxes: (N, 4) ltrb.
        points: (N, 5, 2) with the eyes first, or None: then the squares are upright.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) * scale
    angles = np.zeros(len(boxes), np.float32) if points is None else eye_angles(points[:, 0], points[:, 1])
    centres = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)
    return Squares(centres, np.maximum(sides, 1), angles)


def bounding_squares(points: Floats, angles: Floats, scale: float, above: float = 0.0) -> Squares:
    """Squares of ``scale`` long sides of the points' bounds, measured along axes turned by ``angles``.

    Args:
        points: (N, P, 2).
        angles: (N,) radians.
        above: how much further up than the points' bounds, in their widths, that reaches which they stand for.
    """
    turn = _turns(angles)  # frame → turned axes, as row vectors
    turned = points @ turn
    low, high = turned.min(axis=1), turned.max(axis=1)
    low[:, 1] -= above * (high - low)[:, 0]
    centres = ((low + high) / 2)[:, None] @ turn.transpose(0, 2, 1)
    sides = (high - low).max(axis=1, initial=0) * scale
    return Squares(centres[:, 0], np.maximum(sides, 1), angles)


def _turns(angles: Floats) -> Floats:
    """float32 (N, 2, 2), turned axes → frame. Not in numpy, which takes longer for a few."""
    turns = [((cos(angle), -sin(angle)), (sin(angle), cos(angle))) for angle in angles.tolist()]
    return np.array(turns, np.float32).reshape(-1, 2, 2)


def eye_angles(right: Floats, left: Floats) -> Floats:
    """The line from the subject's right eye (on the picture's left) to the left one: (N,) radians."""
    across = left - right
    return np.asarray(np.arctan2(across[:, 1], across[:, 0]), np.float32)


def crop_frames(frames: Sequence[Frame], frame_ids: Ints, matrices: Floats, size: int, *, rgb: bool = False) -> Image:
    """Like :func:`crop`, from frames, of which no more is made than the squares need."""
    shifted = matrices.copy()
    parts = [_NOTHING] * len(frames)
    for index in set(frame_ids.tolist()):
        mine = frame_ids == index
        parts[index], corner = frames[index].around(_seen(matrices[mine], size, frames[index].size))
        shifted[mine, :, 2] -= corner
    return crop(parts, frame_ids, shifted, size, rgb=rgb)


def _seen(matrices: Floats, size: int, frame: tuple[int, int]) -> Region:
    """The part of a ``frame`` (width, height) that squares see, in steps of :data:`_STEP`."""
    if not np.isfinite(matrices).all():
        return 0, 0, *frame
    rows = [(start, across * size, down * size) for across, down, start in matrices.reshape(-1, 3).tolist()]
    low = [start + min(across, 0) + min(down, 0) for start, across, down in rows]
    high = [start + max(across, 0) + max(down, 0) for start, across, down in rows]
    left, right = _span(min(low[::2]), max(high[::2]), frame[0])
    top, bottom = _span(min(low[1::2]), max(high[1::2]), frame[1])
    return left, top, right, bottom


def _span(low: float, high: float, side: int) -> tuple[int, int]:
    """The pixels between two coordinates, those beside them too; one at least."""
    first = int(min(max((low - 2) // _STEP * _STEP, 0), (side - 1) // _STEP * _STEP))
    return first, int(min(max((high + 2) // _STEP * _STEP, first) + _STEP, side))


def crop(images: Sequence[Image], frame_ids: Ints, matrices: Floats, size: int, *, rgb: bool = False) -> Image:
    """Cut squares out of frames; black outside: uint8 (N, size, size, 3).

    Args:
        images: uint8 BGR frames.
        frame_ids: (N,) the frame of each square.
        matrices: (N, 2, 3) crop pixels → frame pixels.
        rgb: give the crops in RGB order.
    """
    crops = np.empty((len(matrices), size, size, 3), np.uint8)
    for out, frame, matrix in zip(crops, frame_ids, centred(matrices)):
        cv2.warpAffine(images[frame], matrix, (size, size), dst=out, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        if rgb:
            cv2.cvtColor(out, cv2.COLOR_BGR2RGB, dst=out)
    return crops


def apply(matrices: Floats, points: Floats) -> Floats:
    """(N, 2, 3) matrices on (N, P, 2) points: float32 (N, P, 2)."""
    return np.asarray(points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2], np.float32)


def centred(matrices: Floats) -> npt.NDArray[np.float64]:
    """OpenCV counts from the first pixel's centre, our coordinates from its corner."""
    shifted = matrices.astype(np.float64)
    shifted[:, :, 2] += shifted[:, :, :2].sum(axis=2) * 0.5 - 0.5
    return shifted
