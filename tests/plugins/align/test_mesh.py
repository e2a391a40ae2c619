import numpy as np
import pytest

from facestream.plugins.align.refeed import Refeed
from facestream.plugins.align.refined import RefinedAligner
from facestream.stream.types import Detections, ExtractBatch
from tests.plugins.conftest import Load, align, batch_of, detect_scaled

# Chin, nose tip, outer eye corners, mouth corners of the leftmost and the rightmost face. The network's outputs were
# compared with the TensorFlow Lite runtime on the published file: they agree to 8e-5 crop pixels.
SOME = [8, 30, 36, 45, 48, 54]
LEFTMOST = {
    "mesh": [[253.3, 175.8], [267.6, 127.5], [238.8, 100.4], [293.9, 113.6], [239.4, 139.1], [278.6, 147.6]],
    "mesh-300w": [[254.4, 174.2], [268.0, 128.4], [239.4, 100.1], [294.7, 114.0], [239.9, 138.3], [279.0, 146.8]],
}
RIGHTMOST = {
    "mesh": [[723.5, 423.3], [728.8, 358.3], [705.0, 338.4], [766.9, 347.5], [706.0, 380.4], [754.7, 386.9]],
    "mesh-300w": [[723.8, 424.1], [730.0, 359.8], [704.8, 338.2], [766.8, 347.3], [707.3, 380.3], [754.4, 386.3]],
}


@pytest.fixture(scope="module")
def found(load: Load, photo: np.ndarray) -> Detections:
    return detect_scaled(load("detect", "yunet", size=320), photo, 320)


def eye_distance(landmarks: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.linalg.norm(landmarks[:, 45] - landmarks[:, 36], axis=1)
    return distance


@pytest.mark.parametrize("name", ["mesh", "mesh-300w"])
def test_finds_the_points_that_it_found_before(load: Load, photo: np.ndarray, found: Detections, name: str) -> None:
    batch = batch_of(photo, found)
    landmarks = align(load("align", name), batch)
    order = np.argsort(found.boxes[:, 0])
    np.testing.assert_allclose(landmarks[order[0], SOME], LEFTMOST[name], atol=0.5)
    np.testing.assert_allclose(landmarks[order[-1], SOME], RIGHTMOST[name], atol=0.5)
    assert batch.landmark_scores is not None
    assert (batch.landmark_scores > 0.9).all()


def test_a_batch_equals_its_singles(load: Load, photo: np.ndarray, found: Detections) -> None:
    mesh = load("align", "mesh")
    together = align(mesh, batch_of(photo, found))
    for index in range(len(found.boxes)):
        batch = batch_of(photo, found)
        batch.keep(slice(index, index + 1))
        np.testing.assert_allclose(align(mesh, batch)[0], together[index], atol=0.05)


def test_a_turned_face_is_levelled_by_the_detectors_points(load: Load, photo: np.ndarray, found: Detections) -> None:
    mesh = load("align", "mesh")
    upright = align(mesh, batch_of(photo, found))
    height = photo.shape[0]
    turned = np.ascontiguousarray(np.rot90(photo, k=-1))  # clockwise: (x, y) → (height - y, x)

    def turn(points: np.ndarray) -> np.ndarray:
        return np.stack([height - points[..., 1], points[..., 0]], -1)

    corners = turn(found.boxes.reshape(-1, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], 1)
    again = Detections(boxes, found.scores, turn(found.points))
    error = np.linalg.norm(align(mesh, batch_of(turned, again)) - turn(upright), axis=2)
    assert (error.mean(axis=1) / eye_distance(upright)).max() < 0.03


def test_without_points_an_upright_square_is_used(load: Load, photo: np.ndarray, found: Detections) -> None:
    mesh = load("align", "mesh")
    with_points, without = (align(mesh, batch_of(photo, found, points=points)) for points in (True, False))
    error = np.linalg.norm(with_points - without, axis=2).mean(axis=1)
    assert (error / eye_distance(with_points)).max() < 0.05


def test_no_face_lowers_the_confidence(load: Load, photo: np.ndarray) -> None:
    sky = Detections(np.float32([[600, 20, 700, 120]]), np.ones(1, np.float32))
    batch = batch_of(photo, sky)
    align(load("align", "mesh"), batch)
    assert batch.landmark_scores is not None
    assert batch.landmark_scores[0] < 0.5


def test_a_batch_without_faces_gets_empty_landmarks(load: Load, photo: np.ndarray) -> None:
    batch = ExtractBatch(frames=batch_of(photo, Detections(np.zeros((0, 4), np.float32), np.zeros(0))).frames)
    assert align(load("align", "mesh"), batch).shape == (0, 68, 2)
    assert batch.landmark_scores is not None
    assert batch.landmark_scores.shape == (0,)


@pytest.mark.parametrize("box", [(-300, -300, -200, -200), (990, 660, 1010, 680), (5, 5, 5, 5), (0, 0, 4000, 9)])
def test_boxes_out_of_the_frame_and_without_a_size_pass(load: Load, photo: np.ndarray, box: tuple[int, ...]) -> None:
    landmarks = align(load("align", "mesh"), batch_of(photo, Detections(np.float32([box]), np.ones(1, np.float32))))
    assert np.isfinite(landmarks).all()


@pytest.mark.parametrize("name", ["mesh", "mesh-300w"])
def test_an_expected_face_is_looked_at_once_where_a_second_look_would_be(
    load: Load, photo: np.ndarray, found: Detections, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = load("align", name)
    twice = align(mesh, batch_of(photo, found))
    looks = []
    monkeypatch.setattr(mesh, "look", lambda crops: looks.append(len(crops.pixels)) or type(mesh).look(mesh, crops))
    batch = batch_of(photo, found)
    batch.priors = twice
    error = np.linalg.norm(align(mesh, batch) - twice, axis=2).mean(axis=1)
    assert looks == [len(found.boxes)]
    assert (error / eye_distance(twice)).max() < 0.04


def test_faces_that_are_not_expected_are_looked_at_twice_beside_those_that_are(
    load: Load, photo: np.ndarray, found: Detections
) -> None:
    mesh = load("align", "mesh")
    twice = align(mesh, batch_of(photo, found))
    batch = batch_of(photo, found)
    batch.priors = np.full_like(twice, np.nan)
    batch.priors[1] = twice[1]
    mixed = align(mesh, batch)
    others = np.arange(len(twice)) != 1
    np.testing.assert_allclose(mixed[others], twice[others], atol=0.05)
    assert 0 < np.linalg.norm(mixed[1] - twice[1], axis=1).mean() / eye_distance(twice)[1] < 0.04


@pytest.mark.parametrize("re_align", [False, True])
def test_an_expected_face_can_be_refined(load: Load, photo: np.ndarray, found: Detections, re_align: bool) -> None:
    refined = RefinedAligner(load("align", "mesh"), refeed=Refeed.drawn(2), re_align=re_align)
    assert refined.lost_below == 0.5
    usual = align(refined, batch_of(photo, found))
    batch = batch_of(photo, found)
    batch.priors = usual.copy()
    batch.priors[0] = np.nan
    again = align(refined, batch)
    assert (np.linalg.norm(again - usual, axis=2).mean(axis=1) / eye_distance(usual)).max() < 0.04
