"""The conformance suite over every kind of source."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from facestream.io.push import PushSource
from facestream.io.sources import open_source
from facestream.stream.types import Source
from facestream.testing.conformance import SOURCE_CHECKS, check_source
from facestream.testing.conformance_sources import MakeSource
from facestream.testing.sources import FakeSource, make_clip, make_picture
from tests import needs
from tests.io import servers
from tests.rtsp_camera import RtspCamera


class FedSource(PushSource):
    """A push source with a pusher of its own."""

    async def _open(self) -> None:
        await super()._open()
        self.connect()
        self._pusher = asyncio.create_task(self._push())

    async def _push(self) -> None:
        for number in itertools.count():
            await self.feed(make_picture(number))

    async def _close(self) -> None:
        self._pusher.cancel()
        await asyncio.wait([self._pusher])
        await super()._close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=15, size=(64, 48), rate=100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(5):
        cv2.imwrite(str(folder / f"{number}.png"), make_picture(number))
    return folder


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspCamera]:
    needs.gstreamer()
    clip = make_clip(tmp_path_factory.mktemp("clips") / "camera.mp4", frames=60, size=(64, 48), rate=30)
    with RtspCamera(clip) as camera:
        yield camera


@pytest.fixture
async def mjpeg() -> AsyncIterator[str]:
    pictures = [cv2.imencode(".jpg", make_picture(number))[1].tobytes() for number in range(5)]
    async with servers.serve(servers.mjpeg(pictures, times=5)) as port:
        yield f"http://127.0.0.1:{port}/video"


@pytest.fixture
def make(request: pytest.FixtureRequest) -> MakeSource:
    """What makes a source of the kind that a test is for."""
    kind, get = request.param, request.getfixturevalue

    def url() -> Any:
        if kind == "device":  # what a webcam goes through, without one
            return f"device:lavfi:movie={get('clip')}:loop=0,setpts=N/FRAME_RATE/TB"
        return {
            "file": lambda: get("clip"),
            "folder": lambda: get("folder"),
            "list": lambda: sorted(get("folder").iterdir()),
            "picture": lambda: [get("folder") / "0.png"] * 3,
            "mjpeg": lambda: get("mjpeg"),
            "rtsp": lambda: get("camera").url,
        }[kind]()

    makers: dict[str, MakeSource] = {
        "push": lambda: FedSource("phone"),
        "fake": lambda: FakeSource(),
        "fake camera": lambda: FakeSource(frames=None, live=True),
    }
    if kind in makers:
        return makers[kind]
    target, plain = url(), {"device": {"name": "desk"}}.get(kind, {})

    def open_it() -> Source:
        return open_source(target, **plain)

    return open_it


KINDS = ("file", "folder", "list", "picture", "device", "mjpeg", "push", "fake", "fake camera")


@pytest.mark.parametrize("make", KINDS, indirect=True)
@pytest.mark.parametrize("check", SOURCE_CHECKS)
async def test_every_kind_of_source_conforms(make: MakeSource, check: Any) -> None:
    await check(make)


@pytest.mark.parametrize("make", ["rtsp"], indirect=True)
async def test_a_camera_over_rtsp_conforms(make: MakeSource) -> None:
    await check_source(make)


@pytest.mark.parametrize(
    "options",
    [{"reconnect": True}, {"pace": "native", "reconnect": True}, {"loop": True}, {"lossless": True, "pace": "native"}],
)
async def test_however_a_file_is_read_it_conforms(clip: Path, options: dict[str, Any]) -> None:
    await check_source(lambda: open_source(clip, **options))
