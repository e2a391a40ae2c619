import asyncio
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import ConfigError, SourceError
from facestream.io.reader_source import ReaderSource
from facestream.io.reading import LazyFrame, LazyPixels, Picture
from facestream.io.sources import HashedFrame, open_source
from facestream.stream.device import Bridge
from facestream.stream.types import Frame, Source, SourceState
from facestream.testing.sources import make_clip, make_picture
from tests.threads import left_over, ours


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert left_over() == []


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=10, rate=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        cv2.imwrite(str(folder / f"{number}.png"), make_picture(number))
    return folder


@pytest.fixture(params=["video", "folder", "list", "device", "reconnecting"])
def url(request: pytest.FixtureRequest, clip: Path, folder: Path) -> str | list[Path]:
    return {
        "video": str(clip),
        "folder": str(folder),
        "list": sorted(folder.iterdir()),
        "device": f"device:lavfi:movie={clip}",
        "reconnecting": str(clip),
    }[request.param]


@pytest.fixture
def source(request: pytest.FixtureRequest, url: str | list[Path]) -> Source:
    return open_source(url, name="one", reconnect=request.node.callspec.params["url"] == "reconnecting")


class TestEverySource:
    async def test_gives_its_frames_once_and_in_order_and_ends(self, source: Source) -> None:
        async with source:
            frames = [frame async for frame in source]
        assert [frame.key for frame in frames] == [("one", 0, seq) for seq in range(10)]
        assert [frame.pts for frame in frames] == sorted(frame.pts for frame in frames)
        assert source.statistics().captured == 10
        assert source.size == frames[-1].size

    async def test_fulfils_the_protocol(self, source: Source) -> None:
        assert isinstance(source, Source)
        assert "one" in repr(source)

    async def test_closes_twice_and_unread(self, source: Source) -> None:
        async with source:
            pass
        await source.__aexit__()
        assert [frame async for frame in source] == []

    async def test_closes_unopened(self, source: Source) -> None:
        await source.__aexit__()

    async def test_closes_half_way(self, source: Source) -> None:
        async with source:
            assert (await anext(source)).seq == 0

    async def test_is_cancelled_half_way(self, source: Source) -> None:
        read = asyncio.Event()

        async def read_on() -> None:
            async with source:
                async for _ in source:
                    read.set()

        reading = asyncio.ensure_future(read_on())
        await read.wait()
        reading.cancel()
        await asyncio.wait([reading])

    async def test_lives_once(self, source: Source) -> None:
        async with source:
            with pytest.raises(RuntimeError, match="opened before"):
                await source.__aenter__()

    async def test_must_be_opened_to_be_read(self, source: Source) -> None:
        with pytest.raises(RuntimeError, match="async with source"):
            await anext(source)

    async def test_works_in_a_thread_of_the_bridge_and_gives_it_back(self, url: str | list[Path]) -> None:
        async with Bridge("cpu") as bridge:
            before = ours()
            async with open_source(url, bridge=bridge) as source:
                await anext(source)
                assert len(ours()) == len(before) + 1
            assert ours() == before


@pytest.mark.parametrize(
    ("options", "live"),
    [
        ({}, False),
        ({"pace": "native"}, True),
        ({"pace": "native", "lossless": True}, False),
        ({"pace": "native", "reconnect": True}, True),
        ({"reconnect": True}, False),
    ],
)
async def test_a_file_is_live_when_it_plays_at_its_own_pace(clip: Path, options: dict[str, bool], live: bool) -> None:
    source = open_source(clip, **options)  # type: ignore[arg-type]
    assert source.live is live
    async with source:
        assert source.live is live


async def test_a_camera_is_live_unless_every_frame_matters() -> None:
    for url in ("rtsp://cam/", "webcam:0", "push:phone"):
        for reconnect in (False, True):
            assert open_source(url, reconnect=reconnect).live
            assert not open_source(url, reconnect=reconnect, lossless=True).live


async def test_a_looped_file_goes_on_counting(clip: Path) -> None:
    async with open_source(clip, loop=True) as source:
        frames = [await anext(source) for _ in range(25)]
    assert [frame.key for frame in frames] == [("clip", 0, seq) for seq in range(25)]
    assert [round(frame.pts, 6) for frame in frames] == [number / 10 for number in range(25)]


