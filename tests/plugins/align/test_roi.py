import cv2
import numpy as np
import pytest

from facestream.plugins.align.roi import (
    Squares,
    apply,
    bounding_squares,
    crop,
    crop_frames,
    eye_angles,
    level_squares,
)
from facestream.stream.types import Frame, Image, Region


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


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_no_more_of_a_frame_is_looked_at_than_its_squares_see(angle: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 200, 300, 3)).astype(np.uint8)
    pictures = [cv2.GaussianBlur(picture, (0, 0), 2) for picture in noise]
    frames = [Watched("a", 0, seq, 0.0, 0.0, picture) for seq, picture in enumerate([*pictures, pictures[0]])]
    squares = [square((60, 70), 50, angle), square((90, 80), 40, angle), square((299, 5), 60, angle)]
    matrices = np.concatenate([each.matrices(48) for each in squares])
    ids = np.int32([0, 0, 1])
    cut = crop_frames(frames, ids, matrices, 48).astype(int)
    assert np.abs(cut - crop(pictures, ids, matrices, 48)).max() <= 1
    assert [len(frame.seen) for frame in frames] == [1, 1, 0]
    (left, top, right, bottom), (beside, _, edge, _) = frames[0].seen[0], frames[1].seen[0]
    assert left <= 35 < 110 <= right < 180
    assert top <= 45 < 100 <= bottom < 160
    assert beside > 200
    assert edge == 300


def test_what_is_cut_from_a_whole_frame_depends_on_no_other_square() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    frame = Frame("a", 0, 0, 0.0, 0.0, noise)
    matrices = np.concatenate([square((30 + 37.3 * i, 60 + 11.7 * i), 51.1, 0.3 * i).matrices(48) for i in range(6)])
    together = crop_frames([frame], np.zeros(6, np.int32), matrices, 48)
    for alone, matrix in zip(together, matrices):
        np.testing.assert_array_equal(crop_frames([frame], np.zeros(1, np.int32), matrix[None], 48)[0], alone)


@pytest.mark.parametrize("centre", [(-500, 20), (5000, 20), (50, np.nan)])
def test_a_square_that_lies_nowhere_in_its_frame_is_black(centre: tuple[float, float]) -> None:
    frame = Frame("a", 0, 0, 0.0, 0.0, np.full((40, 100, 3), 200, np.uint8))
    assert not crop_frames([frame], np.zeros(1, np.int32), square(centre, 10, 0).matrices(8), 8).any()


class Watched(Frame):
    """One that is made in parts. Remembers which were asked for."""

    @property
    def seen(self) -> list[Region]:
        return self.__dict__.setdefault("_seen", [])

    def around(self, region: Region) -> tuple[Image, tuple[int, int]]:
        self.seen.append(region)
        left, top, right, bottom = region
        return self.image[top:bottom, left:right], (left, top)


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
