import numpy as np
import pytest
import torch

from facestream.plugins.detect.yunet import YuNet, YuNetNetwork
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


def no_faces() -> list[np.ndarray]:
    levels = [np.zeros((2, 16, 64 // stride, 96 // stride), np.float32) for stride in (8, 16, 32)]
    for level in levels:
        level[:, :2] = -20
    return levels


def logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def test_one_cell_decodes_to_the_face_it_says() -> None:
    levels = no_faces()
    cell = levels[1][1, :, 2, 3]  # stride 16, second frame, row 2, column 3
    cell[:2] = logit(0.9), logit(0.4)
    cell[2:6] = 0.5, 0.25, np.log(2), np.log(3)
    cell[6:8] = -1, 1
    found = YuNet(threshold=0.5).decode(tuple(levels))
    assert found.frame_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.6])
    np.testing.assert_allclose(found.boxes, [[56 - 16, 36 - 24, 56 + 16, 36 + 24]], rtol=1e-6)
    assert found.points is not None
    np.testing.assert_allclose(found.points[0, :2], [[32, 48], [48, 32]])


@pytest.mark.parametrize(("threshold", "found"), [(0.0, 252), (0.59, 1), (0.61, 0), (1.0, 0)])
def test_a_score_reaches_its_threshold_or_is_left_out(threshold: float, found: int) -> None:
    levels = no_faces()
    levels[0][0, :2, 0, 0] = logit(0.9), logit(0.4)
    assert len(YuNet(threshold=threshold).decode(tuple(levels)).scores) == found


def test_the_heads_that_share_a_convolution_say_what_each_says_alone() -> None:
    net = YuNetNetwork().eval()
    features = torch.rand(1, 64, 6, 4)
    with torch.no_grad():
        alone = [part[1](features) for part in (net.classes, net.objects, net.boxes, net.points)]
        torch.testing.assert_close(net._heads(1, features), torch.cat(alone, 1), atol=1e-6, rtol=1e-5)
