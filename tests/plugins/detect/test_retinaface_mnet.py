import numpy as np

from facestream.plugins.detect.retinaface_mnet import RetinaFaceMnet
from tests.plugins.conftest import Load, detect

# Long side 640, threshold 0.7, from the left. The network's outputs were compared with onnxruntime on the published
# file: they agree to 2e-5.
BOXES = np.float32(
    [
        [214.0, 64.9, 308.6, 178.4],
        [315.7, 233.3, 414.5, 361.5],
        [435.1, 217.7, 517.0, 315.8],
        [530.3, 309.2, 628.4, 435.3],
        [686.7, 293.3, 791.9, 420.8],
    ]
)


def test_finds_what_it_found_before(load: Load, photo: np.ndarray) -> None:
    (found,) = detect(load("detect", "retinaface-mnet"), photo)
    order = np.argsort(found.boxes[:, 0])
    np.testing.assert_allclose(found.boxes[order], BOXES, atol=0.5)
    assert (found.scores > 0.99).all()


def test_one_anchor_decodes_to_the_face_it_says() -> None:
    levels = [np.zeros((2, 30, 64 // stride, 96 // stride), np.float32) for stride in (8, 16, 32)]
    cell = levels[1][1, :, 2, 3]  # stride 16, second frame, row 2, column 3: the cell's centre is (56, 40)
    cell[1] = 0.9  # the second anchor, 128 pixels
    cell[6:10] = 1, -0.5, np.log(0.5) / 0.2, np.log(0.25) / 0.2
    cell[20:22] = 0.25, -0.25
    found = RetinaFaceMnet(threshold=0.5).decode(tuple(levels))
    assert found.frame_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.9])
    x, y = 56 + 12.8, 40 - 6.4
    np.testing.assert_allclose(found.boxes, [[x - 32, y - 16, x + 32, y + 16]], rtol=1e-5)
    assert found.points is not None
    np.testing.assert_allclose(found.points[0, :2], [[56 + 3.2, 40 - 3.2], [56, 40]], rtol=1e-5)
