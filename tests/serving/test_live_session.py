"""The server with a real session behind it; only the models are fake."""

from __future__ import annotations

import pytest

from facestream.jobs.live import LiveSession
from facestream.serving.allowed import AllowedSources
from facestream.serving.server import Server
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeAligner, FakeDetector
from tests.serving.conftest import LIMITS, ask, dial, hear, refusal
from tests.serving.test_push import jpeg


@pytest.fixture
async def server(bridge):
    stages = [Stage.detect(FakeDetector([(4, 4, 40, 40)]), bridge), Stage.faces(FakeAligner(), bridge)]
    pipeline = Pipeline(stages, bridge, tracks=Tracks())
    here = AllowedSources(hosts=("127.0.0.1",))
    async with (
        LiveSession(pipeline, bridge) as session,
        Server(session, port=0, limits=LIMITS, allowed_sources=here) as server,
    ):
        yield server


async def faces(websocket) -> dict:
    while (message := await hear(websocket))["type"] != "faces":
        pass
    return message


async def test_a_pushed_picture_comes_back_as_faces(server):
    async with dial(server, "/ws/push?source=me") as websocket:
        assert (await hear(websocket))["sources"][0]["name"] == "me"
        for seq in range(5):
            await websocket.send(jpeg())
            message = await faces(websocket)
            assert (message["epoch"], message["seq"], message["dropped"]) == (0, seq, 0)
            assert len(message["faces"][0]["landmarks"]) == 68


async def test_a_second_pusher_waits_and_the_next_is_a_new_epoch(server):
    async with dial(server, "/ws/push?source=me") as websocket:
        await websocket.send(jpeg())
        await faces(websocket)
        async with dial(server, "/ws/push?source=me") as another:
            assert await refusal(another) == ("source-taken", 1008)
    async with dial(server, "/ws/push?source=me") as websocket:
        await websocket.send(jpeg())
        assert (await faces(websocket))["epoch"] == 1


async def test_a_source_removed_while_it_is_pushed_to_says_goodbye(server):
    async with dial(server, "/ws/push?source=me") as websocket, dial(server, "/ws/control") as control:
        await hear(control)
        await websocket.send(jpeg())
        await faces(websocket)
        assert (await ask(control, "sources.remove", name="me"))["result"] == {}
        await websocket.send(jpeg())
        assert await refusal(websocket) == ("source-closed", 1001)


async def test_a_camera_that_cannot_be_reached_is_added_all_the_same(server):
    async with dial(server, "/ws/control") as control, dial(server, "/ws/faces") as websocket:
        await hear(control), await hear(websocket)
        added = (await ask(control, "sources.add", url="rtsp://me:hunter2@127.0.0.1:1/x", name="door"))["result"]
        assert (added["name"], added["state"]) == ("door", "connecting")
        while (status := await hear(websocket))["state"] != "degraded":
            pass
        assert "hunter2" not in str(added) + str(status)
        assert (await ask(control, "statistics"))["result"]["sources"][0]["state"] == "degraded"
        assert (await ask(control, "sources.remove", name="door"))["result"] == {}
        while not (await hear(websocket))["removed"]:
            pass
