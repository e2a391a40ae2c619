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
    points = np.array(source, np.float64, order="C")
    with np.errstate(invalid="ignore"):
        largest = np.abs(points).max(axis=(1, 2), initial=1.0)
        usable: Bools = largest < _LARGEST  # False for NaN, too
    if not usable.all():
        points[~usable] = 0.0
    old, goal = points.view(np.complex128)[..., 0], np.ascontiguousarray(target).view(np.complex128)[..., 0]
    mean, target_mean = old.sum(axis=1) / len(goal), goal.sum() / len(goal)
    centred, goal = old - mean[:, None], goal - target_mean
    # Not as matrix products, whose last bits depend on how many sets of points there are.
    variance = np.vecdot(centred, centred).real
    product = np.vecdot(centred, goal)

    spread = largest * 1e-6  # float32 landmarks know no finer difference
    alike = np.abs(product) > 1e-6 * np.sqrt(variance * np.vecdot(goal, goal).real)
    usable = usable & (variance > spread * spread) & alike
    turn = np.where(usable, product / np.where(usable, variance, 1.0), 1.0)
    shift = np.where(usable, target_mean - turn * mean, 0.0)

    matrices = np.zeros((len(points), 3, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = turn.real
    matrices[:, 1, 0], matrices[:, 0, 1] = turn.imag, -turn.imag
    matrices[:, 0, 2], matrices[:, 1, 2] = shift.real, shift.imag
    matrices[:, 2, 2] = 1.0
    return matrices, usable
