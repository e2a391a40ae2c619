import numpy as np
import pytest

from facestream.plugins.detect.turn import Turn
from facestream.stream.types import Detections

ANGLES = (0, 10, 45, 90, 135, 180, 270, 333)


def test_a_right_angle_is_the_published_matrix() -> None:
    assert Turn(640, 640, 90).index_matrix.tolist() == [[0, 1, 0], [-1, 0, 639]]


@pytest.mark.parametrize("degrees", ANGLES)
def test_a_square_turns_as_the_formula_says(degrees: int) -> None:
    turn = Turn(640, 640, degrees)
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    centre, to = (640 - 1) / 2, (turn.size[0] - 1) / 2
    expected = [[cos, sin, to - centre * (cos + sin)], [-sin, cos, to + centre * (sin - cos)]]
    np.testing.assert_allclose(turn.index_matrix, expected, atol=1e-9)


@pytest.mark.parametrize("degrees", ANGLES)
def test_a_dot_is_found_back_where_it_was(degrees: int) -> None:
    image = np.zeros((61, 90, 3), np.uint8)
    image[17:20, 70:73] = 255  # its centre is (71.5, 18.5)
    turn = Turn.of(image, degrees)
    turned = turn.image(image)
    assert turned.shape[1::-1] == turn.size
    ys, xs = np.nonzero(turned[..., 0])
    weights = turned[ys, xs, 0]
    dot = np.array([np.average(xs + 0.5, weights=weights), np.average(ys + 0.5, weights=weights)], np.float32)
    np.testing.assert_allclose(turn.back(dot), (71.5, 18.5), atol=0.05 if degrees % 90 else 1e-5)


@pytest.mark.parametrize("degrees", ANGLES)
def test_the_canvas_holds_the_whole_frame_and_no_more(degrees: int) -> None:
    turn = Turn(90, 61, degrees)
    corners = np.array([[0, 0, 1], [90, 0, 1], [90, 61, 1], [0, 61, 1]]) @ turn.matrix.T
    assert (corners > -1e-6).all()
    assert (corners < np.array(turn.size) + 1e-6).all()
    assert (np.ptp(corners, axis=0) > np.array(turn.size) - 1).all()


def test_boxes_and_points_come_back_exactly_from_right_angles() -> None:
    boxes, points = np.float32([[10, 20, 40, 60]]), np.float32([[[12, 25], [30, 26], [20, 40], [15, 50], [28, 51]]])
    clockwise_back = {  # for a frame of 200 × 100, worked out by hand
        90: ([[200 - 60, 10, 200 - 20, 40]], [200 - 25, 12]),
        180: ([[200 - 40, 100 - 60, 200 - 10, 100 - 20]], [200 - 12, 100 - 25]),
        270: ([[20, 100 - 40, 60, 100 - 10]], [25, 100 - 12]),
    }
    for degrees, (box, eye) in clockwise_back.items():
        found = Turn(200, 100, degrees).detections_back(Detections(boxes, np.float32([0.9]), points))
        assert found.boxes.tolist() == box
        assert found.points is not None
        assert found.points[0, 0].tolist() == eye
        assert found.boxes.dtype == found.points.dtype == np.float32


def test_no_detections_come_back_as_none() -> None:
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))
    found = Turn(200, 100, 45).detections_back(nothing)
    assert found.boxes.shape == (0, 4)
    assert found.points is not None
    assert found.points.shape == (0, 5, 2)