class ThreePictures:
    """A reader of three pictures a second apart."""

    damaged = 0
    skipped = 0
    size: tuple[int, int] | None = (64, 48)
    rate: float | None = 1.0
    count: int | None = 3
    finite = True
    bursts = False

    def __init__(self) -> None:
        self.index = 0

    def open(self) -> None:
        self.index = 0

    def read(self) -> Picture | None:
        self.index += 1
        return Picture(make_picture(0), float(self.index)) if self.index <= 3 else None

    def close(self) -> None:
        pass

    def interrupt(self) -> None:
        pass


async def test_at_its_native_pace_a_recording_waits_for_its_frames_time() -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    async with ReaderSource("one", ThreePictures(), pace="native", sleep=wait) as source:
        assert len([frame async for frame in source]) == 3
    assert waits[0] == 0.0
    assert waits[1:] == pytest.approx([1.0, 2.0], abs=0.5)  # nobody really waited, so the second wait is for two


async def test_a_live_stream_that_comes_in_bursts_is_spread_over_its_own_time() -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    reader = ThreePictures()
    reader.finite, reader.bursts = False, True
    async with ReaderSource("one", reader, sleep=wait) as source:
        assert len([frame async for frame in source]) == 3
    assert waits[1:] == pytest.approx([1.0, 2.0], abs=0.5)
    async with ReaderSource("one", reader, sleep=wait, lossless=True) as source:
        assert len([frame async for frame in source]) == 3
    assert len(waits) == 3


async def test_states_run_from_connecting_over_live_to_stopped(clip: Path) -> None:
    source = open_source(clip)
    states = [source.state]
    source.on_state(lambda state, _reason: states.append(state))
    async with source:
        async for _ in source:
            pass
    assert states == [SourceState.CONNECTING, SourceState.LIVE, SourceState.STOPPED]


async def test_pictures_carry_their_file_names(folder: Path) -> None:
    async with open_source(folder) as source:
        assert (await anext(source)).name == "0.png"
        assert (source.name, source.count, source.live) == ("pictures", 10, False)


async def test_one_picture_is_a_source(folder: Path) -> None:
    async with open_source(folder / "3.png") as source:
        assert [(frame.key, frame.name) async for frame in source] == [(("3", 0, 0), "3.png")]


