import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facestream.faces import pose
from facestream.faces.aligned import align, transform
from facestream.faces.meanface import MEAN_HEAD, POSE_INDICES
from facestream.faces.pose import Pose
from facestream.stream.types import Doubles, Floats

CAMERA = np.array([[4.0, 0, 0.5], [0, 4, 0.5], [0, 0, 1]])


def looking(rotation: tuple[float, float, float], translation: tuple[float, float, float]) -> Doubles:
    """(1, 68, 2) normalised landmarks of the mean head in a pose, by OpenCV's own projection."""
    seen, _ = cv2.projectPoints(MEAN_HEAD, np.array(rotation, float), np.array(translation, float), CAMERA, None)
    landmarks = np.zeros((1, 68, 2))
    landmarks[0, POSE_INDICES] = seen[:, 0]
    return landmarks


def test_the_golden_face_has_the_golden_pose(golden_landmarks: Floats) -> None:
    landmarks = golden_landmarks
    found = pose.solve(transform(align(landmarks).matrices, landmarks))
    np.testing.assert_allclose(found.rotation[0], (-0.194275, 0, 0), atol=1e-5)
    np.testing.assert_allclose(found.translation[0], (0, 2.593456, -56.372925), atol=2e-3)
    np.testing.assert_allclose(pose.angles(found)[0], (-11.1312, 0, 0), atol=5e-4)
    np.testing.assert_allclose(pose.offsets(found)["face"][0], (0, -0.148762), atol=2e-6)
    np.testing.assert_allclose(pose.offsets(found)["head"][0], (0, -0.146644), atol=2e-6)


@pytest.mark.parametrize("yaw", [-0.9, -0.4, 0.0, 0.3, 0.8])
@pytest.mark.parametrize("pitch", [-0.6, 0.0, 0.5])
def test_a_projected_head_is_found_in_its_pose(pitch: float, yaw: float) -> None:
    rotation, translation = (pitch, yaw, 0.1), (0.4, 2.5, -55.0)
    found = pose.solve(looking(rotation, translation))
    np.testing.assert_allclose(found.rotation[0], rotation, atol=1e-3)
    np.testing.assert_allclose(found.translation[0], translation, rtol=1e-2, atol=1e-2)


def test_rotation_matrices_agree_with_opencv() -> None:
    vectors = np.random.default_rng(0).uniform(-2, 2, (20, 3))
    vectors[0] = 0
    expected = np.stack([cv2.Rodrigues(vector)[0] for vector in vectors])
    np.testing.assert_allclose(pose.rotation_matrices(vectors), expected, atol=1e-12)


def test_angles_are_those_of_the_turns_about_each_axis() -> None:
    turns = np.radians([[20, 0, 0], [0, -35, 0], [0, 0, 15]])
    angles = pose.angles(Pose(turns, np.ones((3, 3))))
    np.testing.assert_allclose(angles, [[20, 0, 0], [0, -35, 0], [0, 0, 15]], atol=1e-9)


def test_a_face_that_cannot_be_solved_has_a_pose_of_zeros_and_harms_no_other() -> None:
    landmarks = np.repeat(looking((-0.2, 0.1, 0.0), (0.0, 2.6, -56.0)), 3, axis=0)
    landmarks[1, 8] = np.nan
    found = pose.solve(landmarks)
    assert not found.rotation[1].any()
    np.testing.assert_array_equal(found.rotation[0], found.rotation[2])
    for shift in pose.offsets(found).values():
        np.testing.assert_array_equal(shift[1], (0, 0))


def test_projected_points_agree_with_opencv() -> None:
    found = pose.solve(
        np.concatenate([looking((-0.3, 0.2, 0.1), (0.4, 2.5, -55.0)), looking((0.1, -0.6, 0), (0, 3, -50))])
    )
    for point in (*pose.CENTERS.values(), *pose.AXES):
        for index in range(2):
            seen, _ = cv2.projectPoints(
                np.array([point]), found.rotation[index], found.translation[index], CAMERA, None
            )
            np.testing.assert_allclose(pose.project([point], found)[index, 0], seen[0, 0], atol=1e-9)


def test_axes_point_right_up_and_forward_from_the_heads_centre() -> None:
    frontal = pose.axes(pose.solve(looking((0, 0, 0), (0.0, 2.6, -56.0))))[0] - 0.5
    assert frontal[0, 0] < -0.2  # the head's right is the picture's left
    assert frontal[1, 1] < -0.2  # up
    np.testing.assert_allclose(frontal[[0, 1], [1, 0]], 0, atol=1e-3)
    turned = pose.axes(pose.solve(looking((0, 0.5, 0), (0.0, 2.6, -56.0))))[0] - 0.5
    assert abs(turned[2, 0]) > 0.1
    unsolved = pose.axes(Pose(np.zeros((1, 3)), np.zeros((1, 3))))
    np.testing.assert_array_equal(unsolved, np.full((1, 3, 2), 0.5))


def test_angles_are_scipys_turns_about_x_then_y_then_z() -> None:
    vectors = np.random.default_rng(2).uniform(-0.8, 0.8, (30, 3))
    expected = Rotation.from_rotvec(vectors).as_euler("xyz", degrees=True)
    np.testing.assert_allclose(pose.angles(Pose(vectors, np.ones((30, 3)))), expected, atol=1e-9)


def test_offsets_are_where_opencv_sees_the_centres() -> None:
    found = pose.solve(looking((-0.3, 0.4, 0.1), (0.4, 2.5, -55.0)))
    for name, centre in {"face": (0.0, -1.5, 4.2), "head": (0.0, 0.0, -2.3)}.items():
        seen, _ = cv2.projectPoints(np.array([centre]), found.rotation[0], found.translation[0], CAMERA, None)
        np.testing.assert_allclose(pose.offsets(found)[name][0], seen[0, 0] - 0.5, atol=1e-9)
    np.testing.assert_array_equal(pose.offsets(found)["legacy"], [[0, 0]])
