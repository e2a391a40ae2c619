import numpy as np
import pytest

from facestream.faces.meanface import MEAN_FACE
from facestream.plugins.align.realign import BOX, Upright
from facestream.plugins.align.roi import Squares, apply

NOWHERE = Squares(np.float32([[7, 8]]), np.float32([9]), np.float32([0.1]))


def face(scale: float, degrees: float, centre: tuple[float, float]) -> np.ndarray:
    """(1, 68, 2): the mean face, larger, turned clockwise on the screen, its middle at ``centre``; any jaw."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    core = (MEAN_FACE - 0.5) * scale @ turn + centre
    return np.concatenate([np.zeros((17, 2)), core])[None].astype(np.float32)


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -135])
def test_a_face_stands_upright_in_its_square_however_it_is_turned(degrees: float) -> None:
    landmarks = face(60, degrees, (200, 150))
    square = Upright((0.5, 0.5), 2.0).on(landmarks, NOWHERE)
    inverse = np.linalg.inv(np.concatenate([square.matrices(1), np.float32([[[0, 0, 1]]])], axis=1))
    seen = apply(inverse[:, :2], landmarks[:, 17:])
    np.testing.assert_allclose(seen[0], MEAN_FACE / 2 + 0.25, atol=1e-4)


def test_a_square_may_lie_off_the_middle() -> None:
    square = Upright((0.5, 0.75), 2.0).on(face(60, 90, (200, 150)), NOWHERE)
    np.testing.assert_allclose(square.centres, [[200 - 0.25 * 60, 150]], atol=1e-3)  # down the face is left here
    np.testing.assert_allclose(square.sides, [120], rtol=1e-5)
    np.testing.assert_allclose(square.angles, [np.pi / 2], atol=1e-5)


def test_without_a_rule_of_its_own_a_square_lies_as_it_does_to_the_detectors_box() -> None:
    boxes = np.float32([[100, 100, 180, 200], [0, 0, 50, 50]])
    squares = Squares(np.float32([[140, 160], [25, 25]]), np.float32([150, 50]), np.float32([0, 0.4]))
    upright = Upright.like(squares, boxes)
    np.testing.assert_allclose(upright.centres, [[0.5, 0.5 + BOX * 0.1], [0.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(upright.sides, [BOX * 1.5, BOX], rtol=1e-6)


def test_what_is_off_the_middle_of_a_turned_square_is_measured_along_its_own_axes() -> None:
    squares = Squares(np.float32([[40, 50]]), np.float32([100]), np.float32([np.pi / 2]))
    upright = Upright.like(squares, np.float32([[0, 0, 100, 100]]))
    np.testing.assert_allclose(upright.centres, [[0.5, 0.5 + BOX * 0.1]], atol=1e-6)  # left is down the face


@pytest.mark.parametrize("landmarks", [np.full((1, 68, 2), np.nan), np.full((1, 68, 2), 5.0), np.full((1, 68, 2), 1e9)])
def test_landmarks_that_place_nothing_leave_the_square_where_it_was(landmarks: np.ndarray) -> None:
    square = Upright((0.5, 0.5), 2.0).on(landmarks.astype(np.float32), NOWHERE)
    assert (square.centres == NOWHERE.centres).all()
    assert (square.sides == NOWHERE.sides).all()
    assert (square.angles == NOWHERE.angles).all()
