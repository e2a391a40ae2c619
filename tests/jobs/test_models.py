from __future__ import annotations

from pathlib import Path

import cv2
import pytest

import facestream
from facestream.errors import ConfigError

pytestmark = pytest.mark.usefixtures("weights")


async def faces_in(path: Path, **options: object) -> int:
    return sum([len(faces) async for faces in facestream.extract(path, **options)])  # type: ignore[arg-type]


async def test_people_lying_on_their_side_are_found_when_asked_for(five_faces: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(five_faces))
    assert image is not None
    cv2.imwrite(str(tmp_path / "turned.png"), cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE))
    assert await faces_in(tmp_path, rotate_images="90") == 5


async def test_faces_outside_the_limits_are_left_out(five_faces: Path) -> None:
    assert await faces_in(five_faces, min_size=100) == 0
    assert await faces_in(five_faces, min_size=1, max_size=100) == 5


async def test_angles_that_are_not_angles_are_refused(five_faces: Path) -> None:
    with pytest.raises(ConfigError, match="sideways"):
        await faces_in(five_faces, rotate_images="sideways")
