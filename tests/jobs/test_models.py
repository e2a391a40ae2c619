from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

import facestream
from facestream.errors import ConfigError
from facestream.jobs.models import ModelChoices, ModelOptions


async def faces_in(path: Path, **options: object) -> int:
    return sum([len(faces) async for faces in facestream.extract(path, **options)])  # type: ignore[arg-type]


@pytest.mark.usefixtures("weights")
async def test_people_lying_on_their_side_are_found_when_asked_for(five_faces: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(five_faces))
    assert image is not None
    cv2.imwrite(str(tmp_path / "turned.png"), cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE))
    assert await faces_in(tmp_path, rotate_images="90") == 5


@pytest.mark.usefixtures("weights")
async def test_faces_outside_the_limits_are_left_out(five_faces: Path) -> None:
    assert await faces_in(five_faces, min_size=100) == 0
    assert await faces_in(five_faces, min_size=1, max_size=100) == 5


@pytest.mark.usefixtures("weights")
async def test_angles_that_are_not_angles_are_refused(five_faces: Path) -> None:
    with pytest.raises(ConfigError, match="sideways"):
        await faces_in(five_faces, rotate_images="sideways")


class TestFaceModels:
    def test_landmarks_come_first_then_masks_then_identities_each_once(self) -> None:
        options = ModelOptions(masks=("skin", "hair", "skin"), identity=("sface", "other"))
        assert options.face_models == [
            ("align", "mesh"),
            ("mask", "skin"),
            ("mask", "hair"),
            ("identity", "sface"),
            ("identity", "other"),
        ]

    def test_one_identity_needs_no_tuple_and_none_is_no_model(self) -> None:
        assert ModelOptions(aligner=None, identity="sface").face_models == [("identity", "sface")]
        assert ModelOptions(aligner="none", identity="none", masks=("none",)).face_models == []

    def test_masks_without_landmarks_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="choose an aligner"):
            _ = ModelOptions(aligner="none", masks=("skin",)).face_models


def test_every_option_of_the_models_can_be_given_as_a_keyword() -> None:
    assert list(ModelChoices.__annotations__) == [field.name for field in fields(ModelOptions)]


def test_lists_of_names_may_be_any_sequence() -> None:
    options = ModelOptions.chosen({"masks": ["one", "two"], "identity": ["sface"]})
    assert options == ModelOptions(masks=("one", "two"), identity=("sface",))


@pytest.mark.usefixtures("weights")
async def test_extract_takes_the_refinement_of_landmarks(five_faces: Path) -> None:
    assert await faces_in(five_faces, re_feed=1, re_align=True, normalization="clahe", align_filters=True) == 5


async def test_extract_has_no_file_of_known_faces(five_faces: Path) -> None:
    with pytest.raises(ConfigError, match="--detector file"):
        await faces_in(five_faces, detector="file")


@pytest.mark.usefixtures("weights")
async def test_models_on_two_devices_find_what_they_find_on_one(five_faces: Path, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jpg").symlink_to(five_faces)
    found = [
        [faces.landmarks async for faces in facestream.extract(tmp_path, device=device, batch_size=1)]
        for device in ("cpu", "cpu,cpu")
    ]
    assert len(found[0]) == len(found[1]) == 3
    assert np.allclose(np.stack(found[0]), np.stack(found[1]), atol=0.01)


async def test_devices_of_several_kinds_are_refused(five_faces: Path) -> None:
    with pytest.raises(ConfigError, match="of one kind"):
        await faces_in(five_faces, device="cpu,cuda")
