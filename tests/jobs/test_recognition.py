"""Live recognition on a real gallery; only the recogniser is a fake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.io.gallery import Gallery
from facestream.jobs.people import People, weights_hash
from facestream.jobs.recognition import CHECK_EVERY, LiveRecognition, somebody_known_to
from facestream.plugins.identity.cards import SFACE
from facestream.stream.device import Bridge
from facestream.stream.hub import Published
from facestream.stream.known_people import KnownPeople
from facestream.stream.recognition import Recogniser
from facestream.stream.tasks import task_group
from facestream.stream.types import Floats
from facestream.testing.sessions import some_faces

ADA, BOB = np.eye(2, 4, dtype=np.float32)
RESULT = Published(some_faces(), 1, 0.0)


class FakeRecogniser(Recogniser):
    """Sees Ada as face 7 at the door and Bob as face 8, of whom one picture was no good; face 9 it only glimpsed."""

    def __init__(self) -> None:
        super().__init__()
        self.known: KnownPeople | None = None
        self.told = asyncio.Event()

    def know(self, known: KnownPeople | None) -> None:  # type: ignore[override]
        self.known = known
        self.told.set()

    def looks_of(self, source: str, track: int) -> Floats:
        looks = {("door", 7): [ADA], ("door", 8): [BOB, BOB * np.nan, BOB * 0], ("door", 9): [BOB * np.nan]}
        return np.asarray(looks.get((source, track), np.zeros((0, 0))), np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        assert self.known is not None
        return self.known.names


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def recogniser() -> FakeRecogniser:
    return FakeRecogniser()


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=1, torch_threads=1) as bridge:
        yield bridge


@pytest.fixture
async def recognition(
    bridge: Bridge, path: Path, recogniser: FakeRecogniser, clock: Clock
) -> AsyncIterator[LiveRecognition]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[LiveRecognition]:
        async with People.open(bridge, SFACE, path) as people, task_group() as tasks:
            yield LiveRecognition(people, recogniser, tasks, clock)

    async with opened() as recognition:
        yield recognition


def by_another_process(path: Path, name: str) -> None:
    with Gallery.open(path) as gallery:
        gallery.add(name, BOB[None], model=SFACE.name, sha256=weights_hash(SFACE))


async def test_a_face_that_is_named_is_known_from_then_on(recognition, recogniser):
    assert recogniser.names == ()
    await recognition.name("door", 7, "Ada")
    assert recogniser.known.match(ADA[None])[0].name == "Ada"
    assert await recognition.list() == [("Ada", 1)]


async def test_only_good_looks_are_learnt(recognition):
    await recognition.name("door", 8, "Bob")
    assert await recognition.list() == [("Bob", 1)]


@pytest.mark.parametrize(("source", "track"), [("door", 9), ("door", 10), ("yard", 7)])
async def test_a_face_without_a_good_look_cannot_be_named(recognition, source, track):
    with pytest.raises(KeyError):
        await recognition.name(source, track, "Ada")
    assert await recognition.list() == []


async def test_a_name_has_to_be_one(recognition):
    with pytest.raises(ConfigError):
        await recognition.name("door", 7, " ")


async def test_renaming_merging_and_forgetting_show_at_once(recognition, recogniser):
    await recognition.name("door", 7, "Ada")
    await recognition.name("door", 8, "Bob")
    await recognition.rename("Ada", "Ada L")
    assert recogniser.names == ("Ada L", "Bob")
    await recognition.merge("Bob", "Ada L")
    assert recogniser.names == ("Ada L",)
    assert await recognition.list() == [("Ada L", 2)]
    await recognition.remove("Ada L")
    assert recogniser.known.empty


class Follower:
    def __init__(self) -> None:
        self.told: list[tuple[str, ...] | tuple[str, str, str | None]] = []

    def rename(self, name: str, to: str | None) -> None:
        self.told.append(("rename", name, to))

    def known(self, name: str) -> None:
        self.told.append(("known", name))


async def test_who_follows_hears_what_becomes_of_names(recognition):
    recognition.follow(follower := Follower())
    await recognition.name("door", 7, "Ada")
    await recognition.name("door", 8, "Bob")
    await recognition.rename("Ada", "Ada L")
    await recognition.merge("Bob", "Ada L")
    await recognition.remove("ada l")
    assert follower.told == [
        ("known", "Ada"),
        ("known", "Bob"),
        ("rename", "Ada", "Ada L"),
        ("rename", "Bob", "Ada L"),
        ("rename", "ada l", None),
    ]


async def test_who_follows_hears_whom_another_process_has_forgotten(recognition, path):
    recognition.follow(follower := Follower())
    await recognition.name("door", 7, "Ada")
    with Gallery.open(path) as gallery:
        gallery.remove("Ada")
    await recognition.list()
    assert follower.told == [("known", "Ada"), ("rename", "Ada", None)]


async def test_what_another_process_does_is_seen_when_results_pass(recognition, recogniser, path, clock):
    by_another_process(path, "Bob")
    recogniser.told.clear()
    clock.now += CHECK_EVERY / 2
    recognition.offer(RESULT)  # too early
    clock.now += CHECK_EVERY / 2
    recognition.offer(RESULT)
    await asyncio.wait_for(recogniser.told.wait(), 60)
    assert recogniser.names == ("Bob",)


async def test_who_asks_who_is_there_sees_it_too(recognition, recogniser, path):
    by_another_process(path, "Bob")
    assert await recognition.list() == [("Bob", 1)]
    assert recogniser.names == ("Bob",)


async def test_a_gallery_that_breaks_is_told_once_and_its_people_stay_known(
    recognition, recogniser, path, clock, caplog
):
    await recognition.name("door", 7, "Ada")
    (damaged := path.with_name("damaged.db")).write_bytes(b"no gallery at all" * 100)
    for file in (path, *path.parent.glob("people.db-*")):
        file.unlink()
    damaged.replace(path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            clock.now += CHECK_EVERY
            recognition.offer(RESULT)
            await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "recognition.check"))
    assert len([record for record in caplog.records if "as they were known before" in record.message]) == 1
    assert recogniser.names == ("Ada",)


async def test_once_it_is_closed_nobody_is_known(bridge, path, recogniser):
    async with LiveRecognition.open(bridge, "sface", recogniser, path) as recognition:
        await recognition.name("door", 7, "Ada")
        assert recogniser.names == ("Ada",)
    assert recogniser.known is None
    async with LiveRecognition.open(bridge, "sface", recogniser, path):
        assert recogniser.names == ("Ada",)


def test_a_gallery_that_is_not_there_holds_nobody_and_is_not_made(path):
    assert not somebody_known_to("sface", path)
    assert not path.exists()


def test_people_are_known_to_the_model_that_has_seen_them(path):
    by_another_process(path, "Bob")
    assert somebody_known_to("sface", path)
    assert not somebody_known_to("t-face", path)
