"""Counts of values in fixed buckets, as Prometheus wants them. Pure, and cheap enough for every frame."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

LATENCIES: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""Seconds from capture to publication: fine where a viewer notices, coarse beyond."""

DURATIONS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Seconds of work on one batch."""

BATCHES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
"""Frames or faces of one batch."""


@dataclass(slots=True)
class Histogram:
    """How many values were at most as large as each bound.

    Attributes:
        bounds: upper bounds of the buckets, rising; a value on a bound is in its bucket. One more bucket takes what is
            larger than all.
        counts: values in each bucket, the larger ones last; not cumulative.
        sum: of all values.
    """

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def __post_init__(self) -> None:
        if list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError(f"bounds must rise: {self.bounds}")
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    @property
    def count(self) -> int:
        return sum(self.counts)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def copy(self) -> Histogram:
        return Histogram(self.bounds, self.counts.copy(), self.sum)

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound, infinity last, with how many values were at most as large."""
        total = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            yield bound, total

    def quantile(self, share: float) -> float | None:
        """The value below which ``share`` (0..1) of all lie, as if those of a bucket lay evenly in it.

        The largest bound if it lies beyond; None before the first value.
        """
        goal = share * self.count
        below, lower = 0, 0.0
        for bound, total in self.cumulative():
            if total >= goal and total > below:
                if bound == float("inf"):
                    return lower
                return lower + (bound - lower) * max(0.0, goal - below) / (total - below)
            below, lower = total, bound if bound != float("inf") else lower
        return None
