"""Faces that can't be right, told by their landmarks (spec §7.6): rules, thresholds and counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from facestream.errors import ConfigError
from facestream.faces.aligned import align, average_distances, eye_mouth_distances, face_sizes
from facestream.faces.landmarks import to_68
from facestream.faces.meanface import CORE, MEAN_FACE
from facestream.faces.umeyama import umeyama
from facestream.stream.types import Bools, Floats

RULES: Final = ("features", "scale", "distance", "roll")
"""In the order in which they judge; a face counts with the first that refuses it."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a face must be like, with faceswap's defaults.

    Attributes:
        features: the mouth lies below eyes and brows.
        min_scale, max_scale: limits of the face's edge (the face-centred square, without hair and ears), as a share of
            the frame's shorter side; a ``max_scale`` of 0 is no limit.
        distance: the most by which landmarks may lie away from the mean face, on average over points and axes, in
            percent of its edge; 0 is no limit.
        roll: the most degrees that remain after the face has been turned upright; 0 is no limit.

    Raises:
        ConfigError: a threshold is out of its range, or no face can meet both scales.
    """

    features: bool = True
    min_scale: float = 0.03
    max_scale: float = 4.0
    distance: float = 40.0
    roll: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("min_scale", 1), ("max_scale", 10), ("distance", 45), ("roll", 90)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ConfigError(f"aligner_{name} {value} isn't possible: choose 0 to {most}")
        if 0 < self.max_scale < self.min_scale:
            raise ConfigError(
                f"no face has at least {self.min_scale} and at most {self.max_scale} of its frame's shorter side: "
                "exchange aligner_min_scale and aligner_max_scale"
            )


def refused(landmarks: Floats, shortest_sides: Floats, thresholds: Thresholds) -> dict[str, Bools]:
    """Which faces which rule refuses: rule → bool (N,), no face with more than one.

    Args:
        landmarks: (N, 68 or 98, 2) in frame pixels.
        shortest_sides: (N,) pixels of each face's own frame.

    A face whose landmarks determine no alignment is one pixel large, and so is refused by any ``min_scale`` but 0.
    """
    open_faces = np.ones(len(landmarks), np.bool_)
    result = {}
    for rule, wrong in _judge(landmarks, shortest_sides, thresholds):
        result[rule] = open_faces & wrong
        open_faces = open_faces & ~wrong
    return result


def _judge(landmarks: Floats, shortest_sides: Floats, thresholds: Thresholds) -> Iterator[tuple[str, Bools]]:
    """Each rule that is on, with the faces that break it. NaN breaks every rule."""
    matrices = umeyama(to_68(landmarks)[:, CORE], MEAN_FACE)[0].astype(np.float32)
    if thresholds.features:
        yield "features", ~(eye_mouth_distances(matrices, landmarks) > 0)
    if thresholds.min_scale or thresholds.max_scale:
        sizes = face_sizes(matrices)
        largest = shortest_sides * (thresholds.max_scale or np.inf)
        yield "scale", ~((sizes >= shortest_sides * thresholds.min_scale) & (sizes <= largest))
    if thresholds.distance:
        yield "distance", ~(average_distances(matrices, landmarks) <= thresholds.distance / 100)
    if thresholds.roll:
        yield "roll", ~(np.abs(align(landmarks).pose[:, 2]) <= thresholds.roll)


@dataclass(slots=True)
class FilterCounts:
    """Faces refused so far, by rule."""

    features: int = 0
    scale: int = 0
    distance: int = 0
    roll: int = 0

    def add(self, refused: dict[str, Bools]) -> None:
        for rule, faces in refused.items():
            setattr(self, rule, getattr(self, rule) + int(faces.sum()))

    def lines(self, thresholds: Thresholds) -> list[str]:
        """One line in the order of spec §7.7, or none when every face was kept."""
        largest = f"{thresholds.max_scale:g}" if thresholds.max_scale else "any"
        labels = {
            "features": "mouth above the eyes or brows",
            "scale": f"outside scale {thresholds.min_scale:g} to {largest}",
            "distance": f"unlike a face (by more than {thresholds.distance:g} %)",
            "roll": f"too turned (by more than {thresholds.roll:g}°)",
        }
        counted = [f"{labels[rule]}: {getattr(self, rule)}" for rule in RULES if getattr(self, rule)]
        return [f"[Align filter] Faces left out: {', '.join(counted)}"] if counted else []
