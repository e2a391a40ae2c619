from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.faces.aligned import align
from facestream.faces.crops import crop, crop_matrices
from facestream.faces.extracted import extracted_face, moved, picture_matrix, restored
from facestream.stream.types import Faces, Floats, Frame, FrameFaces, Masks
from facestream.testing.plugins import FACE_68


def face(x: float = 300, y: float = 200, side: float = 180, degrees: float = 15) -> Floats:
    """float32 (1, 68, 2): a face turned about its middle."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ((FACE_68 - 0.5) @ turn.T * side + (x, y)).astype(np.float32)[None]


def known(landmarks: Floats) -> Faces:
    box = np.concatenate([landmarks[0].min(axis=0), landmarks[0].max(axis=0)])[None]
    return Faces(boxes=np.rint(box).astype(np.float32), scores=np.ones(1, np.float32), landmarks=landmarks)


def picture(size: int = 512, name: str = "clip_000001_0.png") -> Frame:
    return Frame("faces", 0, 0, 0.0, 0.0, np.zeros((size, size, 3), np.uint8), name=name)


def test_the_middle_of_the_picture_is_the_skulls_and_the_eyes_lie_level_in_it() -> None:
    landmarks = face()
    found = extracted_face(picture(), known(landmarks), (640, 480)).landmarks
    assert found is not None
    right, left = found[0, 36:42].mean(axis=0), found[0, 42:48].mean(axis=0)
    assert abs(right[1] - left[1]) < 2
    assert abs((right[0] + left[0]) / 2 - 256) < 4


def test_a_face_picture_implies_the_crop_that_its_frame_implies() -> None:
    """The matrix from the picture to another crop, after the one from the frame to the picture."""
    landmarks = face()
    inside = extracted_face(picture(), known(landmarks), (640, 480))
    assert inside.landmarks is not None
    assert inside.frame.extracted is not None
    for centering in ("legacy", "face", "head"):
        direct = crop_matrices(align(landmarks), 256, centering)[0]
        again = crop_matrices(align(inside.landmarks), 256, centering)[0] @ inside.frame.extracted.matrix
        assert np.allclose(again, direct, atol=2e-3, rtol=1e-4)


@given(st.floats(-2000, 4000), st.floats(-2000, 4000), st.floats(20, 2000), st.floats(-180, 180), st.integers(64, 1024))
def test_there_and_back_is_where_it_was(x: float, y: float, side: float, degrees: float, size: int) -> None:
    landmarks = face(x, y, side, degrees)
    before = known(landmarks)
    before.masks = {"m": Masks("face", crop_matrices(align(landmarks), 128, "face"), np.zeros((1, 128, 128), np.uint8))}
    before.identities = {"i": np.ones((1, 4), np.float32)}
    after = restored(extracted_face(picture(size), before, (1920, 1080)))
    assert after.landmarks is not None
    assert np.abs(after.landmarks - landmarks).max() < 2e-3 * max(1, side / size)
    assert np.array_equal(after.boxes, before.boxes)
    probe = np.append(landmarks[0, 30], 1)
    assert np.abs((after.masks["m"].matrices - before.masks["m"].matrices) @ probe).max() < 0.1
    assert after.identities["i"].tolist() == [[1, 1, 1, 1]]


def test_a_picture_of_another_size_is_the_same_picture_scaled() -> None:
    small, large = picture_matrix(face()[0], 256), picture_matrix(face()[0], 512)
    assert np.allclose(small[:2] * 2, large[:2], atol=1e-3)


def test_a_box_becomes_the_level_box_around_its_turned_corners() -> None:
    quarter = np.array([[0, -1, 100], [1, 0, 0], [0, 0, 1]], np.float64)
    turned = moved(Faces(boxes=np.array([[10, 20, 40, 30]], np.float32), scores=np.ones(1, np.float32)), quarter)
    assert turned.boxes.tolist() == [[70, 10, 80, 40]]


def test_what_is_no_face_picture_is_refused() -> None:
    wide = Frame("faces", 0, 0, 0.0, 0.0, np.zeros((100, 200, 3), np.uint8), name="wide.png")
    with pytest.raises(ValueError, match=r"wide\.png isn't a face picture: 200x100"):
        extracted_face(wide, known(face()), (640, 480))
    with pytest.raises(ValueError, match="one face with landmarks"):
        extracted_face(picture(), Faces(), (640, 480))
    with pytest.raises(ValueError, match="isn't a face picture"):
        restored(FrameFaces(frame=picture()))


def test_the_pixels_of_a_picture_lie_where_its_landmarks_say() -> None:
    """A white dot on the nose of the frame is on the nose of the picture."""
    landmarks = face()
    image = np.zeros((480, 640, 3), np.uint8)
    x, y = np.rint(landmarks[0, 30]).astype(int)
    landmarks[0, 30] = x, y
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    cut = crop(image, picture_matrix(landmarks[0], 512).astype(np.float32), 512)
    frame = Frame("faces", 0, 0, 0.0, 0.0, cut)
    found = extracted_face(frame, known(landmarks), (640, 480)).landmarks
    assert found is not None
    rows, columns = np.nonzero(cut[..., 0] > 128)
    assert np.abs(np.array([columns.mean(), rows.mean()]) - found[0, 30]).max() < 0.5