async def test_a_file_name_may_look_like_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", frames=2).rename(tmp_path / "concat:a=b%03d.mp4")
    async with open_source("concat:a=b%03d.mp4") as source:
        assert len([frame async for frame in source]) == 2


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("gone.mp4", "gone.mp4 isn't there"),
        ("gone.png", "can't read .*gone.png"),
        ("notes.txt", "notes.txt has no video"),
        ("broken.mp4", "broken.mp4 isn't a video"),
        ("broken.jpg", "can't use .*broken.jpg"),
        ("empty", "no picture in the folder"),
    ],
)
@pytest.mark.parametrize("reconnect", [False, True])
async def test_bad_input_is_one_line_with_its_name(tmp_path: Path, name: str, complaint: str, reconnect: bool) -> None:
    (tmp_path / "notes.txt").write_text("hello\n" * 100)
    (tmp_path / "broken.mp4").write_bytes(b"hello" * 100)
    (tmp_path / "broken.jpg").write_bytes(b"hello" * 100)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=complaint) as raised:
        async with open_source(tmp_path / name, reconnect=reconnect) as source:
            await anext(source)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("ftp://host/clip.mp4", {}),
        ("rtsp://cam/", {"rtsp_transport": "pigeon"}),
        ("clip.mp4", {"name": "a/b"}),
    ],
)
def test_what_no_source_can_be_is_refused_before_opening(url: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        open_source(url, **options)  # type: ignore[arg-type]


class TestWanted:
    @pytest.mark.parametrize("url", ["video", "folder", "list"], indirect=True)
    async def test_only_what_is_wanted_is_handed_on_and_the_rest_is_counted(self, url: str | list[Path]) -> None:
        async with open_source(url, wanted=lambda index, name: index % 3 == 1) as source:
            frames = [frame async for frame in source]
        assert [frame.seq for frame in frames] == [1, 4, 7]
        assert (source.count, source.skipped, source.statistics().captured) == (10, 7, 3)
        async with open_source(url) as source:
            everything = [frame async for frame in source]
        for frame in frames:
            assert frame.pts == everything[frame.seq].pts
            assert (frame.image == everything[frame.seq].image).all()

    @pytest.mark.parametrize("url", ["video", "folder"], indirect=True)
    async def test_nothing_at_all_may_be_wanted(self, url: str) -> None:
        async with open_source(url, wanted=lambda index, name: False) as source:
            assert [frame async for frame in source] == []
            assert source.skipped == 10

    async def test_pictures_are_chosen_by_name_and_by_their_place_in_the_folder(self, folder: Path) -> None:
        (folder / "3.png").write_bytes(b"no picture")
        asked = []

        def wanted(index: int, name: str | None) -> bool:
            asked.append((index, name))
            return name in ("2.png", "3.png", "4.png")

        async with open_source(folder, wanted=wanted) as source:
            assert [frame.name async for frame in source] == ["2.png", "4.png"]
        assert asked == [(number, f"{number}.png") for number in range(10)]

    async def test_a_picture_that_is_not_wanted_is_not_opened(self, folder: Path) -> None:
        for number in range(10):
            (folder / f"{number}.png").write_bytes(b"no picture")
        async with open_source(folder, wanted=lambda index, name: False) as source:
            assert [frame async for frame in source] == []
        assert source.statistics().damaged == 0

    async def test_a_looped_file_counts_what_it_skips(self, clip: Path) -> None:
        async with open_source(clip, loop=True, wanted=lambda index, name: index == 4) as source:
            assert [(await anext(source)).seq for _ in range(3)] == [4, 14, 24]

    async def test_closing_ends_a_search_for_a_wanted_frame(self, folder: Path) -> None:
        searching = threading.Event()
        go_on = threading.Event()

        def wanted(index: int, name: str | None) -> bool:
            if index == 1:
                searching.set()
                go_on.wait()
            return index == 0

        async with open_source(folder, wanted=wanted) as source:
            await anext(source)
            search = asyncio.ensure_future(anext(source, None))
            await asyncio.to_thread(searching.wait)
            search.cancel()
            closing = asyncio.ensure_future(source.aclose())
            await asyncio.sleep(0)
            go_on.set()
            await closing
        assert source.skipped < 9

    def test_what_is_pushed_cannot_be_chosen_from(self) -> None:
        with pytest.raises(ConfigError, match="leave wanted off"):
            open_source("push:phone", wanted=lambda index, name: True)


class TestHashes:
    async def test_a_picture_is_known_again_under_another_name(self, folder: Path) -> None:
        (folder / "copy.png").write_bytes((folder / "3.png").read_bytes())
        async with open_source(folder, hashes=True) as source:
            hashes = {frame.name: frame.sha1 async for frame in source if isinstance(frame, HashedFrame)}
        assert len(hashes) == 11
        assert hashes["copy.png"] == hashes["3.png"] == hashlib.sha1((folder / "3.png").read_bytes()).hexdigest()
        assert len(set(hashes.values())) == 10

    async def test_nothing_is_hashed_unasked(self, folder: Path) -> None:
        async with open_source(folder) as source:
            assert type(await anext(source)) is Frame

    def test_a_video_has_no_picture_files(self, clip: Path) -> None:
        with pytest.raises(ConfigError, match="leave hashes off"):
            open_source(clip, hashes=True)


async def test_live_frames_are_converted_when_they_are_used(clip: Path) -> None:
    async with open_source(clip) as source:
        expected = [frame async for frame in source]
    async with open_source(clip, pace="native") as source:
        frames = [frame async for frame in source]
    lazy = [frame for frame in frames if isinstance(frame, LazyFrame)]
    assert len(lazy) == len(expected) - 1
    assert [frame.size for frame in lazy] == [frame.size for frame in expected[1:]]
    marked = [frame.changed(dropped=3) for frame in lazy]
    for frame, other in zip(marked, expected[1:]):
        assert frame.light is not None
        assert frame.light.shape == other.image.shape[:2]
        pixels, corner = frame.around((4, 2, 30, 20))
        np.testing.assert_array_equal(pixels, other.image[2:20, 4:30])
        assert corner == (4, 2)
    held = [frame._pixels for frame in marked]
    assert not any(each.made for each in held if isinstance(each, LazyPixels))
    assert all((frame.image == other.image).all() for frame, other in zip(marked, expected[1:]))
    assert all(frame.around((4, 2, 30, 20))[0] is frame.image for frame in lazy)
    assert {frame.dropped for frame in marked} == {3}
    changed = lazy[0]
    changed.image = expected[0].image[:10]
    assert changed.size == (expected[0].size[0], 10)
