import numpy as np

from facestream.plugins.nms import box_iou
from tests.plugins.conftest import Load, detect, detect_scaled

# Long side 640, from the left, as first found.
BOXES = np.float32(
    [
        [219.6, 66.7, 304.6, 174.2],
        [319.6, 231.6, 409.1, 355.8],
        [439.7, 219.3, 513.8, 307.3],
        [532.9, 304.5, 630.0, 434.1],
        [681.5, 289.5, 787.0, 423.1],
    ]
)


def test_finds_what_it_found_before(load: Load, photo: np.ndarray) -> None:
    found = detect_scaled(load("detect", "mtcnn"), photo, 640)
    order = np.argsort(found.boxes[:, 0])
    np.testing.assert_allclose(found.boxes[order], BOXES, atol=1.5)


def test_agrees_with_another_detector(load: Load, photo: np.ndarray) -> None:
    (found,), (other,) = (detect(load("detect", name), photo) for name in ("mtcnn", "yunet"))
    assert box_iou(found.boxes, other.boxes).max(axis=1).min() > 0.6


def test_faces_of_one_frame_do_not_reach_another(load: Load, photo: np.ndarray) -> None:
    blank = np.zeros_like(photo)
    first, second, third = detect(load("detect", "mtcnn"), photo, blank, photo)
    assert len(second.boxes) == 0
    np.testing.assert_allclose(first.boxes, third.boxes, atol=1e-3)
