from __future__ import annotations

import cv2
import numpy as np

from facestream.stream.events import Look
from facestream.stream.portraits import SIDE, better_portraits, cut_out
from facestream.stream.types import Floats
from facestream.testing.sessions import some_faces


def box(*edges: float) -> Floats:
    return np.array(edges, np.float32)


def test_a_portrait_shows_the_face_with_some_room_around_it() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    image[150:250, 150:250] = 255
    picture = cut_out(image, box(150, 150, 250, 250))
    assert picture is not None
    assert picture.shape == (180, 180, 3)
    assert picture[90, 90].tolist() == [255, 255, 255]
    assert picture[2, 2].tolist() == [0, 0, 0]


def test_a_portrait_is_small_however_large_the_face_is() -> None:
    picture = cut_out(np.zeros((2000, 3000, 3), np.uint8), box(0, 0, 2900, 1900))
    assert picture is not None
    assert max(picture.shape) == SIDE


def test_what_lies_beyond_the_frame_is_left_out() -> None:
    picture = cut_out(np.zeros((100, 100, 3), np.uint8), box(-40, -40, 40, 40))
    assert picture is not None
    assert picture.shape == (72, 72, 3)
    assert cut_out(np.zeros((100, 100, 3), np.uint8), box(300, 300, 400, 400)) is None


def test_only_better_pictures_are_made() -> None:
    faces = some_faces(count=3, size=(64, 48))
    faces.frame.image = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    faces.boxes[2] = np.nan
    looks = [Look("door", 0, 0, -1.0), Look("door", 1, 1, 0.999), Look("door", 2, 2, -1.0)]
    ((look, portrait),) = better_portraits(faces, looks)
    assert look.track == 0
    assert 0 <= portrait.quality < 0.999
    assert cv2.imdecode(np.frombuffer(portrait.jpeg, np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_face_that_is_covered_by_a_plain_box_has_a_picture_all_the_same() -> None:
    assert len(better_portraits(some_faces(), [Look("door", 0, 0, -1.0)])) == 1
