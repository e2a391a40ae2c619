import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.plugins.detect.size_limits import SizeLimits
from facestream.testing.plugins import FakeDetector
from tests.plugins.conftest import detect

FRAME = np.zeros((101, 300, 3), np.uint8)  # 15 % of its shortest side are 15.15 px, which count as 15


def longest_edges(detector: SizeLimits) -> list[float]:
    (found,) = detect(detector, FRAME)
    assert found.points is not None
    assert len(found.boxes) == len(found.scores) == len(found.points)
    return found.boxes[:, 2:].max(axis=1).tolist()


def boxes(*edges: float) -> FakeDetector:
    return FakeDetector([(0, 0, edge, edge / 2) for edge in edges])


def test_the_longest_edge_counts_in_percent_of_the_shortest_side() -> None:
    detector = SizeLimits(boxes(14.9, 15, 60, 60.1), smallest=15, largest=60)
    assert longest_edges(detector) == [15, 60]
    assert (detector.statistics().too_small, detector.statistics().too_large) == (1, 1)
    assert detector.summary() == ["[Size filter] Too small: 1, Too large: 1"]


def test_zero_is_no_limit() -> None:
    assert longest_edges(SizeLimits(boxes(1, 500))) == [1, 500]


def test_a_face_larger_than_its_frame_can_be_allowed() -> None:
    assert longest_edges(SizeLimits(boxes(200, 600), largest=500)) == [200]


def test_each_frame_has_its_own_scale() -> None:
    small, large = np.zeros((50, 50, 3), np.uint8), np.zeros((200, 200, 3), np.uint8)
    found = detect(SizeLimits(boxes(20), smallest=20), small, large)
    assert [len(each.boxes) for each in found] == [1, 0]


def test_frames_without_faces_pass() -> None:
    assert len(detect(SizeLimits(FakeDetector(), smallest=10), FRAME)[0].boxes) == 0
    assert detect(SizeLimits(FakeDetector(), smallest=10)) == []


def test_limits_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="exchange the two sizes"):
        SizeLimits(FakeDetector(), smallest=50, largest=20)
