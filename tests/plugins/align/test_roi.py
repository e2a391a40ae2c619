import cv2
import numpy as np
import pytest

from facestream.plugins.align.roi import Squares, apply, bounding_squares, crop, eye_angles, level_squares


def square(centre: tuple[float, float], side: float, angle: float) -> Squares:
    return Squares(np.float32([centre]), np.float32([side]), np.float32([angle]))


def test_an_upright_square_maps_its_corners() -> None:
    matrix = square((50, 40), 20, 0).matrices(10)
    corners = apply(matrix, np.float32([[[0, 0], [10, 0], [10, 10], [5, 5]]]))
    np.testing.assert_allclose(corners[0], [[40, 30], [60, 30], [60, 50], [50, 40]])


def test_a_square_turned_clockwise_starts_at_the_top_right() -> None:
    matrix = square((50, 40), 20, np.pi / 2).matrices(10)
    np.testing.assert_allclose(apply(matrix, np.float32([[[0, 0], [10, 0]]]))[0], [[60, 30], [60, 50]], atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.3, -2.0])
def test_what_is_seen_in_a_crop_lies_where_its_matrix_says(angle: float) -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    cv2.circle(picture, (200, 150), 6, (255, 255, 255), -1)  # the centre of pixel (200, 150) is at (200.5, 150.5)
    matrices = square((190.3, 144.2), 100, angle).matrices(192)
    seen = crop([picture], np.zeros(1, np.int32), matrices, 192)[0, :, :, 0].astype(np.float64)
    y, x = np.mgrid[:192, :192] + 0.5
    centre = np.float32([[[(x * seen).sum() / seen.sum(), (y * seen).sum() / seen.sum()]]])
    np.testing.assert_allclose(apply(matrices, centre)[0, 0], [200.5, 150.5], atol=0.02)


def test_crops_are_black_outside_the_frame_and_in_the_order_asked_for() -> None:
    picture = np.full((20, 20, 3), (10, 20, 30), np.uint8)
    matrices = square((0, 10), 20, 0).matrices(20)
    for rgb, pixel in ((False, [10, 20, 30]), (True, [30, 20, 10])):
        cut = crop([picture], np.zeros(1, np.int32), matrices, 20, rgb=rgb)[0]
        assert cut[5, 15].tolist() == pixel
        assert cut[5, 5].tolist() == [0, 0, 0]


def test_each_face_is_cut_from_its_own_frame() -> None:
    pictures = [np.full((8, 8, 3), shade, np.uint8) for shade in (7, 9)]
    matrices = np.repeat(square((4, 4), 4, 0).matrices(4), 2, axis=0)
    assert crop(pictures, np.int32([1, 0]), matrices, 4)[:, 0, 0, 0].tolist() == [9, 7]


def test_squares_are_levelled_by_the_eyes() -> None:
    points = np.zeros((1, 5, 2), np.float32)
    points[0, 1] = 1, 1
    squares = level_squares(np.float32([[10, 20, 30, 60]]), points, 1.5)
    assert squares.centres.tolist() == [[20, 40]]
    assert squares.sides.tolist() == [60]
    np.testing.assert_allclose(squares.angles, [np.pi / 4])
    assert level_squares(np.float32([[10, 20, 30, 60]]), None, 1.5).angles.tolist() == [0]


def test_bounds_are_measured_along_the_turned_axes() -> None:
    angle = 0.5
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    rectangle = np.array([[-10, -20], [10, -20], [10, 20], [-10, 20]]) @ turn + (100, 50)
    squares = bounding_squares(np.float32([rectangle]), np.float32([angle]), 1.0)
    np.testing.assert_allclose(squares.centres, [[100, 50]], rtol=1e-5)
    np.testing.assert_allclose(squares.sides, [40], rtol=1e-5)


def test_the_angle_of_the_eyes_is_clockwise_on_the_screen() -> None:
    assert eye_angles(np.float32([[0, 0]]), np.float32([[0, 1]]))[0] == pytest.approx(np.pi / 2)
