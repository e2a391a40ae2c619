import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facestream.errors import WeightsMissing
from facestream.plugins import licences, registry
from facestream.stream.types import Detections, ExtractBatch, Frame

Load = Callable[..., Any]


@pytest.fixture(scope="session")
def load() -> Load:
    """``load(role, name, **options)``: a registered model on the CPU, with its real weights."""

    def load_model(role: str, name: str, **options: Any) -> Any:
        model = registry.create(role, name, **options)
        try:
            model.load("cpu")
        except WeightsMissing as error:
            if os.environ.get("CI") and licences.accepted(model.card):
                raise
            pytest.skip(str(error))
        return model

    return load_model


@pytest.fixture(scope="session")
def photo(five_faces: Path) -> np.ndarray:
    """Five people, one in sunglasses: (667, 1000, 3)."""
    return np.asarray(cv2.imread(str(five_faces)), np.uint8)


def detect(detector: Any, *images: np.ndarray) -> list[Detections]:
    feed = detector.pre_process(images)
    found: list[Detections] = detector.post_process(detector.infer(feed), feed)
    return found


def detect_scaled(detector: Any, image: np.ndarray, size: int) -> Detections:
    """What it finds in the picture scaled to a long side of ``size``, in the picture's own pixels.

    Averaged over areas, so that the result doesn't depend on how a detector scales.
    """
    height, width = (round(side * size / max(image.shape)) for side in image.shape[:2])
    (found,) = detect(detector, cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    factor = np.float32([image.shape[1] / width, image.shape[0] / height])
    points = None if found.points is None else found.points * factor
    return Detections(found.boxes * np.tile(factor, 2), found.scores, points)


def align(aligner: Any, batch: ExtractBatch) -> np.ndarray:
    feed = aligner.pre_process(batch)
    aligner.post_process(aligner.infer(feed), feed, batch)
    assert batch.landmarks is not None
    return batch.landmarks


def batch_of(image: np.ndarray, found: Detections, *, points: bool = True) -> ExtractBatch:
    return ExtractBatch(
        frames=[Frame("photo", 0, 0, 0.0, 0.0, image)],
        boxes=found.boxes,
        scores=found.scores,
        points=found.points if points else None,
        frame_ids=np.zeros(len(found.boxes), np.int32),
    )
