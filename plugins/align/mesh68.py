"""From the 468 points of the face mesh to the 68 points of 300-W."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np

from facestream.stream.types import Floats

RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 33, 263  # the outer ones; "right" is the subject's
FOREHEAD, BELOW_NOSE = 10, 2  # on the middle line, and not moved by the mouth

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


@dataclass(frozen=True, slots=True, eq=False)
class HeadFrame:
    """Each face's own three axes: x from the right to the left eye, y down the middle line, z into the head.

    Attributes:
        axes: float32 (N, 3, 3), rows: the unit vectors, in crop pixels and depth.
        units: float32 (N,), the distance between the outer eye corners in space, crop pixels.
    """

    axes: Floats
    units: Floats

    @classmethod
    def of(cls, mesh: Floats) -> Self:
        """From meshes (N, 468, 3). Where the points that it needs are one, the crop's axes, and a unit is a pixel."""
        x = mesh[:, LEFT_EYE_CORNER] - mesh[:, RIGHT_EYE_CORNER]
        down = mesh[:, BELOW_NOSE] - mesh[:, FOREHEAD]
        z = _cross(x, down)
        axes = np.stack([x, _cross(z, x), z], 1)
        lengths = np.sqrt((axes * axes).sum(axis=2))
        units = lengths[:, 0].copy()
        if (bent := lengths[:, 2] < 1e-6).any():
            axes[bent], lengths[bent], units[bent] = np.eye(3), 1, 1
        axes /= lengths[:, :, None]
        return cls(axes, units)

    def on_picture(self, points: Floats) -> Floats:
        """Directions in head coordinates (P, 3) → crop pixels (N, P, 2)."""
        return np.asarray(points @ self.axes[:, :, :2] * self.units[:, None, None], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class EyeFrame:
    """Each face's own coordinates on the picture: the origin between the outer eye corners, x along them, unit 1.

    Attributes:
        origins: float32 (N, 2), crop pixels.
        axes: float32 (N, 2, 2), rows: one unit along x and along y in crop pixels.
    """

    origins: Floats
    axes: Floats

    @classmethod
    def of(cls, mesh: Floats) -> Self:
        """From meshes (N, 468, 2 or 3). Where both eye corners are one point, a unit is a pixel."""
        right, left = mesh[:, RIGHT_EYE_CORNER, :2], mesh[:, LEFT_EYE_CORNER, :2]
        across = left - right
        across[np.abs(across).max(axis=1) < 1e-6] = 1, 0
        down = np.stack([-across[:, 1], across[:, 0]], -1)
        return cls(np.asarray((left + right) / 2, np.float32), np.stack([across, down], 1))

    def enter(self, points: Floats) -> Floats:
        """Crop pixels (N, P, 2) → eye coordinates."""
        squared = (self.axes[:, 0] ** 2).sum(axis=1)[:, None, None]
        return np.asarray((points - self.origins[:, None]) @ self.axes.transpose(0, 2, 1) / squared, np.float32)

    def leave(self, points: Floats) -> Floats:
        """Eye coordinates (N, P, 2) → crop pixels."""
        return np.asarray(points @ self.axes + self.origins[:, None], np.float32)


def _cross(one: Floats, other: Floats) -> Floats:
    """What np.cross gives for (N, 3) and (N, 3), in a fifth of its time for a few."""
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return np.asarray(one[:, ahead] * other[:, behind] - one[:, behind] * other[:, ahead], np.float32)


class Correction(Protocol):
    """Where annotators put a point, relative to the vertex nearest to it. Estimated by ``bench/fit_mesh.py``."""

    def __call__(self, mesh: Floats) -> Floats:
        """The 68 points of meshes: float32 (N, 468, 3) → (N, 68, 2), both in crop pixels."""
        ...


Kind = TypeVar("Kind", bound=Correction)


@dataclass(frozen=True, slots=True, eq=False)
class HeadOffsets:
    """A constant for every point, in space: it turns with the head.

    Attributes:
        offsets: float32 (68, 3), head coordinates (:class:`HeadFrame`).
    """

    offsets: Floats

    def __call__(self, mesh: Floats) -> Floats:
        """See :class:`Correction`."""
        return mesh[:, INDICES, :2] + HeadFrame.of(mesh).on_picture(self.offsets)


@dataclass(frozen=True, slots=True, eq=False)
class ShapeRegression:
    """A constant and a part that is linear in the face's shape: its coordinates along principal components of meshes.

    All in eye coordinates (:class:`EyeFrame`).

    Attributes:
        offsets: float32 (68, 2).
        mean: float32 (936,), the mean mesh.
        basis: float32 (936, K), the principal components.
        weights: float32 (K, 136), what one unit along each adds to the points.
    """

    offsets: Floats
    mean: Floats
    basis: Floats
    weights: Floats

    def __call__(self, mesh: Floats) -> Floats:
        """See :class:`Correction`."""
        eyes = EyeFrame.of(mesh)
        shape = eyes.enter(mesh[:, :, :2])
        linear = (shape.reshape(-1, len(self.mean)) - self.mean) @ self.basis @ self.weights
        return eyes.leave(np.asarray(shape[:, INDICES] + self.offsets + linear.reshape(-1, 68, 2), np.float32))


def read_correction(kind: type[Kind], path: Path) -> Kind:
    """A correction whose attributes an ``.npz`` file holds under their names."""
    with np.load(path, allow_pickle=False) as stored:
        return kind(**{name: stored[name].astype(np.float32) for name in stored.files})
