from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import SourceFormatError, SourceUnavailable
from facestream.io.counting import FrameCount, count_all, count_frames
from facestream.testing.sources import make_clip, make_picture


def every_third(index: int, name: str | None) -> bool:
    return index % 3 == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        cv2.imwrite(str(folder / f"{number}.png"), make_picture(number))
    return folder


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts", "h264"])
def test_a_video_is_counted_whether_its_header_tells_or_not(tmp_path: Path, ending: str, exact: bool) -> None:
    clip = make_clip(tmp_path / f"clip.{ending}", frames=20)
    assert count_frames(clip, exact=exact) == FrameCount(20, 20)
    assert count_frames(clip, wanted=every_third, exact=exact) == FrameCount(20, 7)


def test_a_file_that_was_cut_off_is_counted_rightly_only_if_asked(tmp_path: Path) -> None:
    pictures = [np.random.default_rng(n).integers(0, 255, (96, 128, 3), dtype=np.uint8) for n in range(30)]
    clip = make_clip(
        tmp_path / "clip.mp4",
        frames=pictures,
        codec="mjpeg",
        pixel_format="yuvj420p",
        options={"movflags": "faststart"},
    )
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert count_frames(clip).total == 30
    assert 5 < count_frames(clip, exact=True).total < 25


def test_pictures_are_counted_without_being_opened(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    assert count_frames(folder) == FrameCount(10, 10)
    assert count_frames(folder / "3.png") == FrameCount(1, 1)
    names = [folder / "5.png", folder / "7.png"]
    assert count_frames(names, wanted=lambda index, name: name == "7.png") == FrameCount(2, 1)


def test_several_inputs_are_counted_together(tmp_path: Path, folder: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=20)
    assert count_all([clip, folder], wanted=every_third) == FrameCount(30, 11)
    assert count_all([]) == FrameCount(0, 0)


def test_what_cannot_be_counted_says_why(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello\n" * 100)
    with pytest.raises(SourceFormatError, match=r"notes\.txt has no video in it"):
        count_frames(tmp_path / "notes.txt")
    with pytest.raises(SourceUnavailable, match=r"gone\.mp4 isn't there"):
        count_frames(tmp_path / "gone.mp4")
