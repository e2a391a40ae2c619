from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from websockets.asyncio.client import connect

from facestream.config import SourceEntry
from facestream.config_settings import Settings
from facestream.errors import SourceUnavailable, WeightsMissing
from facestream.jobs.models import ModelOptions
from facestream.serving import app
from facestream.serving.reload import Rereading
from facestream.serving.systemd import Notifier
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeAligner, FakeDetector
from facestream.testing.sources import make_clip
from tests.serving.conftest import PATIENCE


class Loading:
    """Models that are loaded when the test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.done = asyncio.Event()

    async def __call__(self, options: Any, bridge: Any, references: Any = None) -> list[Stage]:
        self.begun.set()
        await self.done.wait()
        return [Stage.detect(FakeDetector([(4, 4, 40, 40)]), bridge), Stage.faces(FakeAligner(), bridge)]


class Service:
    """A server at work in this process."""

    def __init__(self, loading: Loading) -> None:
        self.said: list[str] = []
        self.loading = loading
        self.task: asyncio.Task[None]

    @property
    def url(self) -> str:
        return next(word for word in self.said[0].split() if word.startswith("http"))

    async def get(self, path: str) -> tuple[int, bytes]:
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(self.url.rstrip("/") + path, timeout=PATIENCE) as response:
                return response.status, response.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    async def ready(self) -> None:
        self.loading.done.set()
        async with asyncio.timeout(PATIENCE):
            while (await self.get("/health/ready"))[0] != 200:
                assert not self.task.done()


@pytest.fixture(autouse=True)
def interrupts_as_before():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Loading:
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path))
    loading = Loading()
    monkeypatch.setattr(app, "load_stages", loading)
    return loading


@asynccontextmanager
async def starting(
    loading: Loading, notifier: Notifier | None = None, rereading: Rereading | None = None, **options: Any
) -> AsyncIterator[Service]:
    """A service that is loading its models."""
    service = Service(loading)
    chosen = app.ServeOptions(
        models=ModelOptions(device="cpu"), port=0, no_biometrics=True, no_demo=True, **{"drain": 5.0, **options}
    )
    serving = app.serve(chosen, say=service.said.append, notifier=notifier, rereading=rereading)
    service.task = asyncio.create_task(serving)
    try:
        await asyncio.wait([service.task, asyncio.create_task(loading.begun.wait())], return_when="FIRST_COMPLETED")
        yield service
    finally:
        service.task.cancel()
        await asyncio.gather(service.task, return_exceptions=True)


async def test_the_port_answers_while_the_models_are_being_loaded(loading):
    async with starting(loading) as service:
        assert (await service.get("/health/live"))[0] == 200
        status, body = await service.get("/health")
        assert (status, json.loads(body)["status"]) == (503, "starting")
        assert (await service.get("/health/ready"))[0] == 503
        assert (await service.get("/"))[0] == 200
        assert (await service.get("/metrics"))[0] == 200


async def test_it_is_ready_once_they_are(loading):
    async with starting(loading) as service:
        await service.ready()
        status, body = await service.get("/health")
        assert (status, json.loads(body)["status"]) == (200, "ok")


async def test_models_that_cannot_be_loaded_end_the_command_with_their_error(loading, monkeypatch):
    async def fail(*args: object) -> None:
        raise WeightsMissing("yunet isn't here")

    monkeypatch.setattr(app, "load_stages", fail)
    with pytest.raises(WeightsMissing):
        await app.serve(app.ServeOptions(models=ModelOptions(device="cpu"), port=0, no_biometrics=True), say=print)


async def test_sigterm_while_they_are_being_loaded_ends_it_quietly(loading):
    async with starting(loading) as service:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(service.task, PATIENCE)


async def test_sigterm_tells_subscribers_that_the_server_goes_away(loading):
    async with starting(loading) as service:
        await service.ready()
        async with connect(service.url.replace("http", "ws") + "ws/faces") as websocket:
            await websocket.recv()
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(service.task, PATIENCE)
            await asyncio.wait_for(websocket.wait_closed(), PATIENCE)
        assert websocket.close_code == 1001
        assert service.said[-1].startswith("stopping")


class Telling(Notifier):
    """Keeps what systemd would be told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def send(self, **fields: str | int) -> None:
        self.told += fields


async def test_systemd_is_told_when_it_is_ready_and_when_it_stops(loading):
    notifier = Telling()
    async with starting(loading, notifier) as service:
        assert "READY" not in notifier.told
        await service.ready()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(service.task, PATIENCE)
    assert [name for name in notifier.told if name != "STATUS"] == ["READY", "STOPPING"]


def source(name: str, url: object) -> SourceEntry:
    return SourceEntry(name=name, url=str(url))


async def test_a_film_that_is_not_there_keeps_no_camera_from_being_served_and_comes_with_a_reload(
    loading, tmp_path, caplog
):
    film = tmp_path / "film.mp4"
    sources = (source("film", film), source("phone", "push:phone"))
    settings = Settings({}, {}, sources)
    async with starting(loading, rereading=Rereading(settings, lambda: settings), sources=sources) as service:
        await service.ready()
        health = json.loads((await service.get("/health"))[1])
        assert (health["status"], health["reason"]) == ("degraded", "not working: film")
        assert health["sources"]["film"]["state"] == "stopped"
        assert "film.mp4 isn't there; check the path" in health["sources"]["film"]["reason"]
        (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert line.startswith("source film: stopped (")
        assert "the next reload (SIGHUP) tries again" in caplog.text

        make_clip(film, frames=5, rate=50, size=(64, 48))
        async with connect(service.url.replace("http", "ws") + "ws/control") as control:
            await control.send('{"jsonrpc": "2.0", "id": 1, "method": "config.reload"}')
            answers = (json.loads(message) async for message in control)
            assert await anext(a["result"]["changed"] async for a in answers if "id" in a) == ["film"]
        assert json.loads((await service.get("/health"))[1])["status"] == "ok"


async def test_where_no_source_can_be_read_the_command_ends_with_the_first_one_s_error(loading, tmp_path):
    loading.done.set()
    (tmp_path / "text.mp4").write_text("no film")
    for sources in (
        (source("film", tmp_path / "film.mp4"),),
        (source("film", tmp_path / "film.mp4"), source("text", tmp_path / "text.mp4")),
    ):
        async with starting(loading, sources=sources) as service:
            with pytest.raises(SourceUnavailable, match=r"film\.mp4 isn't there"):
                await service.task
