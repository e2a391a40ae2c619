from __future__ import annotations

import cv2
import numpy as np
import pytest

from facestream.faces.anonymise import CELLS, Cover, box_region, covered, face_regions
from facestream.faces.masks import landmark_masks
from facestream.stream.types import Bools, Faces, Floats, Image, Masks

SIZE = (640, 480)
every_cover = pytest.mark.parametrize("cover", list(Cover))


def noise() -> Image:
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def boxed(*boxes: tuple[float, float, float, float]) -> Faces:
    return Faces(boxes=np.array(boxes, np.float32).reshape(-1, 4), scores=np.ones(len(boxes), np.float32))


def landmarked(landmarks: Floats) -> Faces:
    boxes = np.concatenate([landmarks.min(axis=1), landmarks.max(axis=1)], axis=1)
    return Faces(boxes=boxes, scores=np.ones(len(boxes), np.float32), landmarks=landmarks)


def hidden(faces: Faces, cover: Cover = Cover.BLUR) -> Bools:
    """bool (480, 640): which pixels are another's than the face's own."""
    image = noise()
    return np.asarray((covered(image, face_regions(faces, SIZE), cover) != image).any(axis=2))


@every_cover
def test_the_given_picture_is_left_as_it_is(cover: Cover) -> None:
    image = noise()
    image.setflags(write=False)
    result = covered(image, face_regions(boxed((100, 100, 180, 200)), SIZE), cover)
    assert np.array_equal(image, noise())
    assert not np.shares_memory(result, image)


@every_cover
def test_the_whole_box_of_a_face_without_landmarks_is_covered_and_a_margin(cover: Cover) -> None:
    area = hidden(boxed((100, 100, 180, 200)), cover)
    assert area[90:210, 90:190].mean() > 0.99
    assert not area[:80].any()
    assert not area[:, 220:].any()


@every_cover
def test_every_landmark_and_the_forehead_are_covered(cover: Cover, golden_landmarks: Floats) -> None:
    area = cv2.dilate(hidden(landmarked(golden_landmarks), cover).astype(np.uint8), np.ones((3, 3), np.uint8))
    inside = ((golden_landmarks[0] >= 0) & (golden_landmarks[0] < SIZE)).all(axis=1)
    for x, y in golden_landmarks[0][inside].astype(int):
        assert area[y, x]
    brows, chin = golden_landmarks[0, 17:27].mean(axis=0), golden_landmarks[0, 8]
    x, y = (brows + 0.3 * (brows - chin)).astype(int)
    assert area[y, x]


@pytest.mark.parametrize("edge", [40, 120, 360])
@pytest.mark.parametrize("cover", [Cover.BLUR, Cover.PIXELATE])
def test_no_more_of_a_face_is_left_than_a_few_averages_whatever_its_size(cover: Cover, edge: int) -> None:
    image = noise() // 4 + np.where(np.arange(640) // (edge // 20) % 2, 150, 0).astype(np.uint8)[None, :, None]
    region = box_region(np.array([60, 60, 60 + edge, 60 + edge], np.float32), SIZE)
    assert region is not None
    result = covered(image, [region], cover)[60 : 60 + edge, 60 : 60 + edge]
    if cover is Cover.PIXELATE:
        assert len(np.unique(result.reshape(-1, 3), axis=0)) <= (CELLS[cover] + 2) ** 2
    else:
        fine = result.astype(np.float32) - cv2.GaussianBlur(result, (0, 0), edge / CELLS[cover] / 3)
        assert np.abs(fine).mean() < 2
    assert result.std() < 0.5 * image.std()


def test_a_box_leaves_nothing() -> None:
    image = noise()
    result = covered(image, face_regions(boxed((100, 100, 180, 200)), SIZE), Cover.BOX)
    assert len(np.unique(result[100:200, 100:180])) == 1


def test_a_small_face_is_covered_too() -> None:
    assert hidden(boxed((100, 100, 107, 109)))[100:109, 100:107].all()


