from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.jobs.models import FILE, ModelOptions
from facestream.jobs.naming import Naming, naming_for, tracks_for
from facestream.jobs.people import People
from facestream.plugins import registry
from facestream.stream.device import Bridge
from facestream.stream.known_people import KnownPeople
from facestream.stream.types import Floats, FrameFaces, Recognised
from facestream.tests.stream.build import frame

LOOKS: Floats = np.eye(128, dtype=np.float32)
SFACE = ModelOptions(identity="sface")
ADA = Recognised("ada", 0.9)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=1) as bridge:
        yield bridge


@pytest.fixture
async def path(bridge: Bridge, tmp_path: Path) -> Path:
    path = tmp_path / "people.db"
    async with People.open(bridge, registry.card("identity", "sface"), path) as people:
        await people.add("ada", LOOKS[:2])
    return path


def result(name: str | None = None, people: tuple[Recognised | None, ...] | None = None) -> FrameFaces:
    return FrameFaces(
        frame=replace(frame("clip"), name=name),
        boxes=np.zeros((2, 4), np.float32),
        scores=np.ones(2, np.float32),
        identities={"sface": LOOKS[[0, 5]]},
        people=people,
    )


def names(faces: FrameFaces) -> list[str | None]:
    return [person and person.name for person in faces.people or ()]


async def test_faces_of_pictures_are_named_each_by_itself(bridge: Bridge, path: Path) -> None:
    naming = await naming_for(bridge, SFACE, path)
    assert naming is not None
    assert names(naming.apply(result("a.jpg"))) == ["ada", None]
    assert names(naming.apply(result("a.jpg", people=(None, ADA)))) == ["ada", None]


async def test_faces_of_a_video_are_named_by_their_tracks(bridge: Bridge, path: Path) -> None:
    naming = await naming_for(bridge, SFACE, path)
    assert naming is not None
    assert naming.recogniser is not None
    assert naming.recogniser is not naming.recogniser, "two jobs share nothing"
    assert names(naming.apply(result(people=(None, ADA)))) == [None, "ada"]


async def test_where_nothing_is_tracked_each_face_is_named_by_itself(bridge: Bridge, path: Path) -> None:
    for naming in (
        await naming_for(bridge, SFACE, path, track=False),
        await naming_for(bridge, replace(SFACE, detector=FILE), path),
    ):
        assert naming is not None
        assert naming.recogniser is None
        assert names(naming.apply(result())) == ["ada", None]


def test_a_result_without_that_embedding_has_no_names() -> None:
    naming = Naming(KnownPeople(LOOKS[:1], ["ada"], 0.4), "t-face", tracked=False)
    assert names(naming.apply(result())) == [None, None]


async def test_nobody_is_named_without_a_model_or_people(bridge: Bridge, path: Path, tmp_path: Path) -> None:
    assert await naming_for(bridge, ModelOptions(), path) is None
    async with People.open(bridge, registry.card("identity", "sface"), tmp_path / "empty.db"):
        pass
    assert await naming_for(bridge, SFACE, tmp_path / "empty.db") is None


async def test_a_gallery_that_was_named_must_be_there_and_the_users_own_need_not(
    bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigError, match="there is no gallery"):
        await naming_for(bridge, SFACE, tmp_path / "nowhere.db")
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path))
    assert await naming_for(bridge, SFACE) is None
    assert not (tmp_path / "people.db").exists()
    (tmp_path / "people.db").write_bytes(b"no database" * 100)
    with caplog.at_level(logging.WARNING):
        assert await naming_for(bridge, SFACE) is None
    assert "nobody is recognised" in caplog.text


def alike(cosine: float) -> Floats:
    """A look of that similarity to the first of LOOKS."""
    return np.asarray(cosine * LOOKS[:1] + np.sqrt(1 - cosine**2) * LOOKS[1:2], np.float32)


@pytest.mark.parametrize(("model", "threshold"), [("sface", 0.363), ("t-face", 0.6)])
def test_tracks_go_by_the_models_own_threshold(model: str, threshold: float) -> None:
    for cosine, same in ((threshold + 0.06, True), (threshold + 0.01, False)):
        tracks = tracks_for(ModelOptions(identity=model))
        ids = [
            tracks.update(
                FrameFaces(
                    frame=replace(frame("door"), seq=int(pts), pts=pts, captured_at=pts),
                    boxes=np.array([[100, 100, 160, 180]], np.float32),
                    scores=np.array([0.9], np.float32),
                    identities={model: look},
                )
            ).tolist()
            for pts, look in ((0.0, LOOKS[:1]), (30.0, alike(cosine)))
        ]
        assert (ids[0] == ids[1]) is same
