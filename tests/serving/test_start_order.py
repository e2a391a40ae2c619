from __future__ import annotations

import asyncio
import json
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

from facestream.errors import WeightsMissing
from facestream.jobs.models import ModelOptions
from facestream.serving import app
from facestream.serving.systemd import Notifier
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeAligner, FakeDetector


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
            with urllib.request.urlopen(self.url.rstrip("/") + path, timeout=10) as response:
                return response.status, response.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    async def ready(self) -> None:
        self.loading.done.set()
        async with asyncio.timeout(20):
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
async def starting(loading: Loading, notifier: Notifier | None = None, **options: Any) -> AsyncIterator[Service]:
    """A service that is loading its models."""
    service = Service(loading)
    chosen = app.ServeOptions(
        models=ModelOptions(device="cpu"), port=0, no_biometrics=True, no_demo=True, **{"drain": 5.0, **options}
    )
    service.task = asyncio.create_task(app.serve(chosen, say=service.said.append, notifier=notifier))
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
        await asyncio.wait_for(service.task, 10)


async def test_sigterm_tells_subscribers_that_the_server_goes_away(loading):
    async with starting(loading) as service:
        await service.ready()
        async with connect(service.url.replace("http", "ws") + "ws/faces") as websocket:
            await websocket.recv()
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(service.task, 10)
            await asyncio.wait_for(websocket.wait_closed(), 10)
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
        await asyncio.wait_for(service.task, 10)
    assert [name for name in notifier.told if name != "STATUS"] == ["READY", "STOPPING"]
