from pathlib import Path

import pytest

from facestream.errors import SourceError
from facestream.io.sources import open_source
from facestream.io.webcams import Webcam, list_webcams, webcam_input
from facestream.testing.sources import make_clip


def make_node(folder: Path, number: int, name: str, index: str = "0") -> None:
    node = folder / f"video{number}"
    node.mkdir(parents=True)
    (node / "name").write_text(f"{name}\n")
    (node / "index").write_text(f"{index}\n")


def test_linux_lists_each_camera_once(tmp_path: Path) -> None:
    make_node(tmp_path, 10, "Capture Card")
    make_node(tmp_path, 2, "HD Webcam")
    make_node(tmp_path, 3, "HD Webcam", index="1")  # its metadata
    assert list_webcams("linux", tmp_path) == [
        Webcam("webcam:2", "HD Webcam"),
        Webcam("webcam:10", "Capture Card"),
    ]


def test_a_machine_without_cameras_has_none(tmp_path: Path) -> None:
    assert list_webcams("linux", tmp_path / "none") == []
    assert list_webcams("plan9") == []
    assert isinstance(list_webcams(), list)


@pytest.mark.parametrize(
    ("url", "platform", "target", "format"),
    [
        ("webcam:1", "linux", "/dev/video1", "v4l2"),
        ("/dev/video1", "linux", "/dev/video1", "v4l2"),
        ("webcam:1", "darwin", "1:none", "avfoundation"),
    ],
)
def test_a_webcam_is_opened_by_the_platforms_own_layer(url: str, platform: str, target: str, format: str) -> None:
    found = webcam_input(url, platform)
    assert (found.target, found.format) == (target, format)


def test_on_windows_a_number_without_camera_is_refused_when_it_is_opened() -> None:
    target = webcam_input("webcam:7", "win32").target
    assert callable(target)
    with pytest.raises(SourceError, match="facestream sources"):
        target()


async def test_a_device_is_a_live_source(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=10)
    async with open_source(f"device:lavfi:movie={clip}:loop=0,setpts=N/FRAME_RATE/TB", name="desk") as source:
        assert source.live
        frames = [await anext(source) for _ in range(35)]
    assert [frame.seq for frame in frames] == list(range(35))
    assert frames[0].size == (160, 120)
    assert frames[-1].pts > frames[0].pts


@pytest.mark.parametrize("url", ["/dev/video97", "webcam:97", "device:nosuchformat:x", "device:lavfi:nosuchfilter"])
async def test_a_device_that_isnt_there_says_what_to_check(url: str) -> None:
    with pytest.raises(SourceError, match="plugged in") as raised:
        await open_source(url).__aenter__()
    assert "\n" not in str(raised.value)
