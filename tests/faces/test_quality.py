from dataclasses import replace

import cv2
import numpy as np
import pytest

from facestream.faces.aligned import align
from facestream.faces.quality import picture_quality
from facestream.stream.types import Frame, FrameFaces, Image
from facestream.testing.plugins import FACE_68, in_boxes

SHARP = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)


def quality(
    box: tuple[float, float, float, float] = (100, 50, 300, 250),
    image: Image = SHARP,
    *,
    score: float = 1.0,
    pose: tuple[float, float, float] | None = None,
) -> float:
    boxes = np.array([box], np.float32)
    faces = FrameFaces(frame=Frame("a", 0, 0, 0.0, 0.0, image), boxes=boxes, scores=np.array([score], np.float32))
    if pose is not None:
        faces.landmarks = in_boxes(FACE_68, boxes)
        faces.aligned = replace(align(faces.landmarks), pose=np.array([pose], np.float32))
    (found,) = picture_quality(faces).tolist()
    return float(found)


def test_a_large_sharp_whole_certain_face_is_as_good_as_can_be() -> None:
    assert quality() == pytest.approx(1.0)
    assert quality(pose=(0, 0, 30)) == pytest.approx(1.0)


def test_small_faces_tell_less() -> None:
    sizes = [quality((100, 50, 100 + size, 50 + size)) for size in (10, 20, 50, 100)]
    assert sizes == sorted(sizes)
    assert sizes[1] == pytest.approx(np.sqrt(20 / 112), rel=0.01)


@pytest.mark.parametrize("angles", [(1, 0), (0, 1), (-1, 0), (0, -1)])
def test_turned_faces_tell_less_and_profiles_nothing(angles: tuple[int, int]) -> None:
    turned = [quality(pose=(angles[0] * angle, angles[1] * angle, 0)) for angle in (0, 30, 60, 75, 90)]
    assert turned == sorted(turned, reverse=True)
    assert turned[-2:] == [0, 0]


def test_blurred_faces_tell_less_whatever_the_light() -> None:
    marks = [quality(image=np.asarray(cv2.GaussianBlur(SHARP, (0, 0), blur), np.uint8)) for blur in (1, 4, 8, 16)]
    assert marks == sorted(marks, reverse=True)
    assert marks[-1] < 0.3 * marks[0]
    blurred = np.asarray(cv2.GaussianBlur(SHARP, (0, 0), 8), np.uint8)
    brighter = np.asarray(cv2.convertScaleAbs(blurred, alpha=1.5), np.uint8)
    assert quality(image=brighter) == pytest.approx(quality(image=blurred), rel=0.1)


def test_a_face_that_is_cut_off_tells_less() -> None:
    assert quality((-100, 50, 100, 250)) == pytest.approx(0.25)
    assert quality((-500, -500, -300, -300)) == 0


def test_an_uncertain_face_tells_less() -> None:
    assert quality(score=0.5) == pytest.approx(0.5)


def test_a_picture_without_any_contrast_tells_nothing() -> None:
    assert quality(image=np.full_like(SHARP, 80)) == 0


def test_no_faces_are_an_answer() -> None:
    assert picture_quality(FrameFaces(frame=Frame("a", 0, 0, 0.0, 0.0, SHARP))).shape == (0,)
