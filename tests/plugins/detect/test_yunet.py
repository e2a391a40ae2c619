import numpy as np

from facestream.plugins.detect.yunet import YuNet
from tests.plugins.conftest import Load, detect_scaled

# OpenCV 5.0's FaceDetectorYN on the same canvas with the same file, long side 320, threshold 0.6, from the left.
REFERENCE = np.float32(
    [
        [211.7, 61.6, 311.5, 185.0],
        [314.6, 232.2, 410.1, 363.9],
        [433.6, 214.8, 522.3, 323.7],
        [530.6, 307.0, 634.0, 435.9],
        [683.1, 293.2, 790.4, 421.1],
    ]
)
REFERENCE_SCORES = [0.889, 0.916, 0.911, 0.913, 0.929]
REFERENCE_POINTS = [[241.5, 101.0], [291.1, 102.9], [264.8, 126.8], [240.4, 143.6], [279.3, 150.9]]


def test_agrees_with_opencv(load: Load, photo: np.ndarray) -> None:
    found = detect_scaled(load("detect", "yunet", size=320), photo, 320)
    order = np.argsort(found.boxes[:, 0])
    np.testing.assert_allclose(found.boxes[order], REFERENCE, atol=0.3)
    np.testing.assert_allclose(found.scores[order], REFERENCE_SCORES, atol=0.003)
    assert found.points is not None
    np.testing.assert_allclose(found.points[order[0]], REFERENCE_POINTS, atol=0.3)


def test_one_cell_decodes_to_the_face_it_says() -> None:
    levels = [np.zeros((2, 16, 64 // stride, 96 // stride), np.float32) for stride in (8, 16, 32)]
    cell = levels[1][1, :, 2, 3]  # stride 16, second frame, row 2, column 3
    cell[:2] = 0.9, 0.4
    cell[2:6] = 0.5, 0.25, np.log(2), np.log(3)
    cell[6:8] = -1, 1
    found = YuNet(threshold=0.5).decode(tuple(levels))
    assert found.frame_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.6])
    np.testing.assert_allclose(found.boxes, [[56 - 16, 36 - 24, 56 + 16, 36 + 24]], rtol=1e-6)
    assert found.points is not None
    np.testing.assert_allclose(found.points[0, :2], [[32, 48], [48, 32]])
