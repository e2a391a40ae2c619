"""Faces below or above a size don't count."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facestream.errors import ConfigError
from facestream.stream.types import Detections, Detector, Image, summary_of


@dataclass(slots=True)
class SizeStatistics:
    """Faces left out so far."""

    too_small: int = 0
    too_large: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Feed:
    shortest_sides: list[int]
    prepared: Any


class SizeLimits:
    """A detector without the faces that are too small or too large (spec §6.3); itself a :class:`Detector`.

    A face's size is the longer edge of its box; limits are percent of the shortest side of its frame, rounded down to
    whole pixels.

    Args:
        detector: what finds the faces.
        smallest, largest: percent; a ``largest`` of 0 is no limit.

    Raises:
        ConfigError: no face could meet both.
    """

    def __init__(self, detector: Detector, *, smallest: float = 0, largest: float = 0) -> None:
        if 0 < largest < smallest:
            raise ConfigError(f"no face is at least {smallest} % and at most {largest} %: exchange the two sizes")
        self.name = detector.name
        self.batch_size = detector.batch_size
        self._detector = detector
        self._smallest, self._largest = smallest, largest
        self._statistics = SizeStatistics()
        self._counting = threading.Lock()

    def statistics(self) -> SizeStatistics:
        return self._statistics

    def summary(self) -> list[str]:
        counts = {"Too small": self._statistics.too_small, "Too large": self._statistics.too_large}
        mine = ", ".join(f"{what}: {count}" for what, count in counts.items() if count)
        return [*summary_of(self._detector), *([f"[Size filter] {mine}"] if mine else [])]

    def load(self, device: str) -> None:
        self._detector.load(device)

    def pre_process(self, images: Sequence[Image]) -> _Feed:
        return _Feed([min(image.shape[:2]) for image in images], self._detector.pre_process(images))

    def infer(self, feed: _Feed) -> Any:
        return self._detector.infer(feed.prepared)

    def post_process(self, raw: Any, feed: _Feed) -> list[Detections]:
        found = self._detector.post_process(raw, feed.prepared)
        return [self._within(detections, side) for detections, side in zip(found, feed.shortest_sides, strict=True)]

    def _within(self, found: Detections, side: int) -> Detections:
        sizes = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1, initial=0)
        small = sizes < int(side * self._smallest / 100)
        large = sizes > int(side * self._largest / 100) if self._largest else np.zeros(len(sizes), bool)
        good = ~(small | large)
        if good.all():
            return found
        with self._counting:
            self._statistics.too_small += int(small.sum())
            self._statistics.too_large += int(large.sum())
        return Detections(found.boxes[good], found.scores[good], None if found.points is None else found.points[good])
