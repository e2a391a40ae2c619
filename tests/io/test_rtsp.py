"""Against a real RTSP server, GStreamer's."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from facestream.errors import SourceUnavailable
from facestream.io.backoff import Backoff
from facestream.io.base import BaseSource
from facestream.io.live import ReconnectingSource
from facestream.io.sources import RtspTransport, open_source
from facestream.stream.device import Lane
from facestream.stream.types import Frame, SourceState
from facestream.testing.sources import make_clip
from tests import needs
from tests.rtsp_camera import RtspCamera

FULL = os.environ.get("FACESTREAM_FULL") == "1"
RESTARTS = 10 if FULL else 5
BACKOFF_LIMIT = 0.2
COMES_BACK_WITHIN = 2.0 + BACKOFF_LIMIT if FULL else 60.0  # otherwise there may be others who keep the machine busy


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs.gstreamer()
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=60, size=(320, 240), rate=30)


@pytest.fixture
def camera(clip: Path) -> Iterator[RtspCamera]:
    with RtspCamera(clip) as camera:
        yield camera


@pytest.fixture(scope="module")
def locked_camera(clip: Path) -> Iterator[RtspCamera]:
    with RtspCamera(clip, user="bob", password="p@ss/w:rd") as camera:
        yield camera


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_camera_is_read_over_tcp_and_udp(camera: RtspCamera, transport: RtspTransport) -> None:
    source = open_source(camera.url, rtsp_transport=transport, reconnect=True, backoff=Backoff(0.1, BACKOFF_LIMIT))
    frames: list[Frame] = []
    async with source, asyncio.timeout(120):
        while len(frames) < 90:  # longer than the clip
            frame = await anext(source)
            if frame.seq == 0:  # GStreamer's server hangs up on whom a busy machine keeps from reading
                frames.clear()
            frames.append(frame)
    assert source.live
    assert [frame.seq for frame in frames] == list(range(90))
    assert frames[0].size == (320, 240)
    assert all(frame.image[60, 80, 2] > 200 for frame in frames)  # the red quarter, undamaged
    assert frames[-1].pts - frames[0].pts == pytest.approx(89 / 30, abs=0.1)


async def test_a_password_lets_us_in(locked_camera: RtspCamera) -> None:
    url = locked_camera.url.replace("//", "//bob:p%40ss%2Fw%3Ard@")
    async with open_source(url) as source, asyncio.timeout(60):
        assert (await anext(source)).size == (320, 240)
        assert "p%40ss" not in repr(source)


async def test_a_wrong_password_says_so_without_telling_it(locked_camera: RtspCamera) -> None:
    url = locked_camera.url.replace("//", "//bob:secret@")
    with pytest.raises(SourceUnavailable, match=r"refused the user name or password \(401\)") as raised:
        await open_source(url).__aenter__()
    assert "secret" not in str(raised.value)
    assert "bob" not in str(raised.value)


async def test_a_wrong_password_degrades_a_live_source_and_it_goes_on_trying(
    locked_camera: RtspCamera, caplog: pytest.LogCaptureFixture
) -> None:
    url = locked_camera.url.replace("//", "//bob:secret@")
    third_try = asyncio.Event()

    async def wait(_seconds: float) -> None:
        await asyncio.sleep(0)
        if source.statistics().reconnects >= 2:
            third_try.set()

    source = ReconnectingSource("door", lambda: open_source(url), sleep=wait)
    async with source, following(source), asyncio.timeout(60):
        await third_try.wait()
        assert source.state is SourceState.DEGRADED
        assert "(401)" in source.reason
        assert "secret" not in source.reason + caplog.text


async def test_an_unknown_path_says_so(camera: RtspCamera) -> None:
    with pytest.raises(SourceUnavailable, match=r"has no such stream \(404\)"):
        await open_source(f"{camera.url}/nosuch").__aenter__()


class Progress:
    """What has been read so far; others wait for it to go on."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, int]] = []
        self._changed = asyncio.Condition()

    async def add(self, frame: Frame) -> None:
        async with self._changed:
            self.keys.append((frame.epoch, frame.seq))
            self._changed.notify_all()

    @property
    def epoch(self) -> int:
        return self.keys[-1][0]

    async def reach(self, epoch: int, frames: int) -> None:
        """Wait for so many frames of ``epoch``, or of a later one."""
        async with self._changed:
            await self._changed.wait_for(lambda: any(e >= epoch and seq >= frames - 1 for e, seq in self.keys))


