"""The similarity transform that best lays points onto a target (spec §8.3).

Umeyama, "Least-squares estimation of transformation parameters between two point patterns", TPAMI 1991. In
the plane his singular value decomposition has a closed form: with points as complex numbers a similarity is
``z → a·z + b``, and the least-squares ``a`` is ``Σ conj(s)·t / Σ |s|²`` over the centred points. It is the
same proper rotation (never a reflection), for a batch at once and 20 times as fast.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facestream.stream.types import Bools, Doubles

_LARGEST = 1e7  # pixels; beyond any frame, and float32 products of larger numbers overflow


def umeyama(source: npt.NDArray[np.floating], target: Doubles) -> tuple[Doubles, Bools]:
    """Lay N sets of points onto one target.

    Args:
        source: (N, M, 2) points.
        target: (M, 2) where they should go.

    Returns:
        float64 (N, 3, 3) matrices, source → target, and bool (N,): whether the points determined one. Where
        they didn't (not finite, astronomically far, all in one spot, unlike the target in every direction)
        the matrix is the identity, which is finite and can be inverted.
    """
    points = np.asarray(source, np.float64)
    with np.errstate(invalid="ignore"):
        usable: Bools = np.all(np.abs(points) < _LARGEST, axis=(1, 2))  # False for NaN, too
    points = np.where(usable[:, None, None], points, 0.0)
    mean, target_mean = points.mean(axis=1), target.mean(axis=0)
    centred, goal = points - mean[:, None], target - target_mean
    x, y = centred[..., 0], centred[..., 1]
    variance = (x * x + y * y).sum(axis=1)
    # Not as matrix products, whose last bits depend on how many sets of points there are.
    real = (x * goal[:, 0] + y * goal[:, 1]).sum(axis=1)
    imaginary = (x * goal[:, 1] - y * goal[:, 0]).sum(axis=1)

    spread = np.abs(points).max(axis=(1, 2), initial=1.0) * 1e-6  # float32 landmarks know no finer difference
    alike = np.hypot(real, imaginary) > 1e-6 * np.sqrt(variance * (goal * goal).sum())
    usable = usable & (variance > spread * spread) & alike
    scale = np.where(usable, 1.0 / np.where(usable, variance, 1.0), 0.0)
    real, imaginary = np.where(usable, real * scale, 1.0), imaginary * scale

    matrices = np.zeros((len(points), 3, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = real
    matrices[:, 1, 0], matrices[:, 0, 1] = imaginary, -imaginary
    shift = target_mean - (matrices[:, :2, :2] @ mean[..., None])[..., 0]
    matrices[:, :2, 2] = np.where(usable[:, None], shift, 0.0)
    matrices[:, 2, 2] = 1.0
    return matrices, usable
