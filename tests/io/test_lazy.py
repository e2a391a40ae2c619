import asyncio
from pathlib import Path

import cv2
import pytest

from facestream.errors import ConfigError, SourceError, SourceFormatError
from facestream.io.lazy import LazyFrames
from facestream.io.sources import open_source
from facestream.stream.device import Bridge
from facestream.testing.sources import make_clip, make_picture
from tests.threads import left_over


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=10, rotation=90, b_frames=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        cv2.imwrite(str(folder / f"{number}.png"), make_picture(number))
    return folder


@pytest.fixture(params=["clip", "folder"])
def location(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


async def test_pictures_are_those_that_a_source_gives(location: Path) -> None:
    async with open_source(location) as source:
        expected = [frame async for frame in source]
    async with Bridge("cpu", cpu_workers=4) as bridge, LazyFrames(location, bridge) as frames:
        lazy = [frame async for frame in frames]
        images = await asyncio.gather(*(bridge.cpu(frame.load) for frame in lazy))
        assert frames.count == 10
    assert [(frame.index, frame.name) for frame in lazy] == [(frame.seq, frame.name) for frame in expected]
    assert all((image == frame.image).all() for image, frame in zip(images, expected))


async def test_only_what_is_wanted_comes(location: Path) -> None:
    async with Bridge("cpu") as bridge, LazyFrames(location, bridge, wanted=lambda i, name: i % 4 == 1) as frames:
        assert [frame.index async for frame in frames] == [1, 5, 9]


async def test_a_picture_that_cannot_be_read_fails_when_it_is_loaded(folder: Path) -> None:
    for name in ("0.png", "3.png"):
        (folder / name).write_bytes(b"no picture")
    async with Bridge("cpu") as bridge, LazyFrames(folder, bridge) as frames:
        lazy = [frame async for frame in frames]
        assert [frame.index for frame in lazy] == list(range(1, 10))
        assert frames.damaged == 1  # the first is tried when opening
        with pytest.raises(SourceFormatError, match=r"3\.png"):
            lazy[2].load()


async def test_leaving_early_leaves_no_thread(location: Path) -> None:
    async with Bridge("cpu") as bridge:
        async with LazyFrames(location, bridge) as frames:
            await anext(frames)
        assert not left_over("facestream-read")


async def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    async with Bridge("cpu") as bridge:
        with pytest.raises(ConfigError, match="rtsp://cam/ isn't a file"):
            LazyFrames("rtsp://cam/", bridge)
        with pytest.raises(SourceError, match=r"gone\.mp4 isn't there"):
            async with LazyFrames(tmp_path / "gone.mp4", bridge):
                pass
