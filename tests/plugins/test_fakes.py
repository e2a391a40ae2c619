import threading

import numpy as np
import pytest

from facestream.errors import OutOfDeviceMemory
from facestream.stream.types import Detector, ExtractBatch, FacePlugin, Frame
from facestream.testing.plugins import FACE_68, FakeAligner, FakeDetector

PICTURE = np.zeros((48, 64, 3), np.uint8)


def run(detector: Detector, *images: np.ndarray) -> list:
    feed = detector.pre_process(images)
    return detector.post_process(detector.infer(feed), feed)


def test_a_fake_detector_finds_the_same_boxes_in_every_frame() -> None:
    first, second = run(FakeDetector([(1, 2, 11, 22), (5, 5, 9, 9)]), PICTURE, PICTURE)
    assert first.boxes.tolist() == second.boxes.tolist() == [[1, 2, 11, 22], [5, 5, 9, 9]]
    assert first.scores[0] > first.scores[1]
    assert first.points is not None
    assert first.points.shape == (2, 5, 2)


def test_a_fake_detector_can_look_at_the_picture() -> None:
    def width(image: np.ndarray) -> list[tuple[int, int, int, int]]:
        return [(0, 0, image.shape[1], 10)]

    (found,) = run(FakeDetector(width), PICTURE)
    assert found.boxes.tolist() == [[0, 0, 64, 10]]


def test_a_fake_detector_may_find_nothing() -> None:
    (found,) = run(FakeDetector(), PICTURE)
    assert found.boxes.shape == (0, 4)


def test_a_fake_aligner_puts_a_face_into_each_box() -> None:
    aligner: FacePlugin = FakeAligner(score=0.5)
    frame = Frame("a", 0, 0, 0.0, 0.0, PICTURE)
    batch = ExtractBatch(
        frames=[frame],
        boxes=np.array([[10, 20, 20, 40]], np.float32),
        scores=np.ones(1, np.float32),
        frame_ids=np.zeros(1, np.int32),
    )
    feed = aligner.pre_process(batch)
    aligner.post_process(aligner.infer(feed), feed, batch)
    assert batch.landmarks is not None
    np.testing.assert_allclose(batch.landmarks[0], FACE_68 * (10, 20) + (10, 20), rtol=1e-5)
    assert batch.landmark_scores is not None
    assert batch.landmark_scores.tolist() == [0.5]


def test_a_held_fake_waits_until_it_is_released() -> None:
    detector = FakeDetector()
    with detector.held():
        thread = threading.Thread(target=detector.infer, args=([PICTURE],))
        thread.start()
        assert detector.entered.wait(60)
        assert detector.batches == []
    thread.join(10)
    assert detector.batches == [1]


def test_a_fake_runs_out_of_memory_above_the_size_that_fits() -> None:
    detector = FakeDetector(fits=2)
    detector.infer([PICTURE] * 2)
    with pytest.raises(OutOfDeviceMemory, match="a batch of 3 doesn't fit"):
        detector.infer([PICTURE] * 3)


def test_the_fake_face_is_symmetric_and_inside_its_box() -> None:
    assert FACE_68.shape == (68, 2)
    assert FACE_68.min() >= 0
    assert FACE_68.max() <= 1
    np.testing.assert_allclose(FACE_68[36, 0] + FACE_68[45, 0], 1, rtol=1e-5)
