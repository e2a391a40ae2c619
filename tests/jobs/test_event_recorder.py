"""The recorder on real files, with what goes wrong with them."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import OutputError
from facestream.io import event_store
from facestream.io.event_store import EventFilter, EventStore
from facestream.jobs.event_options import EventOptions
from facestream.jobs.event_recorder import Recorder
from facestream.stream.device import Bridge
from facestream.stream.events import Event, Kind
from facestream.tests.io.test_event_store import damage
from facestream.tests.serving.conftest import until


def visit(id_: int, name: str | None = None, *, ended: bool = False, jpeg: bytes | None = None) -> Event:
    end = id_ + 1.0
    kind = Kind.LEFT if ended else Kind.ARRIVED
    return Event(id_, kind, "door", 7, name, end, float(id_), end, end if ended else None, jpeg=jpeg)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=1, torch_threads=1) as bridge:
        yield bridge


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "events.db"


def recorder(bridge: Bridge, path: Path, **options: Any) -> Recorder:
    return Recorder(bridge, EventOptions(on=True, store=path, **options), clock=lambda: 1000.0, retry_every=0.01)


async def ids(recorder: Recorder) -> list[int]:
    return [event.id for event in await recorder.find(EventFilter())]


async def test_what_is_put_is_found_at_once_and_after_a_restart(bridge: Bridge, path: Path) -> None:
    async with recorder(bridge, path) as one:
        one.put(visit(1, jpeg=b"jpeg"))
        assert await ids(one) == [1]
        assert await one.picture(1) == b"jpeg"
        one.put(visit(2))
    async with recorder(bridge, path) as two:
        assert two.last_id == 2
        assert await ids(two) == [2, 1]
        assert await two.remove(2)
        assert not await two.remove(2)
        assert await ids(two) == [1]


async def test_a_picture_that_waits_is_there_already(bridge: Bridge, path: Path) -> None:
    async with recorder(bridge, path) as one:
        one.put(visit(1))
        one.put_picture(1, b"jpeg")
        assert await one.picture(1) == b"jpeg"
        await ids(one)
        assert await one.picture(1) == b"jpeg"


async def test_the_last_sight_of_visits_that_go_on_is_kept(bridge: Bridge, path: Path) -> None:
    async with recorder(bridge, path) as one:
        one.put(visit(1))
        one.seen([Event(1, Kind.ARRIVED, "door", 7, None, 1.0, 1.0, 77.0)])
        assert (await one.find(EventFilter()))[0].seen_at == 77.0


async def test_what_is_too_old_goes(bridge: Bridge, path: Path) -> None:
    async with recorder(bridge, path, keep_days=500 / 86400) as one:
        for id_ in range(400, 600, 10):
            one.put(visit(id_, ended=True))
        await until(lambda: one.statistics().waiting == 0)
        assert min(await ids(one)) == 500


async def test_a_store_that_cannot_be_made_is_told_once_and_used_when_it_can(
    bridge: Bridge, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.write_text("not a folder")
    with caplog.at_level(logging.INFO, "facestream.events"):
        async with recorder(bridge, path) as one:
            for id_ in range(1, 4):
                one.put(visit(id_))
            assert one.statistics().trouble
            with pytest.raises(OutputError):
                await ids(one)
            path.parent.unlink()
            await until(lambda: not one.statistics().trouble)
            assert await ids(one) == [3, 2, 1]
    first, second = caplog.messages
    assert first.startswith("events aren't stored, and go on to whoever listens")
    assert second == "events are stored again; none was lost"


async def test_a_locked_store_loses_nothing(bridge: Bridge, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_store, "_BUSY_SECONDS", 0.02)
    async with recorder(bridge, path) as one:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        one.put(visit(1, jpeg=b"jpeg"))
        await until(lambda: "another process writes" in one.statistics().trouble)
        one.put(visit(1, "Ada"))
        other.execute("ROLLBACK")
        other.close()
        await until(lambda: not one.statistics().trouble)
        (event,) = await one.find(EventFilter())
        assert (event.name, event.picture) == ("Ada", True)


async def test_what_is_forgotten_while_the_store_is_locked_is_forgotten_later(
    bridge: Bridge, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_store, "_BUSY_SECONDS", 0.02)
    async with recorder(bridge, path) as one:
        one.put(visit(1, "Ada"))
        await ids(one)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        one.rename("ada", None)
        await until(lambda: one.statistics().trouble)
        other.execute("ROLLBACK")
        other.close()
        await until(lambda: not one.statistics().trouble)
        assert (await one.find(EventFilter()))[0].name is None


async def test_what_is_removed_while_writing_it_fails_does_not_come_back(
    bridge: Bridge, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, fail = threading.Event(), threading.Event()
    write = EventStore.write

    def write_badly(store: EventStore, *args: Any) -> None:
        monkeypatch.setattr(EventStore, "write", write)
        writing.set()
        fail.wait()
        raise OutputError("the disk is full")

    async with recorder(bridge, path) as one:
        one.put(visit(1))
        assert await ids(one) == [1]
        monkeypatch.setattr(EventStore, "write", write_badly)
        one.put(visit(1, "Ada"))
        await asyncio.to_thread(writing.wait)
        removing = asyncio.create_task(one.remove(1))
        await asyncio.sleep(0)
        fail.set()
        assert await removing
        one.put(visit(2))
        await until(lambda: not one.statistics().waiting and not one.statistics().trouble)
        assert await ids(one) == [2]


async def test_a_damaged_store_is_set_aside_and_a_new_one_begun(
    bridge: Bridge, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EventStore.open(path) as store:
        store.write([visit(id_, ended=True) for id_ in range(500)])
    damage(path)
    async with recorder(bridge, path) as one:
        one.put(visit(1000))
        assert await ids(one) == [1000]
        assert not one.statistics().trouble
    assert path.with_name("events.db.damaged").exists()
    assert ["events.db.damaged" in message for message in caplog.messages] == [True]


async def test_a_store_that_is_deleted_is_made_anew(bridge: Bridge, path: Path) -> None:
    async with recorder(bridge, path) as one:
        one.put(visit(1))
        assert await ids(one) == [1]
        os.unlink(path)
        one.put(visit(2))
        assert await ids(one) == [2]


async def test_a_second_server_goes_on_without_a_store_until_the_first_has_ended(bridge: Bridge, path: Path) -> None:
    async with recorder(bridge, path) as second_to_leave:
        second_to_leave.put(visit(1))
        await ids(second_to_leave)
        async with recorder(bridge, path) as waiting:
            assert "another facestream" in waiting.statistics().trouble
            waiting.put(visit(2))
            await second_to_leave._lane.run(second_to_leave._close)
            await until(lambda: not waiting.statistics().trouble)
            assert await ids(waiting) == [2, 1]


async def test_more_than_the_store_can_take_is_counted(bridge: Bridge, path: Path) -> None:
    path.parent.write_text("not a folder")
    async with recorder(bridge, path) as one:
        for id_ in range(2100):
            one.put(visit(id_, jpeg=b"jpeg"))
        statistics = one.statistics()
        assert (statistics.waiting, statistics.lost_events, statistics.lost_pictures) == (2000, 100, 2000)
        path.parent.unlink()
