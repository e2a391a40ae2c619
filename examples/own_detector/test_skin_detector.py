"""The conformance suite over the detector: python -m pytest."""

import pytest

from facestream.plugins import registry
from facestream.testing.conformance import DETECTOR_CHECKS, DetectorSubject
from facestream.testing.photos import five_people


@pytest.fixture(scope="module")
def subject():
    detector = registry.create("detect", "skin")
    detector.load("cpu")
    return DetectorSubject(detector, five_people())


@pytest.mark.parametrize("check", DETECTOR_CHECKS)
def test_conforms(check, subject):
    check(subject)
