"""Orders and groups by likeness where only the distance of two is known (spec §16.3). Pure.

No matrix of all distances is ever held: a walk needs one row of it at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from facestream.stream.types import Floats, Longs

Distances: TypeAlias = Callable[[Floats, Floats], Floats]
"""(D,) and (N, D) → (N,), how far the one is from each of the others."""

_COMPACT: Final = 0.5  # the walk forgets those behind it when so many are left


def bhattacharyya(one: Floats, others: Floats) -> Floats:
    """Distances of histograms (D,) and (N, D) that add up to 1: float32 (N,), 0 for equal ones, 1 for disjoint ones."""
    return np.asarray(np.sqrt(np.maximum(0, 1 - np.sqrt(others) @ np.sqrt(one))), np.float32)


def rooted_bhattacharyya(one: Floats, others: Floats) -> Floats:
    """:func:`bhattacharyya` of histograms whose square roots were taken before, once."""
    return np.asarray(np.sqrt(np.maximum(0, 1 - others @ one)), np.float32)


def absolute(one: Floats, others: Floats) -> Floats:
    """Sums of absolute differences: float32 (N,)."""
    return np.asarray(np.abs(others - one).sum(axis=1), np.float32)


def nearest_neighbour_walk(features: Floats, distances: Distances) -> Longs:
    """int64 (N,): from the first feature to the nearest one that wasn't visited yet, and on. Takes N²/2 distances."""
    count = len(features)
    order = np.zeros(count, np.int64)
    rows, left = features, np.arange(count)
    waiting = np.ones(count, bool)
    at = 0  # in ``rows``
    for step in range(count):
        order[step] = left[at]
        here, waiting[at] = rows[at], False
        remaining = count - step - 1
        if not remaining:
            break
        if remaining < _COMPACT * len(rows):
            rows, left, waiting = rows[waiting], left[waiting], np.ones(remaining, bool)
        found = distances(here, rows)
        found[~waiting] = np.inf
        at = int(found.argmin())
    return order


def most_unlike_first(features: Floats, distances: Distances) -> Longs:
    """int64 (N,): by the sum of the distances to all others, largest first."""
    sums = np.array([distances(feature, features).sum(dtype=np.float64) for feature in features])
    return np.argsort(-sums, kind="stable").astype(np.int64)


def group_by_mean(features: Floats, distances: Distances, threshold: float, order: Longs) -> Longs:
    """int64 (N,): group numbers from 0. Each joins the group whose mean is nearest, if that is below ``threshold``.

    Args:
        order: (N,), in which they are looked at; the first of each group is its mean at first.
    """
    groups = np.zeros(len(features), np.int64)
    sums = np.zeros((0, features.shape[1]), np.float64)
    sizes = np.zeros(0, np.int64)
    for index in order:
        found = distances(features[index], np.asarray(sums / sizes[:, None], np.float32))
        nearest = int(found.argmin()) if len(found) else -1
        if nearest < 0 or found[nearest] >= threshold:
            nearest, sums, sizes = (
                len(sizes),
                np.vstack([sums, np.zeros_like(sums, shape=(1, sums.shape[1]))]),
                np.append(sizes, 0),
            )
        sums[nearest] += features[index]
        sizes[nearest] += 1
        groups[index] = nearest
    return groups
