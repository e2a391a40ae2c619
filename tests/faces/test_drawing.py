import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facestream.faces import pose
from facestream.faces.aligned import align, transform
from facestream.faces.crops import crop, crop_matrices, original_roi
from facestream.faces.drawing import BLUE, GREEN, ORANGE, RED, WHITE, YELLOW, Colour, draw_face, draw_frame
from facestream.faces.landmarks import PARTS, LandmarkType
from facestream.faces.meanface import MEAN_FACE
from facestream.stream.types import Faces, Floats, Image

GREY = np.full((700, 900, 3), 90, np.uint8)


def faces_of(landmarks: Floats) -> Faces:
    low, high = landmarks.min(axis=1), landmarks.max(axis=1)
    return Faces(boxes=np.concatenate([low, high], axis=1), scores=np.ones(len(landmarks)), landmarks=landmarks)


def is_near(image: Image, point: np.ndarray, colour: Colour, reach: int = 2) -> bool:
    """Whether a pixel of nearly this colour lies within ``reach`` pixels of a point."""
    x, y = np.rint(point).astype(int)
    around = image[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].astype(int)
    return bool((np.abs(around - colour).max(axis=-1) < 60).any())


def golden_crop(landmarks: Floats, size: int = 512) -> Image:
    return crop(GREY, crop_matrices(align(landmarks), size, "head")[0], size)


@pytest.mark.parametrize("size", [256, 512, 1024])
def test_a_crop_shows_landmarks_boxes_and_axes_where_they_are(size: int, golden_landmarks: Floats) -> None:
    drawn = draw_face(golden_crop(golden_landmarks, size), faces_of(golden_landmarks), 0)
    points = transform(crop_matrices(align(golden_landmarks), size, "head"), golden_landmarks)[0]
    assert all(is_near(drawn, point, YELLOW) for point in points[[0, 8, 16, 19, 40, 46, 57]])
    for centering, colour in (("face", GREEN), ("legacy", RED)):
        shown = size * (1 - 0.625) / (1 - {"face": 0.5, "legacy": 0.375}[centering])  # spec §8.4
        shift = (align(golden_landmarks).offsets[centering] - align(golden_landmarks).offsets["head"])[0] * size * 0.375
        corner = (size - shown) / 2 + shift
        assert is_near(drawn, corner + 0.4 * shown * np.array([1, 0]), colour)
        assert is_near(drawn, corner + shown * np.array([1, 0.6]), colour)
    ends = pose.axes(pose.solve(transform(align(golden_landmarks).matrices, golden_landmarks)))[0]
    for end, colour in zip(ends, (BLUE, GREEN, RED)):
        place = size * 0.625 / 2 + end * size * 0.375
        assert is_near(drawn, 0.8 * place + 0.2 * size / 2, colour)


def test_text_is_written_at_the_top_left(golden_landmarks: Floats) -> None:
    drawn = draw_face(golden_crop(golden_landmarks), faces_of(golden_landmarks), 0)
    assert (drawn[:90, :120] == WHITE).all(axis=-1).sum() > 100


def test_a_frame_shows_boxes_parts_rois_and_axes(golden_landmarks: Floats) -> None:
    drawn = draw_frame(GREY, faces_of(golden_landmarks))
    left, top = golden_landmarks[0].min(axis=0)
    right, bottom = golden_landmarks[0].max(axis=0)
    assert is_near(drawn, np.array([left, (top + bottom) / 2]), WHITE)
    assert is_near(drawn, np.array([(left + right) / 2, bottom]), WHITE)
    for centering, colour in (("face", GREEN), ("head", ORANGE)):
        roi = original_roi(crop_matrices(align(golden_landmarks), 512, centering)[0], 512)
        assert is_near(drawn, (roi[0] + roi[1]) / 2, colour)
        assert is_near(drawn, (2 * roi[2] + roi[3]) / 3, colour)
    for part in PARTS[LandmarkType.IBUG].values():
        between = golden_landmarks[0, part.start : part.start + 2].mean(axis=0)
        x, y = np.rint(between).astype(int)
        assert (drawn[y - 1 : y + 2, x - 1 : x + 2] != 90).any()


def test_what_is_drawn_on_is_a_copy(golden_landmarks: Floats) -> None:
    frame, face = GREY.copy(), golden_crop(golden_landmarks)
    before = face.copy()
    assert (draw_frame(frame, faces_of(golden_landmarks)) != frame).any()
    assert (draw_face(face, faces_of(golden_landmarks), 0) != face).any()
    np.testing.assert_array_equal(frame, GREY)
    np.testing.assert_array_equal(face, before)


def test_a_frame_without_faces_stays_as_it_is() -> None:
    np.testing.assert_array_equal(draw_frame(GREY, Faces()), GREY)


def test_faces_without_landmarks_are_drawn_as_boxes() -> None:
    faces = Faces(boxes=np.array([(100, 120, 300, 400)], np.float32), scores=np.ones(1, np.float32))
    drawn = draw_frame(GREY, faces)
    assert is_near(drawn, np.array([300, 260]), WHITE)
    assert not is_near(drawn, np.array([200, 260]), WHITE)
    with pytest.raises(ValueError, match="needs its landmarks"):
        draw_face(GREY[:512, :512], faces, 0)


@pytest.mark.parametrize("points", [4, 51, 98])
def test_other_layouts_are_drawn_too(points: int) -> None:
    layouts = {4: np.array([(0, 0), (1, 0), (1, 1), (0, 1)]), 51: MEAN_FACE, 98: np.resize(MEAN_FACE, (98, 2))}
    landmarks = (layouts[points][None] * 200 + (300, 200)).astype(np.float32)
    assert (draw_frame(GREY, faces_of(landmarks)) != GREY).any()
    assert (draw_face(golden_crop(landmarks), faces_of(landmarks), 0) != 90).any()


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (2, 68, 2), elements=st.floats(width=32)), arrays(np.float32, (2, 4)))
def test_any_landmarks_and_boxes_can_be_drawn(landmarks: Floats, boxes: Floats) -> None:
    faces = Faces(boxes=boxes, scores=np.ones(2, np.float32), landmarks=landmarks)
    image = np.zeros((40, 60, 3), np.uint8)
    assert draw_frame(image, faces).shape == image.shape
    assert draw_face(image[:40, :40], faces, 1).shape == (40, 40, 3)


@pytest.mark.parametrize("shape", [(0, 0, 3), (1, 1, 3), (3, 900, 3)])
def test_odd_frames_can_be_drawn_on(shape: tuple[int, ...], golden_landmarks: Floats) -> None:
    assert draw_frame(np.zeros(shape, np.uint8), faces_of(golden_landmarks)).shape == shape


def test_a_frame_may_lie_reversed_in_memory(golden_landmarks: Floats) -> None:
    mirrored = cv2.flip(GREY, 1)[:, ::-1]
    np.testing.assert_array_equal(
        draw_frame(mirrored, faces_of(golden_landmarks)), draw_frame(GREY, faces_of(golden_landmarks))
    )
