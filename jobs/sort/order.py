"""Which picture comes where, and in which group: out of what was measured. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from facestream.faces.clustering import Clusters, group_people
from facestream.faces.likeness import (
    Distances,
    absolute,
    bhattacharyya,
    group_by_mean,
    most_unlike_first,
    nearest_neighbour_walk,
)
from facestream.jobs.sort.methods import Bins, Kind, Method
from facestream.stream.types import Doubles, Floats, Longs

_DISTANCES: Final[dict[str, Distances]] = {"hist": bhattacharyya, "face-cnn": absolute}


@dataclass(frozen=True, slots=True)
class Group:
    """One group.

    Attributes:
        number: counts from 0; None where nothing is grouped.
        members: indices of its pictures, sorted.
    """

    number: int | None
    members: list[int]


class Arranger:
    """Orders and groups N pictures.

    Args:
        measures: measure → float32 (N,) or (N, D), a row a picture. "face-cnn" are aligned landmarks (N, 136), "hist"
            histograms, "face" embeddings.
        count: N.
        people_apart: the default threshold of groups by face; see
            :func:`facestream.faces.clustering.group_people`.
    """

    def __init__(
        self, measures: dict[str, Floats], count: int, *, threshold: float | None, bins: int, people_apart: float
    ) -> None:
        self._measures = measures
        self._count = count
        self._threshold = threshold
        self._bins = bins
        self._people_apart = people_apart

    def groups(self, sort: Method, group: Method) -> list[Group]:
        """All pictures in their groups, each sorted. Groups by likeness are numbered by size, the largest first; those
        of a measure by their bin, of which some may be empty.
        """
        order = self.order(sort)
        if group.kind is Kind.NONE:
            return [Group(None, order.tolist())]
        labels = self.labels(group, order)
        found = [Group(number, order[labels[order] == number].tolist()) for number in np.unique(labels).tolist()]
        if group.kind is Kind.VALUE:
            return found
        found.sort(key=lambda one: -len(one.members))
        return [Group(number, one.members) for number, one in enumerate(found)]

    def order(self, method: Method) -> Longs:
        """int64 (N,): the pictures' indices as the method sorts them; of equals, the first remains the first."""
        if method.kind is Kind.NONE:
            return np.arange(self._count, dtype=np.int64)
        measured = self._measures[method.measure]
        if method.kind is Kind.VALUE:
            return np.argsort(-measured if method.descending else measured, kind="stable").astype(np.int64)
        if method.measure == "face":
            return self._people.order
        distances = _DISTANCES[method.measure]
        return (most_unlike_first if method.unlike else nearest_neighbour_walk)(measured, distances)

    def labels(self, method: Method, order: Longs) -> Longs:
        """int64 (N,): the group of each picture, numbered in the order in which they are to be told."""
        measured = self._measures[method.measure]
        if method.kind is Kind.VALUE:
            if method.bins is Bins.SCALE:
                return scale_bins(measured, self._bins, method.scale, descending=method.descending)
            return equal_shares(measured, self._bins, descending=method.descending)
        if method.measure == "face":
            return self._people.bins
        threshold = method.threshold if self._threshold is None else self._threshold
        assert threshold is not None
        return group_by_mean(measured, _DISTANCES[method.measure], threshold, order)

    @cached_property
    def _people(self) -> Clusters:
        apart = self._people_apart if self._threshold is None else self._threshold
        return group_people(self._measures["face"], apart)


def scale_bins(values: Floats, bins: int, scale: tuple[float, float], *, descending: bool = True) -> Longs:
    """int64 (N,): equal parts of ``scale``, numbered from 0 at its first end; the last hold what lies beyond."""
    low, high = scale
    place = (np.asarray(values, np.float64) - low) / (high - low)
    return np.clip(np.floor((1 - place if descending else place) * bins), 0, bins - 1).astype(np.int64)


def equal_shares(values: Floats, bins: int, *, descending: bool = True) -> Longs:
    """int64 (N,): about as many pictures in each bin; equal values share one, so there may be fewer of them."""
    keys: Doubles = np.asarray(-values if descending else values, np.float64)
    before = np.searchsorted(np.sort(keys), keys)  # pictures that certainly come earlier
    labels = before * bins // max(1, len(keys))
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
