"""Events of a session whose results the test publishes, on a clock that it sets; store, pictures and clips are real."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import ConfigError, OutputError, SourceFormatError, SourceUnavailable
from facestream.io.reading import LazyFrame, LazyPixels
from facestream.jobs.events import EventFilter, EventOptions, Events
from facestream.jobs.source_options import SourceOptions
from facestream.stream.device import Bridge
from facestream.stream.events import Event, Kind
from facestream.stream.types import Image, Recognised, SourceState
from facestream.testing.sessions import FakeSession, some_faces, source_info
from facestream.tests.serving.conftest import until

UNIX = 1_700_000_000.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Doorway(FakeSession):
    """A session whose camera shows what the test says."""

    def __init__(self, bridge: Bridge) -> None:
        quiet = replace(source_info("quiet"), options=SourceOptions(events=False))
        unfilmed = replace(source_info("unfilmed"), options=SourceOptions(clips=False))
        super().__init__(bridge, source_info("door"), source_info("yard"), quiet, unfilmed)
        self.clock = self.hub.clock = Clock()
        self.filming = asyncio.Event()
        self.filming.set()
        self.filmed: list[str] = []
        self.unavailable = ""

    def show(self, *names: str | None, source: str = "door", seconds: float = 1.0) -> None:
        """So many faces, who is who, for so long."""
        for _ in range(round(seconds * 5)):
            faces = some_faces(count=len(names), source=source)
            faces.frame.captured_at = UNIX + self.clock.now
            faces.people = tuple(name and Recognised(name, 0.7) for name in names)
            self.publish(faces)
            self.clock.now += 0.2

    async def clip(self, name: str, before: float, after: float, path: Path) -> float:
        self.filmed.append(f"{name} {before:.1f} {after:.1f}")
        await self.filming.wait()
        if self.unavailable:
            raise SourceUnavailable(self.unavailable)
        return await super().clip(name, before, after, path)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=1, torch_threads=1) as bridge:
        yield bridge


@pytest.fixture
async def session(bridge: Bridge) -> AsyncIterator[Doorway]:
    async with Doorway(bridge) as session:
        yield session


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "events.db"


@asynccontextmanager
async def hearing(session: Doorway, path: Path | None, **options: Any) -> AsyncIterator[tuple[Events, list[Event]]]:
    """Events of the session, and a list of those that were told."""
    chosen = EventOptions(on=path is not None, store=path, **options)
    async with Events.open(session, chosen, clock=lambda: UNIX + session.clock.now) as events:
        told: list[Event] = []
        events.on_event(told.append)
        yield events, told


def what(told: Sequence[Event]) -> list[tuple[str, str, str | None]]:
    return [(event.kind.value, event.source, event.name) for event in told]


async def test_who_comes_is_recognised_and_goes_is_told_and_kept(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (events, told):
        session.show(None)
        session.show("Ada")
        (kept,) = await events.find(EventFilter())
        assert (kept.id, kept.kind, kept.name) == (told[0].id, Kind.NAMED, "Ada")
        await session.remove_source("door")
        assert what(told) == [("arrived", "door", None), ("named", "door", "Ada"), ("left", "door", "Ada")]
        (kept,) = await events.find(EventFilter())
        assert (kept.kind, kept.started_at, kept.ended_at) == (Kind.LEFT, UNIX, pytest.approx(UNIX + 1.8))


async def test_of_a_source_that_is_gone_nobody_arrives_any_more(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (events, told):
        await session.remove_source("door")
        session.show("Ada")
        assert told == []
        assert events.statistics().visits == 0


async def test_who_is_there_when_the_server_stops_has_left(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (_, told):
        session.show(None, None)
    assert [event.kind for event in told] == [Kind.ARRIVED, Kind.ARRIVED, Kind.LEFT, Kind.LEFT]
    async with hearing(session, path) as (events, _):
        assert [event.kind for event in await events.find(EventFilter())] == [Kind.LEFT, Kind.LEFT]


async def test_later_visits_have_greater_numbers_also_after_a_restart_with_the_clock_set_back(
    session: Doorway, path: Path
) -> None:
    async with hearing(session, path) as (_, before):
        session.show(None)
    session.clock.now -= 3600
    async with hearing(session, path) as (_, after):
        session.show(None)
    assert after[0].id > before[0].id


async def test_a_source_that_stops_ends_its_visits(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (_, told):
        session.show(None)
        session.show(None, source="yard")
        session.change("door", SourceState.DEGRADED)
        assert len(told) == 2
        session.change("door", SourceState.STOPPED)
        assert what(told[2:]) == [("left", "door", None)]


async def test_of_a_source_without_events_nothing_is_told(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (_, told):
        session.show("Ada", source="quiet")
        assert told == []
        session.show("Ada")
        session._sources["door"] = replace(session._sources["door"], options=SourceOptions(events=False))
        session.change("door", SourceState.LIVE)
        session.show("Bob")
        assert what(told) == [("arrived", "door", "Ada"), ("named", "door", "Ada"), ("left", "door", "Ada")]


async def test_nobody_is_waited_for_by_looking_again_and_again(session: Doorway, path: Path) -> None:
    session.hub.clock = asyncio.get_running_loop().time
    session.clock.now = session.hub.clock()
    async with hearing(session, path, left_after=0.5) as (events, told):
        while not told:
            session.publish(some_faces())
            await asyncio.sleep(0.05)
        await until(lambda: told[-1].kind is Kind.LEFT)
        assert events.statistics().visits == 0


async def test_a_visit_has_the_best_picture_of_it(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (events, told):
        session.show(None, seconds=0.2)
        await until(lambda: not events._looking)
        session.show(None)
        assert told[0].picture
        picture = await events.picture(told[0].id)
        assert picture is not None
        assert picture.startswith(b"\xff\xd8")
        await session.remove_source("door")
        assert await events.picture(told[0].id) == picture
        assert (await events.find(EventFilter()))[0].picture


async def test_a_frame_that_cannot_be_converted_has_no_picture_and_ends_nothing(session: Doorway, path: Path) -> None:
    def broken() -> Image:
        raise SourceFormatError("can't convert a frame of door")

    async with hearing(session, path) as (events, told):
        for _ in range(5):
            faces = some_faces()
            faces.frame = LazyFrame.of(LazyPixels(broken, (64, 48)), "door", 0, 0.0, UNIX)
            session.publish(faces)
            session.clock.now += 0.2
        await until(lambda: not events._looking)
        assert what(told) == [("arrived", "door", None)]
        assert await events.picture(told[0].id) is None


async def test_without_pictures_there_are_none(session: Doorway, path: Path) -> None:
    async with hearing(session, path, pictures=False) as (events, told):
        session.show(None, seconds=3)
        assert not events._looking
        assert await events.picture(told[0].id) is None


async def test_pictures_never_pile_up(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (events, _):
        session.show(None, seconds=10)  # the loop never gets a turn
        assert len(events._looking) == 1
        assert events.statistics().looks_skipped == 49


async def test_events_that_are_not_kept_are_told_all_the_same(session: Doorway) -> None:
    async with hearing(session, None) as (events, told):
        session.show("Ada")
        assert len(told) == 2
        assert not told[1].picture
        assert not events.kept
        with pytest.raises(ConfigError, match="--events"):
            await events.find(EventFilter())


async def test_an_event_that_is_removed_is_gone_and_its_visit_says_nothing_more(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (events, told):
        session.show(None)
        assert await events.remove(told[0].id)
        assert not await events.remove(told[0].id)
        session.show("Ada")
        await session.remove_source("door")
        assert what(told) == [("arrived", "door", None)]
        assert await events.find(EventFilter()) == []


async def test_somebody_who_is_forgotten_has_no_name_in_any_event(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (events, told):
        session.show("Ada")
        events.rename("ADA", None)
        session.show("Ada")  # on its way when it was said
        assert what(told)[-1] == ("named", "door", None)
        assert [event.name for event in await events.find(EventFilter())] == [None]
    assert b"Ada" not in b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())


async def test_somebody_who_is_renamed_is_so_in_every_event(session: Doorway, path: Path) -> None:
    async with hearing(session, path) as (events, told):
        session.show("Ada")
        await session.remove_source("door")
        session.show("Ada", source="yard")
        events.rename("Ada", "Grace")
        assert what(told)[-1] == ("named", "yard", "Grace")
        assert [event.name for event in await events.find(EventFilter())] == ["Grace", "Grace"]


async def test_an_arrival_has_a_clip_that_those_who_come_meanwhile_share(session: Doorway, path: Path) -> None:
    async with hearing(session, path, clip_before=5.0, clip_after=3.0) as (events, told):
        session.filming.clear()
        session.show(None)
        session.show(None, None)
        session.show(None, source="yard")
        await until(lambda: len(session.filmed) == 2)
        session.filming.set()
        await until(lambda: events.statistics().clips == 2)
        contents = [await events.clip(event.id) for event in told]
        assert contents[0] is not None
        assert contents[0] == contents[1]
        assert contents[0].startswith(b"door")
        assert [event.clip for event in await events.find(EventFilter())] == [True, True, True]
        folder = path.with_name("events-clips")
        assert folder.stat().st_mode & 0o077 == 0
        assert len(list(folder.iterdir())) == 2
        for event in told[:2]:
            await events.remove(event.id)
        assert await events.clip(told[0].id) is None
        assert len(list(folder.iterdir())) == 1


async def test_a_part_of_a_clip_can_be_had(session: Doorway, path: Path) -> None:
    async with hearing(session, path, clip_before=2.0) as (events, told):
        session.show(None)
        await until(lambda: events.statistics().clips == 1)
        whole = await events.clip(told[0].id)
        assert whole is not None
        assert await events.piece_of_clip(told[0].id, lambda size: (1, size - 1)) == (whole[1:-1], len(whole))
        assert await events.piece_of_clip(99, lambda size: (0, size)) is None


async def test_a_clip_that_cannot_be_read_is_told(session: Doorway, path: Path) -> None:
    async with hearing(session, path, clip_before=2.0) as (events, told):
        session.show(None)
        await until(lambda: events.statistics().clips == 1)
        (file,) = (path.parent / "events-clips").iterdir()
        file.unlink()
        file.mkdir()
        with pytest.raises(OutputError, match="can't be read"):
            await events.clip(told[0].id)
        file.rmdir()


async def test_a_clip_that_was_deleted_is_not_there(session: Doorway, path: Path) -> None:
    async with hearing(session, path, clip_after=1.0) as (events, told):
        session.show(None)
        await until(lambda: events.statistics().clips == 1)
        os.unlink(path.with_name("events-clips") / f"{told[0].id}.mp4")
        assert await events.clip(told[0].id) is None


async def test_a_source_without_clips_has_none(session: Doorway, path: Path) -> None:
    async with hearing(session, path, clip_after=1.0) as (events, _):
        session.show(None, source="unfilmed")
        session.show(None)
        await until(lambda: events.statistics().clips == 1)
        assert [text.split()[0] for text in session.filmed] == ["door"]


async def test_a_source_that_can_give_no_clip_is_told_once(
    session: Doorway, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with hearing(session, path, clip_after=1.0) as (events, _):
        with caplog.at_level(logging.INFO, "facestream.events"):
            session.unavailable = "no packets"
            for failures in range(1, 4):
                session.show(None)
                await until(lambda: events.statistics().clips_failed == failures)  # noqa: B023 - it is awaited here
                session.change("door", SourceState.STOPPED)
            session.unavailable = ""
            session.show(None)
            await until(lambda: events.statistics().clips == 1)
    assert caplog.messages == [
        "door: no clips of who arrives: no packets",
        "door: there are clips of who arrives again",
    ]


async def test_a_clip_in_the_making_is_given_up_when_the_server_stops(session: Doorway, path: Path) -> None:
    async with hearing(session, path, clip_after=1.0):
        session.filming.clear()
        session.show(None)
        await until(lambda: session.filmed)
    assert list(path.with_name("events-clips").iterdir()) == []


async def test_clips_and_covered_faces_contradict_each_other(session: Doorway, path: Path) -> None:
    options = EventOptions(on=True, store=path, clip_after=1.0)
    with pytest.raises(ConfigError, match="--anonymise"):
        async with Events.open(session, options, covered=True):
            pass


async def test_a_store_that_cannot_be_written_keeps_nobody_from_hearing(session: Doorway, path: Path) -> None:
    path.parent.write_text("not a folder")
    async with hearing(session, path) as (events, told):
        session.show("Ada")
        assert len(told) == 2
        statistics = events.statistics()
        assert statistics.recorder is not None
        assert statistics.recorder.trouble
        assert statistics.told == {"arrived": 1, "named": 1, "left": 0}
