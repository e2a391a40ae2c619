from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from facestream.cli_serve import models_of, options_for, settings_for
from facestream.config import SourceEntry, WebhookEntry
from facestream.config_settings import Settings
from facestream.errors import ConfigError, FacestreamError
from facestream.jobs.live import LiveSession
from facestream.jobs.source_options import SourceOptions
from facestream.serving.reload import Plan, Reloading, Rereading, plan
from facestream.serving.rpc import Failure
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeDetector
from facestream.testing.sessions import FakeSession, source_info

DOOR = SourceEntry(name="door", url="rtsp://camera/door")
GATE = SourceEntry(name="gate", url="rtsp://camera/gate")
YARD = SourceEntry(name="yard", url="rtsp://camera/yard")


def settings(*sources: SourceEntry, webhooks: tuple[WebhookEntry, ...] = (), **values: Any) -> Settings:
    return Settings({"port": 1, "level": "info", **values}, {}, sources, webhooks)


class TestPlan:
    def test_nothing_has_changed(self):
        assert plan(settings(DOOR, GATE), settings(GATE, DOOR), {"door", "gate"}) == Plan()

    def test_sources_come_and_go(self):
        steps = plan(settings(DOOR, GATE), settings(GATE, YARD), {"door", "gate"})
        assert steps == Plan(remove=("door",), add=(YARD,))

    def test_a_source_changes_by_any_of_its_keys(self):
        whole = (0.0, 0.0, 1.0, 1.0)
        for key, value in {"url": "rtsp://camera/2", "max_rate": 5.0, "region": whole, "events": False}.items():
            changed = replace(DOOR, **{key: value})
            assert plan(settings(DOOR, GATE), settings(changed, GATE), {"door", "gate"}) == Plan(change=(changed,))

    def test_another_name_is_another_source(self):
        porch = replace(DOOR, name="porch")
        assert plan(settings(DOOR), settings(porch), {"door"}) == Plan(remove=("door",), add=(porch,))

    def test_sources_of_the_network_stay(self):
        assert plan(settings(DOOR), settings(), {"door", "phone"}) == Plan(remove=("door",))

    def test_a_name_that_came_over_the_network_is_taken(self):
        assert plan(settings(DOOR), settings(DOOR, GATE), {"door", "gate"}) == Plan(taken=(GATE,))

    def test_what_was_removed_over_the_network_comes_back(self):
        assert plan(settings(DOOR, GATE), settings(DOOR, GATE), {"gate"}) == Plan(add=(DOOR,))
        assert plan(settings(DOOR), settings(), set()) == Plan()

    def test_what_was_given_up_is_tried_again_unless_it_changes_anyway(self):
        both, given_up = {"door", "gate"}, {"door"}
        assert plan(settings(DOOR, GATE), settings(DOOR, GATE), both, given_up) == Plan(again=(DOOR,))
        changed = replace(DOOR, url="rtsp://camera/2")
        assert plan(settings(DOOR, GATE), settings(changed, GATE), both, given_up) == Plan(change=(changed,))
        assert plan(settings(DOOR), settings(), {"door"}, given_up) == Plan(remove=("door",))
        assert plan(settings(), settings(), {"door"}, given_up) == Plan()  # it came over the network

    def test_other_keys_wait_for_a_restart(self):
        hook = WebhookEntry(url="https://x/")
        steps = plan(settings(port=1), settings(port=2, webhooks=(hook,)), set())
        assert steps == Plan(restart=("port", "events.webhooks"))


class Source:
    """Settings that a test changes, or breaks."""

    def __init__(self, now: Settings) -> None:
        self.now: Settings | str = now

    def read(self) -> Settings:
        if isinstance(self.now, str):
            raise ConfigError(self.now)
        return self.now


def options_of(entry: SourceEntry) -> SourceOptions:
    return SourceOptions(max_rate=entry.max_rate)


@asynccontextmanager
async def reloading(*sources: SourceEntry, **options: Any) -> AsyncIterator[tuple[Reloading, FakeSession, Source]]:
    source = Source(settings(*sources))
    bridge = Bridge("cpu", cpu_workers=1, torch_threads=1)
    infos = (source_info(str(entry.name)) for entry in sources)
    async with bridge, FakeSession(bridge, *infos) as session:
        rereading = Rereading(settings(*sources), source.read)
        yield Reloading(session, rereading, options_of, **options), session, source


def names(session: FakeSession) -> set[str]:
    return {info.name for info in session.sources()}


