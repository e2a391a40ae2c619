"""What every registered detector does."""

from typing import Any

import cv2
import numpy as np
import pytest

from facestream.errors import DeviceError, ModelError
from facestream.plugins import registry
from facestream.plugins.nms import box_iou
from tests.plugins.conftest import Load, detect


@pytest.fixture(params=registry.names("detect"), scope="module")
def detector(request: pytest.FixtureRequest, load: Load) -> Any:
    return load("detect", request.param, size=320)


def test_finds_the_five_people(detector: Any, photo: np.ndarray) -> None:
    (found,) = detect(detector, photo)
    assert len(found.boxes) == 5
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores > 0) & (found.scores <= 1)).all()


def test_the_five_points_are_on_the_face_in_their_places(detector: Any, photo: np.ndarray) -> None:
    (found,) = detect(detector, photo)
    right_eye, left_eye, nose, right_mouth, left_mouth = np.moveaxis(found.points, 1, 0)
    assert (right_eye[:, 0] < nose[:, 0]).all()
    assert (nose[:, 0] < left_eye[:, 0]).all()
    assert (right_mouth[:, 0] < left_mouth[:, 0]).all()
    assert (np.maximum(right_eye, left_eye)[:, 1] < nose[:, 1]).all()
    assert (nose[:, 1] < np.minimum(right_mouth, left_mouth)[:, 1]).all()


def test_finds_nothing_in_a_blank_picture(detector: Any) -> None:
    (found,) = detect(detector, np.full((90, 120, 3), 127, np.uint8))
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == (0,)


def test_an_empty_batch_is_a_batch(detector: Any) -> None:
    assert detect(detector) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (333, 7), (37, 41)])
def test_odd_sizes_pass(detector: Any, size: tuple[int, int]) -> None:
    assert len(detect(detector, np.zeros((*size, 3), np.uint8))) == 1


def test_a_batch_equals_its_singles(detector: Any, photo: np.ndarray) -> None:
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    singles = [detect(detector, image)[0] for image in (photo, mirrored)]
    for single, together in zip(singles, detect(detector, photo, mirrored)):
        np.testing.assert_allclose(together.boxes, single.boxes, atol=0.01)
        np.testing.assert_allclose(together.scores, single.scores, atol=1e-4)


def test_frames_of_different_sizes_share_a_batch(detector: Any, photo: np.ndarray) -> None:
    tall = np.ascontiguousarray(photo[:, 150:480])
    first, second = detect(detector, photo, tall)
    assert len(first.boxes) == 5
    assert box_iou(first.boxes, second.boxes + np.float32([150, 0, 150, 0])).max(axis=1).max() > 0.7


def test_boxes_are_in_the_frames_own_pixels(detector: Any, photo: np.ndarray) -> None:
    double = cv2.resize(photo, None, fx=2, fy=2)
    (small,), (large,) = detect(detector, photo), detect(detector, double)
    assert box_iou(small.boxes * 2, large.boxes).max(axis=1).min() > 0.85


def test_a_model_that_is_not_loaded_says_so() -> None:
    detector = registry.create("detect", "yunet")
    with pytest.raises(ModelError, match=r"yunet: load\(\) it before use"):
        detect(detector, np.zeros((32, 32, 3), np.uint8))


def test_a_device_that_is_not_there_is_named(load: Load) -> None:
    load("detect", "yunet")
    with pytest.raises(DeviceError, match="device 'cuda:99' can't be used"):
        registry.create("detect", "yunet").load("cuda:99")
