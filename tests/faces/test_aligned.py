import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facestream.faces.aligned import (
    align,
    average_distances,
    eye_mouth_distances,
    face_sizes,
    head_pose,
    normalised,
    solved,
    transform,
)
from facestream.faces.landmarks import WFLW_TO_IBUG
from facestream.faces.meanface import MEAN_FACE
from facestream.stream.types import Floats


def distorted(landmarks: Floats, count: int = 5) -> Floats:
    """(count, 68, 2) like no mean face, the same every time."""
    noise = np.random.default_rng(3).normal(0, 8, (count, 68, 2))
    return (landmarks + noise).astype(np.float32)


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


def test_the_golden_face_has_the_golden_rotation_and_translation(golden_landmarks: Floats) -> None:
    found = head_pose(align(golden_landmarks), golden_landmarks)
    np.testing.assert_allclose(found.rotation[0], (-0.194275, 0, 0), atol=1e-5)
    np.testing.assert_allclose(found.translation[0], (0, 2.593456, -56.372925), atol=2e-3)


def test_the_golden_face_is_the_mean_face_once_normalised(golden_landmarks: Floats) -> None:
    np.testing.assert_allclose(normalised(align(golden_landmarks), golden_landmarks)[0, 17:], MEAN_FACE, atol=1e-6)


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
    assert not np.any(head_pose(aligned, landmarks.astype(np.float32)[None]))
    assert normalised(aligned, landmarks.astype(np.float32)[None]).shape == (1, points, 2)
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


def test_transform_agrees_with_opencv(golden_landmarks: Floats) -> None:
    landmarks = distorted(golden_landmarks)
    matrices = align(landmarks).matrices
    for matrix, points, moved in zip(matrices, landmarks, transform(matrices, landmarks)):
        expected = cv2.transform(points[None].astype(np.float64), matrix[:2].astype(np.float64))[0]
        np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_measures_agree_with_counting_point_by_point(golden_landmarks: Floats) -> None:
    landmarks = distorted(golden_landmarks)
    matrices = align(landmarks).matrices
    distances, gaps = average_distances(matrices, landmarks), eye_mouth_distances(matrices, landmarks)
    for face, matrix in enumerate(matrices.astype(float)):
        points = [(matrix @ (x, y, 1))[:2] for x, y in landmarks[face].astype(float)]
        off = [abs(points[17 + i][axis] - MEAN_FACE[i][axis]) for i in range(51) for axis in (0, 1)]
        assert distances[face] == pytest.approx(sum(off) / len(off), abs=1e-5)
        highest_mouth = min(points[i][1] for i in range(48, 68))
        lowest_eye = max(points[i][1] for i in (*range(17, 27), *range(36, 48)))
        assert gaps[face] == pytest.approx(highest_mouth - lowest_eye, abs=1e-5)


def test_a_faces_size_is_the_edge_of_twice_the_normalised_square_in_the_frame(golden_landmarks: Floats) -> None:
    matrices = align(distorted(golden_landmarks)).matrices
    for matrix, size in zip(matrices, face_sizes(matrices)):
        back = cv2.invertAffineTransform(matrix[:2].astype(np.float64))
        left, right = cv2.transform(np.array([[(-0.5, 0.0), (1.5, 0.0)]]), back)[0]
        assert size == pytest.approx(float(np.linalg.norm(right - left)), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([4, 51, 68, 98]).flatmap(lambda m: arrays(np.float32, (2, m, 2), elements=st.floats(width=32))))
def test_any_numbers_give_finite_arrays_and_harm_no_other_face(landmarks: Floats) -> None:
    count = landmarks.shape[1]
    shape = {4: [(0, 0), (1, 0), (1, 1), (0, 1)], 51: MEAN_FACE}.get(count, np.resize(MEAN_FACE, (count, 2)))
    good = (np.asarray(shape)[None] * 200 + 300).astype(np.float32)
    batch = align(np.concatenate([landmarks, good]))
    for array in (batch.matrices, batch.pose, *batch.offsets.values()):
        assert np.isfinite(array).all()
    alone = align(good)
    np.testing.assert_allclose(batch.matrices[2], alone.matrices[0], rtol=1e-6)
    np.testing.assert_allclose(batch.pose[2], alone.pose[0], atol=1e-3)
    assert np.linalg.matrix_rank(batch.matrices.astype(np.float64)).tolist() == [3, 3, 3]


@pytest.mark.parametrize("degenerate", ["one spot", "a line", "a speck", "mirrored", "upside down"])
def test_degenerate_faces_stay_finite(degenerate: str, golden_landmarks: Floats) -> None:
    middle = golden_landmarks.mean(axis=1, keepdims=True)
    landmarks = {
        "one spot": np.broadcast_to(middle, golden_landmarks.shape),
        "a line": golden_landmarks * (1, 0) + (0, 50),
        "a speck": middle + (golden_landmarks - middle) * 1e-4,
        "mirrored": golden_landmarks * (-1, 1),
        "upside down": golden_landmarks * (1, -1),
    }[degenerate].astype(np.float32)
    aligned = align(landmarks)
    for array in (aligned.matrices, aligned.pose, *aligned.offsets.values()):
        assert np.isfinite(array).all()
    for measure in (face_sizes, lambda m: average_distances(m, landmarks), lambda m: eye_mouth_distances(m, landmarks)):
        assert np.isfinite(measure(aligned.matrices)).all()
