import asyncio
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facestream.errors import SourceFormatError, SourceUnavailable
from facestream.io.frame_index import index_frames, video_meta
from facestream.io.reading import Picture
from facestream.io.seek import Frames, VideoSeeker
from facestream.io.video import VideoInput, VideoReader
from facestream.stream.device import Bridge
from facestream.testing.sources import make_clip, make_picture

COUNT = 50
UNEVEN = [1.5 + number / 30 + (number % 7) / 300 for number in range(COUNT)]

CLIPS: dict[str, dict[str, Any]] = {
    "h264.mp4": {"b_frames": 3},
    "h264_open.mkv": {"b_frames": 3, "encoder": {"x264-params": "open-gop=1:scenecut=0"}},
    "h264_open.ts": {"b_frames": 2, "encoder": {"x264-params": "open-gop=1:scenecut=0"}},
    "h264_refresh.mkv": {"encoder": {"x264-params": "intra-refresh=1"}},
    "h264_short.mp4": {"b_frames": 1, "keyframe_every": 2},
    "h264_late.mkv": {"b_frames": 2, "pts": [100 + number / 30 for number in range(COUNT)]},
    "h264_uneven.mkv": {"b_frames": 2, "pts": UNEVEN},
    "h264_uneven.mp4": {"b_frames": 3, "pts": UNEVEN},
    "hevc_open.mp4": {"codec": "libx265", "b_frames": 3, "encoder": {"x265-params": "log-level=none:open-gop=1"}},
    "mpeg4.mp4": {"codec": "mpeg4", "b_frames": 2},
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 2},
    "mpeg4_plain.avi": {"codec": "mpeg4"},
    "mpeg2.ts": {"codec": "mpeg2video", "b_frames": 2},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "vp8.webm": {"codec": "libvpx", "encoder": {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}},
    "vp9.webm": {"codec": "libvpx-vp9", "encoder": {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}},
    "raw.h264": {"b_frames": 2},
}


def noisy(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).integers(0, 60, (64, 96, 3), dtype=np.uint8)
    return cv2.add(make_picture(number, (96, 64)), noise)


@pytest.fixture(scope="session", params=CLIPS)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [noisy(number) for number in range(COUNT)]
    return make_clip(tmp_path_factory.mktemp("clips") / request.param, frames=pictures, **CLIPS[request.param])


def in_order(path: Path) -> list[Picture]:
    reader = VideoReader(VideoInput(f"file:{path}", path.name, finite=True), threads=0)
    reader.open()
    pictures = []
    while (picture := reader.read()) is not None:
        pictures.append(picture)
    reader.close()
    return pictures


def same(one: Picture, other: Picture) -> bool:
    return bool((one.image == other.image).all())


def test_every_frame_is_bit_for_bit_that_of_reading_in_order(clip: Path) -> None:
    expected = in_order(clip)
    seeker = VideoSeeker(clip)
    assert len(seeker) == len(expected)
    backwards = list(range(len(expected)))[::-1]
    anywhere = np.random.default_rng(0).permutation(len(expected)).tolist()
    step = 9 if seeker.index.pts is None else 1  # without time stamps each starts at the beginning
    for index in (*backwards[::step], *anywhere[::step]):
        assert same(seeker.read(index), expected[index]), index
    seeker.close()


def test_the_index_has_the_times_and_keys_that_decoding_gives(clip: Path) -> None:
    quick, exact = video_meta(clip), video_meta(clip, exact=True)
    assert [meta.pts_time for meta in quick] == [meta.pts_time for meta in exact]
    if clip.stem != "h264_refresh":  # its container calls frames keys that aren't; reading notices
        assert quick == exact


@pytest.fixture
def gops(tmp_path: Path) -> Path:
    """Key frames at 0, 10, 20, 30 and 40."""
    return make_clip(tmp_path / "clip.mp4", frames=50, keyframe_every=10, b_frames=2)


def test_an_alignments_file_gets_its_times_and_keys(gops: Path) -> None:
    metas = video_meta(gops)
    assert len(metas) == 50
    assert [index for index, meta in enumerate(metas) if meta.keyframe] == [0, 10, 20, 30, 40]
    steps = np.diff([meta.pts_time for meta in metas])
    assert (steps == steps[0]).all()


def test_a_frame_ahead_in_the_same_group_needs_no_seek(gops: Path) -> None:
    seeker = VideoSeeker(gops)
    for index in (12, 13, 17, 19):
        seeker.read(index)
    assert seeker.seeks == 1
    seeker.read(20)
    seeker.read(12)
    assert seeker.seeks == 3
    seeker.close()
    seeker.close()


def test_the_same_frame_may_be_read_again(gops: Path) -> None:
    seeker = VideoSeeker(gops)
    assert same(seeker.read(49), seeker.read(49))
    seeker.close()


@pytest.mark.parametrize("index", [-1, 50])
def test_a_number_beyond_the_frames_is_an_index_error(gops: Path, index: int) -> None:
    seeker = VideoSeeker(gops)
    with pytest.raises(IndexError, match="has 50 frames"):
        seeker.read(index)
    seeker.close()


def test_what_is_shown_turned_is_read_turned(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=20, size=(160, 96), rotation=90)
    seeker = VideoSeeker(clip)
    assert same(seeker.read(13), in_order(clip)[13])
    seeker.close()


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_in_a_damaged_video_an_exact_index_counts_what_can_be_decoded(tmp_path: Path, codec: str) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    pictures = [noisy(number) for number in range(COUNT)]
    clip = make_clip(
        tmp_path / "clip.mp4",
        frames=pictures,
        codec=codec,
        pixel_format=pixel_format,
        options={"movflags": "faststart"},
    )
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    clip.write_bytes(data)
    expected = in_order(clip)
    assert len(expected) < COUNT
    seeker = VideoSeeker(clip, exact=True)
    assert len(seeker) == len(expected)
    assert same(seeker.read(len(expected) - 1), expected[-1])
    seeker.close()
    quick = VideoSeeker(clip)
    assert len(quick) == COUNT
    with pytest.raises(SourceFormatError, match="can't be decoded"):
        for index in range(COUNT):
            quick.read(index)
    assert same(quick.read(COUNT - 1), expected[-1])
    quick.close()


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"gone\.mp4 isn't there"):
        index_frames(tmp_path / "gone.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"hello" * 100)
    with pytest.raises(SourceFormatError, match=r"broken\.mp4 isn't a video"):
        index_frames(tmp_path / "broken.mp4")


async def test_frames_of_a_video_are_read_in_a_thread_of_the_bridge(gops: Path) -> None:
    expected = in_order(gops)
    async with Bridge("cpu") as bridge, Frames(gops, bridge=bridge) as frames:
        assert len(frames) == len(frames.metas) == 50
        pictures = await asyncio.gather(*(frames.read(index) for index in (30, 5, 49)))
    assert [same(picture, expected[index]) for picture, index in zip(pictures, (30, 5, 49))] == [True] * 3


async def test_pictures_of_a_folder_are_read_by_their_place(tmp_path: Path) -> None:
    for number in range(11):
        cv2.imwrite(str(tmp_path / f"{number}.png"), make_picture(number))
    async with Frames(tmp_path) as frames:
        picture = await frames.read(10)
        assert (len(frames), picture.name, picture.pts) == (11, "10.png", 0.4)
        assert (picture.image == make_picture(10)).all()
        with pytest.raises(IndexError, match="11 pictures"):
            await frames.read(11)


async def test_frames_that_cannot_be_opened_leave_no_thread(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable):
        async with Frames(tmp_path / "gone.mp4"):
            pass
