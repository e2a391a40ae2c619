import numpy as np

from facestream.plugins.detect.centerface import CenterFace
from tests.plugins.conftest import Load, detect_scaled

# Long side 320, threshold 0.35, from the left. The network's four maps were compared with OpenCV's dnn module on the
# published file: they agree to 5e-7.
BOXES = np.float32(
    [
        [219.6, 67.3, 307.9, 172.5],
        [315.2, 231.1, 414.1, 359.8],
        [438.2, 219.1, 519.6, 313.9],
        [534.3, 309.0, 629.1, 431.2],
        [683.4, 292.2, 786.6, 420.4],
    ]
)
SCORES = [0.861, 0.876, 0.808, 0.897, 0.828]
POINTS = [[252.4, 106.5], [289.6, 116.5], [271.8, 132.0], [245.4, 142.0], [276.7, 150.4]]


def test_finds_what_it_found_before(load: Load, photo: np.ndarray) -> None:
    found = detect_scaled(load("detect", "centerface", size=320), photo, 320)
    order = np.argsort(found.boxes[:, 0])
    np.testing.assert_allclose(found.boxes[order], BOXES, atol=0.5)
    np.testing.assert_allclose(found.scores[order], SCORES, atol=0.005)
    assert found.points is not None
    np.testing.assert_allclose(found.points[order[0]], POINTS, atol=0.5)


def test_one_cell_decodes_to_the_face_it_says() -> None:
    heat, size, offset, points = (np.zeros((2, channels, 8, 16), np.float32) for channels in (1, 2, 2, 10))
    heat[1, 0, 3, 5] = 0.75
    size[1, :, 3, 5] = np.log(6), np.log(4)  # height, width in cells
    offset[1, :, 3, 5] = 0.25, -0.5  # y, x in cells
    points[1, :2, 3, 5] = 0.5, 0.25  # y, x in box sizes
    found = CenterFace(threshold=0.5).decode((heat, size, offset, points))
    assert found.frame_ids.tolist() == [1]
    assert found.scores.tolist() == [0.75]
    np.testing.assert_allclose(found.boxes, [[20 - 8, 15 - 12, 20 + 8, 15 + 12]], rtol=1e-5)
    assert found.points is not None
    np.testing.assert_allclose(found.points[0, :2], [[12 + 4, 3 + 12], [12, 3]], rtol=1e-5)
