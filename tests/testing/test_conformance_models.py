"""The conformance suite over every registered model, on every device that is here."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
import pytest

from facestream.errors import WeightsMissing
from facestream.jobs.models import ModelOptions
from facestream.jobs.refining import refined
from facestream.plugins import licences, registry
from facestream.plugins.card import Card, Role
from facestream.plugins.detect.rotation import RotatingDetector
from facestream.plugins.detect.size_limits import SizeLimits
from facestream.stream.types import Faces, Image
from facestream.testing.conformance import (
    DETECTOR_CHECKS,
    FACE_CHECKS,
    DetectorSubject,
    FaceSubject,
    check_detector,
    check_face_plugin,
    devices_here,
)
from facestream.testing.photos import five_people
from facestream.testing.plugins import (
    FACE_68,
    FIVE_POINTS,
    FakeAligner,
    FakeDetector,
    FakeIdentity,
    FakeMasker,
    in_boxes,
)

DETECTORS = registry.cards(Role.DETECT)
FACE_MODELS = [card for card in registry.cards() if card.role is not Role.DETECT]


def of(cards: Any) -> Any:
    """A fixture's parameters: each card on each device."""
    pairs = [(card, device) for card in cards for device in devices_here()]
    return pytest.mark.parametrize("subject", pairs, indirect=True, ids=lambda pair: f"{pair[0].name}-{pair[1]}")


def loaded(card: Card, device: str, **options: Any) -> Any:
    model = registry.create(card.role, card.name, **options)
    try:
        model.load(device)
    except WeightsMissing as error:
        if os.environ.get("CI") and licences.accepted(card):
            raise
        pytest.skip(str(error))
    return model


@pytest.fixture(scope="module")
def photo() -> Image:
    """Five people, 500 x 333."""
    try:
        return np.asarray(cv2.resize(five_people(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    except WeightsMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def people(photo: Image) -> Faces:
    """Where three of them are, roughly, one turned a little."""
    boxes = np.array([(155, 118, 205, 180), (217, 109, 258, 157), (343, 145, 395, 212)], np.float32)
    return Faces(
        boxes=boxes,
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        points=in_boxes(FIVE_POINTS, boxes),
        landmarks=in_boxes(FACE_68, boxes),
    )


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest, photo: Image) -> DetectorSubject | FaceSubject:
    card, device = request.param
    if card.role is Role.DETECT:
        return DetectorSubject(loaded(card, device, size=320), photo, device)
    return FaceSubject(loaded(card, device), card.role, photo, request.getfixturevalue("people"), device)


@of(DETECTORS)
@pytest.mark.parametrize("check", DETECTOR_CHECKS)
def test_every_detector_conforms(subject: DetectorSubject, check: Any) -> None:
    check(subject)


@of(FACE_MODELS)
@pytest.mark.parametrize("check", FACE_CHECKS)
def test_every_model_that_looks_at_faces_conforms(subject: FaceSubject, check: Any) -> None:
    check(subject)


def test_a_detector_that_turns_frames_and_limits_sizes_conforms(photo: Image) -> None:
    yunet = loaded(registry.card("detect", "yunet"), "cpu", size=320)
    check_detector(SizeLimits(RotatingDetector(yunet, (0, 90, 180, 270)), smallest=2, largest=90), photo)


def test_an_aligner_that_looks_several_times_conforms(photo: Image, people: Faces) -> None:
    mesh = loaded(registry.card("align", "mesh"), "cpu")
    several = refined(mesh, ModelOptions(normalization="clahe", re_feed=2, re_align=True))
    check_face_plugin(several, "align", photo, people)


def bright(image: Image) -> list[tuple[int, int, int, int]]:
    """One box for a frame of which anything is brighter than grey."""
    height, width = image.shape[:2]
    return [(0, 0, width, height)] if height > 8 and width > 8 and image.max() > 200 else []


def test_the_fakes_conform() -> None:
    white = np.full((60, 80, 3), 250, np.uint8)
    check_detector(FakeDetector(bright), white)
    check_face_plugin(FakeAligner(), "align", white)
    check_face_plugin(FakeMasker(), "mask", white)
    check_face_plugin(FakeIdentity(), "identity", white)
