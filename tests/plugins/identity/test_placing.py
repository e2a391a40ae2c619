import numpy as np
import pytest

from facestream.errors import ModelError
from facestream.faces.aligned import align
from facestream.faces.meanface import CORE, MEAN_FACE
from facestream.faces.umeyama import umeyama
from facestream.plugins.identity.placing import ARCFACE, five_points, template_matrices
from facestream.stream.types import ExtractBatch, Floats, Frame
from facestream.testing.plugins import FACE_68

LANDMARKS = (100 * FACE_68 + (300, 200)).astype(np.float32)[None]


def batch_of(landmarks: Floats | None = None, points: Floats | None = None) -> ExtractBatch:
    return ExtractBatch(
        frames=[Frame("photo", 0, 0, 0.0, 0.0, np.zeros((480, 640, 3), np.uint8))],
        boxes=np.array([[300, 200, 400, 300]], np.float32),
        scores=np.ones(1, np.float32),
        landmarks=landmarks,
        points=points,
        aligned=None if landmarks is None else align(landmarks),
        frame_ids=np.zeros(1, np.int32),
    )


def placed(batch: ExtractBatch, points: Floats) -> Floats:
    """(M, 2) in crop pixels."""
    matrix = template_matrices(batch, "model")[0]
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2], np.float32)


def test_five_points_are_the_eyes_middles_the_nose_tip_and_the_mouths_corners() -> None:
    landmarks = np.zeros((1, 68, 2))
    landmarks[0, 36:42] = [(0, 10), (2, 8), (4, 8), (6, 10), (4, 12), (2, 12)]
    landmarks[0, 42:48] = landmarks[0, 36:42] + (20, 0)
    landmarks[0, [30, 48, 54]] = [(13, 20), (5, 30), (21, 31)]
    assert five_points(landmarks)[0].tolist() == [[3, 10], [23, 10], [13, 20], [5, 30], [21, 31]]


def test_points_that_are_the_template_turned_scaled_and_moved_come_back_onto_it() -> None:
    turned = 2.5 * ARCFACE @ np.array([(0.6, 0.8), (-0.8, 0.6)]) + (700, -40)
    points = turned.astype(np.float32)
    np.testing.assert_allclose(placed(batch_of(points=points[None]), points), ARCFACE, atol=1e-3)


def test_landmarks_count_more_than_the_detectors_points() -> None:
    elsewhere = np.float32(ARCFACE)[None] * 4
    both = template_matrices(batch_of(LANDMARKS, elsewhere), "model")
    np.testing.assert_array_equal(both, template_matrices(batch_of(LANDMARKS), "model"))


def test_the_mean_faces_five_points_come_as_near_to_the_template_as_five_points_can() -> None:
    face = np.concatenate([np.zeros((CORE.start, 2)), MEAN_FACE])[None] * 150 + (80, 30)
    found = placed(batch_of(face.astype(np.float32)), five_points(face)[0].astype(np.float32))
    directly, _ = umeyama(five_points(face), ARCFACE)
    wanted = five_points(face)[0] @ directly[0, :2, :2].T + directly[0, :2, 2]
    np.testing.assert_allclose(found, wanted, atol=0.01)
    assert np.abs(found - ARCFACE).max() < 4


def test_a_turned_face_comes_out_upright() -> None:
    turn = np.array([(0, 1), (-1, 0)])  # a quarter
    turned = (100 * (FACE_68 - 0.5) @ turn + (300, 200)).astype(np.float32)[None]
    right, left, nose, *mouth = placed(batch_of(turned), five_points(turned)[0].astype(np.float32))
    assert abs(left[1] - right[1]) < 0.5
    assert right[0] < nose[0] < left[0]
    assert left[1] < nose[1] < min(corner[1] for corner in mouth)


def test_51_landmarks_place_a_face_as_68_do() -> None:
    whole, core = (template_matrices(batch_of(points), "model") for points in (LANDMARKS, LANDMARKS[:, CORE]))
    np.testing.assert_allclose(whole, core, rtol=1e-5)


def test_a_squares_corners_place_the_mean_face() -> None:
    corners = np.array([[(100, 50), (300, 50), (300, 250), (100, 250)]], np.float32)
    matrix = template_matrices(batch_of(corners), "model")[0]
    assert matrix[0, 0] == matrix[1, 1]
    left, top, right, bottom = *(matrix @ (100, 50, 1))[:2], *(matrix @ (300, 250, 1))[:2]
    assert (left + right) / 2 == pytest.approx(56, abs=1)
    unit = 35.24 / 0.5188  # the eyes' distances, there and in the mean face
    assert (right - left, bottom - top) == pytest.approx((unit, unit), rel=0.05)


def test_without_landmarks_or_points_an_aligner_is_asked_for() -> None:
    with pytest.raises(ModelError, match="choose an aligner"):
        template_matrices(batch_of(), "model")


def test_a_face_of_one_spot_has_a_matrix_that_can_be_used() -> None:
    matrices = template_matrices(batch_of(np.full((1, 68, 2), 5, np.float32)), "model")
    assert np.isfinite(matrices).all()