@every_cover
def test_faces_that_the_frame_cuts_off_are_covered_as_far_as_they_show(cover: Cover) -> None:
    area = hidden(boxed((-40, -30, 40, 50), (620, 440, 700, 540)), cover)
    assert area[:50, :40].mean() > 0.99
    assert area[445:, 625:].mean() > 0.99


def test_a_face_outside_the_frame_changes_nothing() -> None:
    assert not hidden(boxed((-300, -300, -200, -200), (900, 100, 1000, 200))).any()
    assert not hidden(boxed()).any()


def test_only_the_wanted_faces_are_covered() -> None:
    faces = boxed((50, 50, 100, 100), (300, 300, 350, 350))
    (region,) = face_regions(faces, SIZE, np.array([False, True]))
    assert region.left > 250


def test_a_face_whose_landmarks_arent_finite_is_covered_by_its_box(golden_landmarks: Floats) -> None:
    faces = landmarked(golden_landmarks)
    faces.landmarks = np.full_like(golden_landmarks, np.nan)
    faces.boxes = np.array([[200, 100, 300, 220]], np.float32)
    assert hidden(faces)[100:220, 200:300].all()


def test_a_face_of_which_nothing_is_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="finite"):
        face_regions(boxed((np.nan, 0, 10, 10)), SIZE)


def test_landmarks_beyond_all_measure_do_no_harm() -> None:
    wild = np.random.default_rng(1).normal(0, 1e7, (1, 68, 2)).astype(np.float32)
    faces = Faces(boxes=np.array([[10, 10, 50, 50]], np.float32), scores=np.ones(1, np.float32), landmarks=wild)
    assert hidden(faces)[15:45, 15:45].all()


def test_where_there_is_a_mask_it_is_what_is_covered(golden_landmarks: Floats) -> None:
    faces = landmarked(golden_landmarks)
    without = hidden(faces)
    faces.masks["components"] = masks = landmark_masks(golden_landmarks, size=128)
    area = hidden(faces)
    assert area.sum() < without.sum()
    to_frame = np.linalg.inv(masks.matrices[0].astype(np.float64))
    full = cv2.warpAffine(masks.masks[0], to_frame[:2], SIZE) > 128
    assert area[full].mean() > 0.99
    assert area.sum() > 1.1 * full.sum()


def test_a_box_is_no_larger_than_the_mask(golden_landmarks: Floats) -> None:
    faces = landmarked(golden_landmarks)
    faces.masks["components"] = landmark_masks(golden_landmarks, size=128)
    (region,) = face_regions(faces, SIZE)
    assert region.area.any(axis=0).all()
    assert region.area.any(axis=1).all()
    assert hidden(faces, Cover.BOX).sum() <= 1.01 * region.area.size


@pytest.mark.parametrize("name", ["eye", "mouth"])
def test_a_mask_of_a_part_of_the_face_isnt_taken_for_it(name: str, golden_landmarks: Floats) -> None:
    faces = landmarked(golden_landmarks)
    without = hidden(faces)
    faces.masks[name] = landmark_masks(golden_landmarks, name, size=128)
    assert np.array_equal(hidden(faces), without)


def test_a_mask_that_a_face_hasnt_got_isnt_asked(golden_landmarks: Floats) -> None:
    faces = landmarked(golden_landmarks)
    without = hidden(faces)
    faces.masks["none"] = Masks("face", np.full((1, 3, 3), np.nan, np.float32), np.zeros((1, 64, 64), np.uint8))
    assert np.array_equal(hidden(faces), without)


def test_two_faces_over_each_other_are_both_made_from_the_original() -> None:
    image = noise()
    regions = face_regions(boxed((100, 100, 180, 200), (150, 120, 230, 220)), SIZE)
    one_by_one = covered(image, regions[1:], Cover.PIXELATE)
    together = covered(image, regions, Cover.PIXELATE)
    second = regions[1]
    place = np.s_[second.top : second.top + second.area.shape[0], second.left : second.left + second.area.shape[1]]
    assert np.array_equal(together[place], one_by_one[place])