@contextlib.asynccontextmanager
async def following(source: BaseSource) -> AsyncIterator[Progress]:
    progress = Progress()

    async def follow() -> None:
        async for frame in source:
            await progress.add(frame)

    reading = asyncio.ensure_future(follow())
    try:
        yield progress
    finally:
        reading.cancel()
        await asyncio.wait([reading])


def belongings() -> tuple[int, int, int]:
    """Threads, file descriptors and megabytes of this process."""
    process = psutil.Process()
    descriptors = process.num_fds() if os.name == "posix" else process.num_handles()
    return process.num_threads(), descriptors, process.memory_info().rss >> 20


async def no_more_than(before: tuple[int, int, int]) -> None:
    """Wait until no more threads and descriptors are there: what has ended goes a moment later."""
    while any(now > then for now, then in zip(belongings()[:2], before)):  # noqa: ASYNC110 - nothing tells it
        await asyncio.sleep(0.05)


async def test_a_camera_killed_and_restarted_again_and_again_comes_back_each_time(camera: RtspCamera) -> None:
    states: list[SourceState] = []
    comeback: list[float] = []
    clock = asyncio.get_running_loop().time
    source = open_source(camera.url, reconnect=True, backoff=Backoff(0.1, BACKOFF_LIMIT), read_timeout=20)
    source.on_state(lambda state, _reason: states.append(state))
    begin = (0, 0, 0)
    async with asyncio.timeout(110), contextlib.aclosing(Lane("tests")) as lane, source, following(source) as progress:
        await progress.reach(epoch=0, frames=5)
        for restart in range(1, RESTARTS + 1):
            await lane.run(camera.restart)
            returned = clock()
            await progress.reach(epoch=restart, frames=1)
            comeback.append(clock() - returned)
            await progress.reach(epoch=restart, frames=5)
            if restart == 1:
                begin = belongings()
        await no_more_than(begin)
        memory = belongings()[2]
    epochs = [epoch for epoch, seq in progress.keys if seq == 0]
    assert epochs == list(range(len(epochs)))
    assert len(epochs) > RESTARTS
    assert states.count(SourceState.LIVE) == len(epochs)
    assert set(states) == {SourceState.LIVE, SourceState.DEGRADED, SourceState.STOPPED}
    assert max(comeback) < COMES_BACK_WITHIN
    assert memory <= begin[2] + (4 if FULL else 20)


async def test_a_camera_over_udp_that_falls_silent_is_lost_after_the_time_out(camera: RtspCamera) -> None:
    source = open_source(
        camera.url, reconnect=True, rtsp_transport="udp", backoff=Backoff(0.1, BACKOFF_LIMIT), read_timeout=1
    )
    async with asyncio.timeout(60), source, following(source) as progress:
        await progress.reach(epoch=0, frames=5)
        lost = progress.epoch
        await asyncio.to_thread(camera.restart)
        await progress.reach(epoch=lost + 1, frames=5)


async def test_a_camera_that_hangs_is_lost_after_the_time_out_and_comes_back(camera: RtspCamera) -> None:
    lost = asyncio.Event()
    source = open_source(
        camera.url, reconnect=True, backoff=Backoff(0.1, BACKOFF_LIMIT), open_timeout=2, read_timeout=2
    )
    source.on_state(lambda state, _reason: lost.set() if state is SourceState.DEGRADED else None)
    async with asyncio.timeout(60), source, following(source) as progress:
        await progress.reach(epoch=0, frames=5)
        lost.clear()
        camera.freeze()
        await lost.wait()
        assert "2 s" in source.reason  # no answer, or no picture: it hung in the middle of either
        before = progress.epoch
        camera.thaw()
        await progress.reach(epoch=before + 1, frames=5)


async def test_closing_a_camera_that_hangs_takes_no_longer_than_the_time_out(camera: RtspCamera) -> None:
    async with asyncio.timeout(60), open_source(camera.url, read_timeout=1) as source, following(source) as progress:
        await progress.reach(epoch=0, frames=3)
        camera.freeze()
    assert source.state is SourceState.STOPPED


async def test_closing_while_it_reads_leaves_no_connection(camera: RtspCamera) -> None:
    def connections() -> list[int]:
        return [c.raddr.port for c in psutil.Process().net_connections() if c.raddr and c.raddr.port == camera.port]

    async with open_source(camera.url) as source, following(source) as progress:
        await progress.reach(epoch=0, frames=3)
        assert connections()
    assert connections() == []
