from __future__ import annotations

import numpy as np
import pytest

from facestream.stream.device import Bridge
from facestream.stream.region import moved, pixels_of
from facestream.stream.stage import Stage
from facestream.stream.types import Detections, Image
from facestream.testing.plugins import FakeDetector
from facestream.tests.stream.build import frame


@pytest.mark.parametrize(
    ("shares", "pixels"),
    [
        ((0, 0, 1, 1), (0, 0, 640, 360)),
        ((0.5, 0, 1, 0.5), (320, 0, 640, 180)),
        ((0.999, 0.999, 1, 1), (639, 359, 640, 360)),
        ((0, 0, 1e-9, 1e-9), (0, 0, 1, 1)),
    ],
)
def test_shares_become_whole_pixels_and_never_none(
    shares: tuple[float, float, float, float], pixels: tuple[int, int, int, int]
) -> None:
    assert pixels_of(shares, (640, 360)) == pixels


def test_detections_move_to_the_frames_pixels() -> None:
    found = Detections(np.array([[1, 2, 3, 4]], np.float32), np.ones(1, np.float32), np.ones((1, 5, 2), np.float32))
    there = moved(found, (10, 20, 50, 60))
    assert there.boxes.tolist() == [[11, 22, 13, 24]]
    assert there.points is not None
    assert there.points[0, 0].tolist() == [11, 21]
    assert moved(found, None) is found


def test_a_frame_shows_its_region_without_copying_it() -> None:
    whole = frame()
    whole.image[5, 7] = 200
    whole.region = (7, 5, 20, 20)
    assert whole.view[0, 0].tolist() == [200, 200, 200]
    assert np.shares_memory(whole.view, whole.image)
    whole.region = None
    assert whole.view is whole.image


async def test_a_detector_sees_the_region_and_its_faces_are_in_the_frame() -> None:
    seen: list[tuple[int, ...]] = []

    def boxes(image: Image) -> list[tuple[int, int, int, int]]:
        seen.append(image.shape)
        return [(1, 1, 9, 9)]

    cropped, whole = frame("a"), frame("b")
    cropped.region = (10, 4, 30, 24)
    async with Bridge(torch_threads=1) as bridge:
        stage = Stage.detect(FakeDetector(boxes), bridge)
        there, everywhere = await stage.process_one(cropped), await stage.process_one(whole)
    assert seen == [(20, 20, 3), (24, 32, 3)]
    assert there.boxes.tolist() == [[11, 5, 19, 13]]
    assert everywhere.boxes.tolist() == [[1, 1, 9, 9]]
    assert there.frame.image.shape == (24, 32, 3)
