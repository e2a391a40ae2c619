"""What comes over the network connects to where it says, and to nowhere that it is sent on to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import pytest

from facestream.jobs.live import LiveSession
from facestream.serving.allowed import AllowedSources
from facestream.serving.server import Server
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeAligner, FakeDetector
from facestream.testing.sessions import FakeSession, source_info
from facestream.testing.sources import make_picture
from tests.io import servers
from tests.serving.conftest import LIMITS, ask, dial, hear

HERE = AllowedSources(hosts=("127.0.0.1",))
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"


@dataclass(frozen=True)
class Web:
    """A web server that sends on to ``inside``, by a redirection and by a playlist, and one that gives pictures."""

    inside: servers.Visited
    redirection: str
    playlist: str
    camera: str


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    picture = cv2.imencode(".jpg", make_picture(0))[1].tobytes()
    inside = servers.Visited(servers.mjpeg([picture], then=picture))
    async with AsyncExitStack() as stack:
        secret = f"http://127.0.0.1:{await stack.enter_async_context(servers.serve(inside))}/secret"
        (tmp_path / "live.m3u8").write_text(PLAYLIST.format(f"{secret}.ts"))
        door = await stack.enter_async_context(servers.serve(servers.redirect(secret)))
        files = await stack.enter_async_context(servers.serve(servers.files(tmp_path)))
        camera = await stack.enter_async_context(servers.serve(servers.mjpeg([picture], then=picture)))
        yield Web(
            inside,
            f"http://127.0.0.1:{door}/cam",
            f"http://127.0.0.1:{files}/live.m3u8",
            f"http://127.0.0.1:{camera}/cam",
        )


@pytest.fixture
async def session(bridge: Bridge) -> AsyncIterator[LiveSession]:
    stages = [Stage.detect(FakeDetector([(4, 4, 40, 40)]), bridge), Stage.faces(FakeAligner(), bridge)]
    async with LiveSession(Pipeline(stages, bridge, tracks=Tracks()), bridge) as session:
        yield session


async def state(websocket, wanted: str) -> dict:
    """The next status in which the source is ``wanted``."""
    while (message := await hear(websocket))["type"] != "status" or message["state"] != wanted:
        pass
    return message


@pytest.mark.parametrize(
    ("way", "reason"), [("redirection", "sends elsewhere; add that address itself"), ("playlist", "as playlists do")]
)
@pytest.mark.parametrize("method", ["sources.add", "sources.update"])
async def test_what_comes_over_the_network_is_not_sent_on(session, web, way, reason, method):
    url = getattr(web, way)
    async with (
        Server(session, port=0, limits=LIMITS, allowed_sources=HERE) as server,
        dial(server, "/ws/control") as control,
    ):
        await hear(control)
        if method == "sources.update":
            await session.add_source(f"door={web.camera}")
        async with dial(server, "/ws/faces") as websocket:
            if method == "sources.update":
                while (await hear(websocket))["type"] != "faces":
                    pass
            assert "result" in await ask(control, method, url=url, name="door")
            assert reason in (await state(websocket, "degraded"))["reason"]
            await ask(control, "sources.restart", name="door")
            assert reason in (await state(websocket, "degraded"))["reason"]
            await ask(control, "sources.update", name="door", read_timeout=3)
            assert reason in (await state(websocket, "degraded"))["reason"]
    assert web.inside.visits == 0


async def test_a_camera_that_sends_its_pictures_itself_can_be_added(session, web):
    async with (
        Server(session, port=0, limits=LIMITS, allowed_sources=HERE) as server,
        dial(server, "/ws/control") as control,
        dial(server, "/ws/faces") as websocket,
    ):
        await hear(control)
        assert "result" in await ask(control, "sources.add", url=web.camera, name="door")
        await state(websocket, "live")


async def test_the_operator_can_let_them_be_sent_on(session, web):
    async with (
        Server(session, port=0, limits=LIMITS, allowed_sources=replace(HERE, follow=True)) as server,
        dial(server, "/ws/control") as control,
        dial(server, "/ws/faces") as websocket,
    ):
        await hear(control)
        assert "result" in await ask(control, "sources.add", url=web.redirection, name="door")
        await state(websocket, "live")
    assert web.inside.visits > 0


async def test_a_source_of_the_operators_own_is_sent_on_also_after_a_change(session, web):
    shown = (await session.add_source(f"door={web.redirection}")).url
    async with (
        Server(session, port=0, limits=LIMITS, allowed_sources=HERE) as server,
        dial(server, "/ws/control") as control,
        dial(server, "/ws/faces") as websocket,
    ):
        await hear(control)
        while (await hear(websocket))["type"] != "faces":
            pass
        assert "result" in await ask(control, "sources.update", name="door", url=shown, read_timeout=3)
        await state(websocket, "live")


async def test_no_client_can_ask_to_be_sent_on(bridge):
    session = FakeSession(bridge, source_info())
    async with Server(session, port=0, limits=LIMITS) as server, dial(server, "/ws/control") as websocket:
        await hear(websocket)
        name = session.sources()[0].name
        refused = await ask(websocket, "sources.add", url="http://10.0.0.5/x", name="pond", follow=True)
        assert refused["error"]["code"] == -32602
        assert (await ask(websocket, "sources.update", name=name, follow=True))["error"]["code"] == -32602
        added = await ask(websocket, "sources.add", url="http://10.0.0.5/x", name="pond")
        assert "follow" not in added["result"]["options"]
    assert [info.options.follow for info in session.sources()] == [True, False]
