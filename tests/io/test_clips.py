"""Clips are decoded again and compared with what their source sent."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from facestream.errors import OutputError, SourceFormatError, SourceUnavailable
from facestream.io.base import BaseSource
from facestream.io.clips import PacketKeeper
from facestream.io.live import ReconnectingSource
from facestream.io.push import PushSource
from facestream.io.reader_source import ReaderSource
from facestream.io.sources import open_source
from facestream.io.video import VideoInput, VideoReader
from facestream.stream.device import Bridge
from facestream.stream.types import SourceState
from facestream.testing.sources import make_clip
from tests import needs
from tests.rtsp_camera import RtspCamera

FRAMES, RATE, GROUP = 60, 30, 15
QUICK = {"preset": "ultrafast"}


def packets_of(path: Path) -> list[Packet[Stream]]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def bytes_of(packets: list[Packet[Stream]]) -> list[bytes]:
    return [bytes(packet) for packet in packets]  # type: ignore[call-overload]


def pixels_of(path: Path, start: int = 0) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in itertools.islice(container.decode(video=0), start, None)]


def reader_of(film: Path, keeper: PacketKeeper) -> VideoReader:
    return VideoReader(VideoInput(f"file:{film}", film.name, finite=True), keeper=keeper)


def source_of(film: Path, bridge: Bridge | None = None, *, seconds: float = 1.0, loop: bool = False) -> ReaderSource:
    """Reads one frame for each that it's asked for, so that tests know where it is."""
    keeper = PacketKeeper(seconds)
    return ReaderSource("film", reader_of(film, keeper), loop=loop, keeper=keeper, bridge=bridge)


@asynccontextmanager
async def opened(film: Path, **options: Any) -> AsyncIterator[BaseSource]:
    async with Bridge("cpu", torch_threads=1) as bridge, source_of(film, bridge, **options) as source:
        yield source


async def read(source: BaseSource, frames: int) -> None:
    for _ in range(frames):
        await anext(source)


async def clip_around(source: BaseSource, path: Path, before: float, after: float, rest: int = FRAMES) -> float:
    """A clip made while the source goes on for ``rest`` frames."""
    making = asyncio.ensure_future(source.clip(before, after, path))
    await asyncio.sleep(0)
    for _ in range(rest):
        if await anext(source, None) is None:
            break
    return await making


def descriptors() -> set[str]:
    return {os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}


def containers() -> int:
    return sum(type(each) in (InputContainer, OutputContainer) for each in gc.get_objects())


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The disk is full, so to speak."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("clips") / "film.mp4", frames=FRAMES, rate=RATE, keyframe_every=GROUP, encoder=QUICK
    )


@pytest.mark.parametrize(
    ("codec", "name", "more"),
    [
        ("libx264", "film.mp4", {"b_frames": 2, "encoder": {"preset": "veryfast"}}),
        ("libx264", "film.mkv", {"b_frames": 2, "encoder": {"preset": "veryfast"}}),
        ("libx264", "film.mp4", {"rotation": 90, "encoder": QUICK}),
        ("libx265", "film.mp4", {"encoder": {"x265-params": "log-level=none", **QUICK}}),
        ("mjpeg", "film.mp4", {"pixel_format": "yuvj420p"}),
        ("mpeg4", "film.avi", {}),
    ],
)
async def test_a_clip_is_what_the_source_sent(tmp_path: Path, codec: str, name: str, more: dict[str, Any]) -> None:
    film = make_clip(tmp_path / name, codec=codec, frames=FRAMES, rate=RATE, keyframe_every=GROUP, **more)
    out = tmp_path / "out.mp4"
    async with opened(film) as source:
        await read(source, 40)
        await clip_around(source, out, before=0.5, after=0.3)
    original, taken = packets_of(film), packets_of(out)
    start = bytes_of(original).index(bytes_of(taken)[0])
    assert bytes_of(taken) == bytes_of(original)[start : start + len(taken)]
    assert taken[0].is_keyframe
    shown = pixels_of(out)
    assert len(shown) == len(taken)
    in_both = slice(0, len(shown) - 2)  # frames out of order: the last ones' turn may come after the clip
    assert all(np.array_equal(a, b) for a, b in zip(shown[in_both], pixels_of(film, start)[in_both], strict=True))


async def test_a_clip_begins_at_the_key_frame_before_its_time_and_ends_after_it(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 41)  # the last is number 40; 0.5 s before is number 25; the key frame before that, 15
        seconds = await clip_around(source, tmp_path / "out.mp4", before=0.5, after=0.3)
    assert bytes_of(packets_of(tmp_path / "out.mp4")) == bytes_of(packets_of(film))[15:50]  # number 49 is 0.3 s after
    assert seconds == pytest.approx(34 / RATE)


