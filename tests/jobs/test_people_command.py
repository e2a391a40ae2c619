from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import SourceError
from facestream.io.gallery import Gallery
from facestream.jobs.people_command import AddOptions, add
from facestream.stream.types import Floats
from tests.jobs.test_people_photos import Models, face_picture, photo


def face(*values: float) -> Floats:
    return np.array(values, np.float32)


async def added(folder: Path, *photos: Path, name: str = "Ada", force: bool = False) -> list[str]:
    said: list[str] = []
    options = AddOptions(name=name, photos=photos, force=force, people=folder / "people.db", device="cpu")
    await add(options, said.append, load=Models().load)
    return said


async def test_what_was_added_is_said_and_photos_count_once(tmp_path: Path) -> None:
    first = face_picture(tmp_path / "1.png", face(1, 2, 3, 4))
    second = face_picture(tmp_path / "2.png", face(1, 2, 3, 5))
    assert await added(tmp_path, first) == ["Ada: 1 picture added; 1 in all"]
    said = await added(tmp_path, first, second, name="ada")
    assert said == ["Ada: 1 picture added, 1 picture known already; 2 in all"]


async def test_pictures_that_arent_like_most_are_left_out_unless_forced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [face(1, 0, 0, 0), face(9, 1, 0, 0), face(0, 0, 1, 0)]
    pictures = [face_picture(tmp_path / f"{number}.png", row) for number, row in enumerate(rows)]
    with caplog.at_level(logging.WARNING):
        assert await added(tmp_path, *pictures) == ["Ada: 2 pictures added, 1 left out; 2 in all"]
    assert f"left out: not like most of these pictures: {pictures[2]}; --force adds them, too" in caplog.text
    with caplog.at_level(logging.WARNING):
        said = await added(tmp_path, *pictures, force=True)
    assert said == ["Ada: 1 picture added, 2 pictures known already; 3 in all"]
    assert "these pictures look like 2 different people; added all the same" in caplog.text


async def test_of_different_people_in_equally_many_pictures_none_is_added_unless_forced(tmp_path: Path) -> None:
    pictures = [face_picture(tmp_path / f"{number}.png", row) for number, row in enumerate(np.eye(2, 4))]
    with pytest.raises(SourceError, match="these 2 pictures look like different people"):
        await added(tmp_path, *pictures)
    with Gallery.open(tmp_path / "people.db") as gallery:
        assert gallery.people() == []
    assert await added(tmp_path, *pictures, force=True) == ["Ada: 2 pictures added; 2 in all"]


async def test_pictures_like_somebody_else_are_told_and_added(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = face_picture(tmp_path / "1.png", face(1, 0, 0, 0))
    with caplog.at_level(logging.WARNING):
        assert await added(tmp_path, picture) == ["Ada: 1 picture added; 1 in all"]
        assert await added(tmp_path, picture, name="Bob") == ["Bob: 1 picture added; 1 in all"]
    assert "1 picture of 1 looks like Ada, who is in the gallery; added all the same" in caplog.text


async def test_without_one_photo_that_can_be_used_nobody_is_added(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SourceError, match="none of the 2 pictures can be used, so nobody was added"):
        await added(tmp_path, photo(tmp_path / "two.png", 2), photo(tmp_path / "none.png", 0))
    assert len([record for record in caplog.records if record.message.startswith("not used: ")]) == 2
    with Gallery.open(tmp_path / "people.db") as gallery:
        assert gallery.people() == []


async def test_another_models_embedding_in_a_header_isnt_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good, other = (face_picture(tmp_path / f"{width}.png", np.ones(width, np.float32)) for width in (4, 6))
    assert await added(tmp_path, good, other) == ["Ada: 1 picture added; 1 in all"]
    assert f"{other}: its header's embedding is another model's" in caplog.text
    with pytest.raises(SourceError, match="the picture can't be used"):
        await added(tmp_path, other)
