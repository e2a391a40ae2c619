"""The conformance suite: what models, sources and sinks must do, for authors to run on their own from pytest.

::

    import pytest
    from facestream.testing.conformance import DETECTOR_CHECKS, DetectorSubject
    from facestream.testing.photos import five_people

    @pytest.fixture(scope="module")
    def subject():
        detector = MyDetector()
        detector.load("cpu")
        return DetectorSubject(detector, five_people())

    @pytest.mark.parametrize("check", DETECTOR_CHECKS)
    def test_conforms(check, subject):
        check(subject)

or all at once, ``check_detector(detector, picture)``. A failed check raises :class:`AssertionError`, whose message
names the model, source or sink and what it did.
"""

from facestream.testing.conformance_detectors import DETECTOR_CHECKS, DetectorSubject, check_detector
from facestream.testing.conformance_faces import FACE_CHECKS, FaceSubject, check_face_plugin, made_faces
from facestream.testing.conformance_models import devices_here
from facestream.testing.conformance_sinks import SINK_CHECKS, check_sink
from facestream.testing.conformance_sources import SOURCE_CHECKS, check_source

__all__ = [
    "DETECTOR_CHECKS",
    "FACE_CHECKS",
    "SINK_CHECKS",
    "SOURCE_CHECKS",
    "DetectorSubject",
    "FaceSubject",
    "check_detector",
    "check_face_plugin",
    "check_sink",
    "check_source",
    "devices_here",
    "made_faces",
]