async def test_time_stamps_begin_at_0_and_rise(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 41)
        await source.clip(0.5, 0.0, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([n / RATE for n in range(26)])


async def test_a_clip_ends_with_its_source(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 41)
        making = asyncio.ensure_future(source.clip(0.2, 60.0, tmp_path / "out.mp4"))
        await asyncio.sleep(0)
        await read(source, 5)
        await source.aclose()
        assert await making == pytest.approx(15 / RATE)
    assert bytes_of(packets_of(tmp_path / "out.mp4")) == bytes_of(packets_of(film))[30:46]


async def test_a_film_that_begins_again_ends_a_clip(film: Path, tmp_path: Path) -> None:
    async with opened(film, loop=True) as source:
        await read(source, 50)
        await clip_around(source, tmp_path / "out.mp4", before=0.0, after=10.0, rest=FRAMES)
    assert bytes_of(packets_of(tmp_path / "out.mp4")) == bytes_of(packets_of(film))[45:]


async def test_a_lost_connection_ends_a_clip_and_what_it_sent_can_still_be_had(film: Path, tmp_path: Path) -> None:
    again = asyncio.Event()

    async def wait(_seconds: float) -> None:
        await again.wait()

    class Lost(VideoReader):
        def read(self) -> Any:
            picture = super().read()
            if picture is None:
                self.close()
                raise SourceUnavailable("lost")
            return picture

    def connect() -> ReaderSource:
        keeper = PacketKeeper(1.0)
        lost = Lost(VideoInput(f"file:{film}", film.name, finite=True), keeper=keeper)
        return ReaderSource("film", lost, keeper=keeper)

    source = ReconnectingSource("film", connect, sleep=wait)
    lost = asyncio.Event()
    source.on_state(lambda state, _: lost.set() if state is SourceState.DEGRADED else None)
    async with source:
        await read(source, 50)
        making = asyncio.ensure_future(source.clip(0.0, 60.0, tmp_path / "before.mp4"))
        reading = asyncio.ensure_future(read(source, 30))
        await making
        await lost.wait()
        await source.clip(0.0, 60.0, tmp_path / "meanwhile.mp4")
        again.set()
        await reading
        await source.clip(9.0, 0.0, tmp_path / "after.mp4")
    original = bytes_of(packets_of(film))
    assert bytes_of(packets_of(tmp_path / "before.mp4")) == original[45:]
    assert bytes_of(packets_of(tmp_path / "meanwhile.mp4")) == original[45:]
    assert bytes_of(packets_of(tmp_path / "after.mp4")) == original[:20]


async def test_clips_may_overlap(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 20)
        first = asyncio.ensure_future(source.clip(0.1, 0.5, tmp_path / "first.mp4"))
        await asyncio.sleep(0)
        await read(source, 5)
        await clip_around(source, tmp_path / "second.mp4", before=0.0, after=0.6)
        await first
    original = bytes_of(packets_of(film))
    assert bytes_of(packets_of(tmp_path / "first.mp4")) == original[15:35]
    assert bytes_of(packets_of(tmp_path / "second.mp4")) == original[15:43]


async def test_a_clip_is_its_owners_alone_and_nothing_lies_beside_it(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 20)
        await source.clip(0.5, 0.0, tmp_path / "out.mp4")
    assert stat.S_IMODE((tmp_path / "out.mp4").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["out.mp4"]


async def test_an_index_stands_first_so_that_a_browser_can_begin(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 20)
        await source.clip(0.5, 0.0, tmp_path / "out.mp4")
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


async def test_hevc_is_marked_as_apples_players_want_it(tmp_path: Path) -> None:
    film = make_clip(
        tmp_path / "film.mkv", codec="libx265", frames=5, encoder={"x265-params": "log-level=none", **QUICK}
    )
    async with opened(film) as source:
        await read(source, 3)
        await source.clip(1.0, 0.0, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


async def test_cancelling_leaves_no_file_while_packets_are_awaited(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 20)
        making = asyncio.ensure_future(source.clip(0.5, 60.0, tmp_path / "out.mp4"))
        await asyncio.sleep(0)
        making.cancel()
        await asyncio.wait([making])
        await read(source, 20)
    assert making.cancelled()
    assert os.listdir(tmp_path) == []


async def test_cancelling_leaves_no_file_while_it_is_written(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 20)
        making = asyncio.ensure_future(source.clip(0.5, 0.0, tmp_path / "out.mp4"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the writer has it
        making.cancel()
        await asyncio.wait([making])
    assert making.cancelled()
    assert os.listdir(tmp_path) == []


async def test_a_codec_that_mp4_lacks_is_refused_and_matroska_takes_it(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.webm", codec="libvpx", frames=20, rate=RATE, encoder={"deadline": "realtime"})
    async with opened(film) as source:
        await read(source, 10)
        with pytest.raises(SourceFormatError, match=r"MP4 doesn't hold its vp8 .*\.mkv"):
            await source.clip(1.0, 0.0, tmp_path / "out.mp4")
        assert not any("out.mp4" in name for name in descriptors())
        await source.clip(1.0, 0.0, tmp_path / "out.mkv")
    assert bytes_of(packets_of(tmp_path / "out.mkv")) == bytes_of(packets_of(film))[:10]
    assert sorted(os.listdir(tmp_path)) == ["film.webm", "out.mkv"]


async def test_raw_pictures_make_no_clip(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.avi", codec="rawvideo", frames=5)
    async with opened(film) as source:
        await read(source, 3)
        with pytest.raises(SourceFormatError, match="raw pictures"):
            await source.clip(1.0, 0.0, tmp_path / "out.mp4")


async def test_who_keeps_no_packets_says_so(film: Path, tmp_path: Path) -> None:
    for source in (open_source(film, name="hall"), PushSource("hall"), open_source(tmp_path, keep_packets=5.0)):
        with pytest.raises(SourceFormatError, match=r"no clip of .*: it keeps no packets"):
            await source.clip(1.0, 1.0, tmp_path / "out.mp4")
        await source.aclose()


async def test_who_is_not_connected_has_no_clip_yet(film: Path, tmp_path: Path) -> None:
    for reconnect in (False, True):
        source = open_source(film, keep_packets=5.0, reconnect=reconnect)
        with pytest.raises(SourceUnavailable, match="connected yet"):
            await source.clip(1.0, 1.0, tmp_path / "out.mp4")
        await source.aclose()


async def test_a_file_that_cannot_be_written_is_no_fault_of_the_source(film: Path, tmp_path: Path) -> None:
    async with opened(film) as source:
        await read(source, 3)
        with pytest.raises(OutputError, match=r"can't write the clip out\.mp4: No such file or directory"):
            await source.clip(1.0, 0.0, tmp_path / "nowhere" / "out.mp4")
        assert (await anext(source)).seq == 3


@pytest.mark.parametrize("room", [0, 100, 10_000])
async def test_a_full_disk_leaves_no_file_and_no_descriptor(film: Path, tmp_path: Path, room: int) -> None:
    async with opened(film) as source:
        await read(source, 30)
        with no_file_above(room), pytest.raises(OutputError, match=r"can't write the clip out\.mp4: File too large"):
            await source.clip(1.0, 0.0, tmp_path / "out.mp4")
        assert not any("out.mp4" in name for name in descriptors())
        assert os.listdir(tmp_path) == []
        await source.clip(1.0, 0.0, tmp_path / "out.mp4")


async def test_clips_and_connections_leave_nothing_to_the_garbage_collector(film: Path, tmp_path: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        before = containers()
        for _ in range(3):
            async with opened(film) as source:
                await read(source, 20)
                await source.clip(0.5, 0.0, tmp_path / "out.mp4")
            del source
        assert containers() == before
    finally:
        gc.enable()


async def test_a_source_opened_by_its_url_makes_clips_without_a_bridge(film: Path, tmp_path: Path) -> None:
    async with open_source(film, keep_packets=1.0, reconnect=True) as source:
        await read(source, 30)
        assert await source.clip(0.2, 0.0, tmp_path / "out.mp4") > 0.2
    assert packets_of(tmp_path / "out.mp4")[0].is_keyframe


async def test_a_clip_of_a_real_camera(tmp_path: Path) -> None:
    needs.gstreamer()
    film = make_clip(tmp_path / "film.mp4", frames=60, size=(320, 240), rate=30, encoder=QUICK)
    with RtspCamera(film) as camera:
        async with open_source(camera.url, reconnect=True, keep_packets=1.0) as source, asyncio.timeout(60):
            frames = [await anext(source) for _ in range(45)]
            making = asyncio.ensure_future(source.clip(0.5, 0.4, tmp_path / "out.mp4"))
            while not making.done():
                frames.append(await anext(source))
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = list(container.decode(video=0))
    pictures = [frame.to_ndarray(format="bgr24") for frame in shown]
    start = next(i for i, frame in enumerate(frames) if np.array_equal(frame.image, pictures[0]))
    assert start <= 44 - 15
    assert shown[0].time == 0
    assert shown[0].key_frame
    assert shown[-1].time >= 0.9
    assert all(np.array_equal(f.image, p) for f, p in zip(frames[start : start + len(shown)], pictures, strict=False))
