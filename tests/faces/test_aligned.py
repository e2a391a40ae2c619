import numpy as np
import pytest

from facestream.faces.aligned import align, average_distances, eye_mouth_distances, face_sizes, solved
from facestream.faces.landmarks import WFLW_TO_IBUG
from facestream.faces.meanface import MEAN_FACE
from facestream.stream.types import Floats


def test_the_golden_landmarks_are_those_of_the_specification(golden_landmarks: Floats) -> None:
    points = golden_landmarks[0, [0, 8, 36, 67]]
    expected = [(256.92618, 228.17308), (308.46423, 449.12518), (309.9304, 229.67688), (325.7072, 364.77188)]
    np.testing.assert_allclose(points, expected, atol=4e-5)


def test_the_golden_face_has_the_golden_matrix_offsets_and_pose(golden_landmarks: Floats) -> None:
    aligned = align(golden_landmarks)
    expected = [[0.004698, 0.00171, -1.717357], [-0.00171, 0.004698, -0.332693]]
    np.testing.assert_allclose(aligned.matrices[0, :2], expected, atol=6e-7)
    for centering, column in {"face": (-1.717357, -0.183931), "head": (-1.717357, -0.186049)}.items():
        shifted = aligned.matrices[0, :2, 2] - aligned.offsets[centering][0]
        np.testing.assert_allclose(shifted, column, atol=3e-6)
    np.testing.assert_array_equal(aligned.offsets["legacy"], [[0, 0]])
    np.testing.assert_allclose(aligned.pose[0], (-11.1312, 0, 0), atol=5e-4)


def test_the_golden_face_has_the_golden_measures(golden_landmarks: Floats) -> None:
    landmarks = golden_landmarks
    matrices = align(landmarks).matrices
    assert face_sizes(matrices)[0] == pytest.approx(400.0, abs=1e-3)
    assert average_distances(matrices, landmarks)[0] < 1e-6
    assert eye_mouth_distances(matrices, landmarks)[0] == pytest.approx(0.482289, abs=2e-6)


def test_98_points_align_as_their_68_do(golden_landmarks: Floats) -> None:
    landmarks = np.zeros((1, 98, 2), np.float32)
    landmarks[:, WFLW_TO_IBUG] = golden_landmarks
    np.testing.assert_array_equal(align(landmarks).matrices, align(golden_landmarks).matrices)


@pytest.mark.parametrize("points", [4, 51])
def test_landmarks_without_a_jaw_have_no_pose(points: int) -> None:
    corners = np.array([(100, 50), (300, 50), (300, 250), (100, 250)])
    landmarks = corners if points == 4 else MEAN_FACE * 200 + (100, 50)
    aligned = align(landmarks.astype(np.float32)[None])
    np.testing.assert_allclose(aligned.matrices[0, :2], [[0.005, 0, -0.5], [0, 0.005, -0.25]], atol=1e-6)
    assert not aligned.pose.any()
    assert not any(shift.any() for shift in aligned.offsets.values())


def test_every_array_is_float32_and_has_a_row_a_face(golden_landmarks: Floats) -> None:
    for count in (0, 1, 3):
        aligned = align(np.repeat(golden_landmarks, count, axis=0))
        arrays = [aligned.matrices, aligned.pose, *aligned.offsets.values()]
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
        assert {len(array) for array in arrays} == {count}
        assert set(aligned.offsets) == {"legacy", "face", "head"}


def test_a_face_without_sense_stays_finite_and_is_told(golden_landmarks: Floats) -> None:
    landmarks = np.repeat(golden_landmarks, 3, axis=0)
    landmarks[0] = np.nan
    landmarks[1] = 77.0
    aligned = align(landmarks)
    assert solved(aligned).tolist() == [False, False, True]
    for array in (aligned.matrices, aligned.pose, *aligned.offsets.values()):
        assert np.isfinite(array).all()
    assert not aligned.pose[:2].any()
