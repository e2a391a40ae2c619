from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from facestream.errors import ConfigError, FileFormatError, ModelError
from facestream.io.gallery import Gallery
from facestream.io.user_data import people_file
from facestream.jobs.people import People, gallery_threshold, weights_hash
from facestream.plugins.identity.cards import SFACE
from facestream.stream.device import Bridge
from facestream.stream.types import Floats


def embeddings(count: int = 1, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, 128)).astype(np.float32)


@pytest_asyncio.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge() as bridge:
        yield bridge


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


@pytest_asyncio.fixture
async def people(bridge: Bridge, path: Path) -> AsyncIterator[People]:
    async with People.open(bridge, SFACE, path) as people:
        yield people


def recognised(people: People, face: Floats) -> list[str | None]:
    return [person and person.name for person in people.known.match(face)]


async def test_who_is_added_is_known_at_once(people: People) -> None:
    face = embeddings()
    assert people.known.empty
    assert await people.add("Ada", face) == 1
    assert recognised(people, face) == ["Ada"]
    assert [person.name for person in await people.list()] == ["Ada"]


async def test_what_becomes_of_people(people: People) -> None:
    ada, bob = embeddings(2)[:, None]
    await people.add("Ada", ada)
    await people.add("Bob", bob)
    await people.rename("Bob", "Charles")
    assert recognised(people, bob) == ["Charles"]
    await people.merge("Charles", "Ada")
    assert len(people.known.looks_of("Ada")) == 2
    await people.remove("Ada")
    assert people.known.empty


async def test_the_user_is_told_what_cant_be(people: People) -> None:
    with pytest.raises(ConfigError, match="nobody called"):
        await people.remove("Ada")
    with pytest.raises(ConfigError, match="empty"):
        await people.add(" ", embeddings())


async def test_what_another_process_has_changed_is_seen_on_refreshing(people: People, path: Path) -> None:
    assert not await people.refresh()
    with Gallery.open(path) as other:
        other.add("Ada", embeddings(), model=people.model, sha256=people.sha256)
    assert people.known.empty
    assert await people.refresh()
    assert people.known.names == ("Ada",)
    assert not await people.refresh()


async def test_its_own_changes_are_no_news(people: People) -> None:
    await people.add("Ada", embeddings())
    assert not await people.refresh()


async def test_people_are_there_when_it_opens_again(bridge: Bridge, path: Path) -> None:
    async with People.open(bridge, SFACE, path) as people:
        await people.add("Ada", embeddings())
    async with People.open(bridge, SFACE, path) as people:
        assert people.known.names == ("Ada",)


async def test_embeddings_of_other_weights_recognise_nobody(bridge: Bridge, path: Path) -> None:
    async with People.open(bridge, SFACE, path) as people:
        await people.add("Ada", embeddings())
    other = replace(SFACE, files=(replace(SFACE.files[0], sha256="ab" * 32),))
    async with People.open(bridge, other, path) as people:
        assert people.known.empty
        assert [person.name for person in await people.list()] == ["Ada"]


async def test_a_deleted_gallery_is_gone_and_a_new_one_begins(people: People, path: Path) -> None:
    await people.add("Ada", embeddings())
    for file in path.parent.iterdir():
        file.unlink()
    assert await people.refresh()
    assert people.known.empty
    await people.add("Bob", embeddings())
    with Gallery.open(path) as other:
        assert [person.name for person in other.people()] == ["Bob"]


async def test_a_cancelled_wait_still_does_the_work(people: People) -> None:
    adding = asyncio.create_task(people.add("Ada", embeddings()))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    await people.refresh()
    assert people.known.names == ("Ada",)


async def test_closing_twice_is_closing(bridge: Bridge, path: Path) -> None:
    async with People.open(bridge, SFACE, path) as people:
        await people.aclose()
        await people.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await people.list()


async def test_a_file_that_is_no_gallery_is_refused(bridge: Bridge) -> None:
    with pytest.raises(FileFormatError, match="isn't a gallery"):
        async with People.open(bridge, SFACE, Path(__file__)):
            pass


async def test_the_users_own_gallery_is_the_default(
    bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path / "data"))
    async with People.open(bridge, SFACE) as people:
        assert people.path == people_file() == tmp_path / "data" / "people.db"


def test_a_gallery_is_stricter_than_two_faces() -> None:
    assert SFACE.threshold is not None
    assert SFACE.threshold < gallery_threshold(SFACE) < 0.43


def test_embeddings_are_filed_under_their_weights() -> None:
    (file,) = SFACE.files
    assert weights_hash(SFACE) == file.sha256
    two = weights_hash(replace(SFACE, files=(file, file)))
    assert len(two) == 64
    assert two != file.sha256
    with pytest.raises(ModelError, match="no known hash"):
        weights_hash(replace(SFACE, name="nobody-knows", files=(replace(file, sha256=""),)))