class TestReloading:
    async def test_what_is_planned_is_done_and_told(self, caplog):
        async with reloading(DOOR, GATE) as (reloads, session, source):
            await session.add_source("push:phone", name="phone")
            source.now = settings(replace(GATE, max_rate=5.0), YARD, port=2)
            with caplog.at_level(logging.INFO, "facestream.reload"):
                done = await reloads.reload()
            assert names(session) == {"phone", "gate", "yard"}
            assert (done.added, done.changed, done.removed, done.failed) == (["yard"], ["gate"], ["door"], [])
            assert done.restart == ["port"]
            assert [record.getMessage().split()[:3] for record in caplog.records] == [
                ["source", "door", "removed:"],
                ["source", "gate", "changed,"],
                ["source", "yard", "added,"],
                ["port", "has", "changed:"],
            ]

    async def test_what_is_in_force_is_what_the_next_reload_compares_with(self):
        async with reloading(DOOR) as (reloads, _, source):
            source.now = settings(DOOR, GATE, port=2)
            assert (await reloads.reload()).added == ["gate"]
            done = await reloads.reload()
            assert (done.added, done.changed, done.removed) == ([], [], [])
            assert done.restart == ["port"]  # still

    async def test_settings_that_are_wrong_change_nothing_and_say_why(self, caplog):
        async with reloading(DOOR) as (reloads, session, source):
            source.now = "box.toml: server.prot: there is no such key"
            with pytest.raises(ConfigError):
                await reloads.reload()
            with pytest.raises(Failure, match=r"server\.prot"):
                await reloads.methods["config.reload"]({})
            assert "nothing has changed: box.toml: server.prot" in caplog.text
            source.now = settings(GATE, replace(YARD, max_rate=-1.0))  # no options of a source
            with pytest.raises(ConfigError):
                await reloads.reload()
            assert names(session) == {"door"}

    async def test_a_source_that_fails_is_told_of_and_tried_again_next_time(self):
        nowhere = SourceEntry(name="far", url="rtsp://nowhere")
        async with reloading(DOOR, GATE) as (reloads, session, source):
            source.now = settings(replace(DOOR, url="rtsp://nowhere"), GATE, nowhere, YARD)
            for _ in range(2):
                failed = (await reloads.reload()).failed
                assert [failure.name for failure in failed] == ["door", "far"]
                assert "can't be reached" in failed[0].reason
            assert names(session) == {"door", "gate", "yard"}

    async def test_a_name_that_came_over_the_network_is_a_failure(self):
        async with reloading() as (reloads, session, source):
            await session.add_source("push:yard", name="yard")
            source.now = settings(YARD)
            (failure,) = (await reloads.reload()).failed
            assert failure.name == "yard"

    async def test_other_parts_are_read_again_too_and_may_fail(self, caplog):
        asked = []

        async def certificate() -> None:
            asked.append("certificate")
            raise FacestreamError("it has expired")

        async with reloading(DOOR) as (reloads, _, source):
            reloads.also(certificate)
            source.now = settings(DOOR, YARD)
            assert (await reloads.reload()).added == ["yard"]
        assert asked == ["certificate"]
        assert "it has expired" in caplog.text

    async def test_the_signal_asks_for_it_also_before_there_is_anybody_to_answer(self):
        async with reloading(DOOR) as (reloads, session, source), asyncio.TaskGroup() as tasks:
            source.now = settings(DOOR, YARD)
            added = asyncio.Event()
            session.on_change(lambda info: added.set())
            with reloads:
                os.kill(os.getpid(), signal.SIGHUP)
                answering = tasks.create_task(reloads.run())
                async with asyncio.timeout(60):
                    await added.wait()
                answering.cancel()
        assert names(session) == {"door", "yard"}

    async def test_a_terminal_that_has_gone_is_told_from_a_request(self, monkeypatch):
        class Terminal:
            there = True

            def isatty(self) -> bool:
                return self.there

        hung_up = asyncio.Event()
        monkeypatch.setattr(sys, "stdin", Terminal())
        async with reloading(DOOR, on_hangup=hung_up.set) as (reloads, _, _):
            with reloads:
                Terminal.there = False
                os.kill(os.getpid(), signal.SIGHUP)
                async with asyncio.timeout(60):
                    await hung_up.wait()


def camera(name: str, rate: int = 5) -> str:
    picture = f"testsrc=size=64x48:rate={rate},realtime"
    return f'[[sources]]\nname = "{name}"\nurl = "device:lavfi:{picture}"\n'


async def test_with_8_running_cameras_the_7_unchanged_ones_go_on_as_before(tmp_path: Path):
    path = tmp_path / "box.toml"
    path.write_text("".join(camera(f"c{i}") for i in range(8)))
    read = partial(settings_for, ("--config", str(path)))
    first = read()
    options = options_for(first, models_of(first))
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    running, reloaded, gone_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    unchanged = [f"c{i}" for i in range(7)]
    at_reload: dict[str, int] = {}

    async def watch(session: LiveSession) -> None:
        async with session.hub.subscribe() as results:
            async for faces in results:
                seen[faces.frame.source].append((faces.frame.epoch, faces.frame.seq))
                if len(seen) >= 8:
                    running.set()
                if "c8" in seen and seen["c7"][-1][0] == 1:
                    reloaded.set()
                if at_reload and all(len(seen[name]) > at_reload[name] for name in unchanged):
                    gone_on.set()

    async with Bridge("cpu", torch_threads=1) as bridge:
        pipeline = Pipeline([Stage.detect(FakeDetector([]), bridge)], bridge)
        async with LiveSession(pipeline, bridge) as session, asyncio.TaskGroup() as tasks, asyncio.timeout(60):
            watching = tasks.create_task(watch(session))
            for entry in first.sources:
                await session.add_source(entry.url, name=entry.name, options=options.options_of(entry))
            await running.wait()
            path.write_text("".join(camera(f"c{i}") for i in range(7)) + camera("c7", rate=7) + camera("c8"))
            done = await Reloading(session, Rereading(first, read), options.options_of).reload()
            await reloaded.wait()
            at_reload |= {name: len(seen[name]) for name in unchanged}
            await gone_on.wait()
            infos = {info.name: info for info in session.sources()}
            watching.cancel()

    assert (done.added, done.changed, done.removed, done.failed) == (["c8"], ["c7"], [], [])
    for name in unchanged:
        # Frames may give way to newer ones, where the machine has too much to do.
        assert {epoch for epoch, _ in seen[name]} == {0}
        assert seen[name] == sorted(set(seen[name]))
        assert (infos[name].damaged, infos[name].reconnects) == (0, 0)
