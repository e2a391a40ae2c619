"""Cameras that hang on this machine: which there are, and how FFmpeg's device layer calls them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from facestream.errors import SourceUnavailable
from facestream.io.video import VideoInput

_HINT = "check that it is plugged in and that no other program uses it; `facestream sources` lists webcams"


@dataclass(frozen=True, slots=True)
class Webcam:
    """A camera of this machine: ``url`` opens it, ``label`` is what it calls itself."""

    url: str
    label: str


def list_webcams(platform: str = sys.platform, sysfs: Path = Path("/sys/class/video4linux")) -> list[Webcam]:
    """The cameras of this machine, in the order of their numbers. Blocks for as long as the system takes to
    say.
    """
    if platform == "linux":
        return _linux_webcams(sysfs)
    layer = {"darwin": "avfoundation", "win32": "dshow"}.get(platform)
    if layer is None:
        return []
    return [Webcam(f"webcam:{number}", label) for number, (_, label) in enumerate(_devices(layer))]


def _linux_webcams(sysfs: Path) -> list[Webcam]:
    """One node a camera: those with another index than 0 carry metadata instead of pictures (Linux,
    uvcvideo).
    """
    found = []
    for node in sysfs.glob("video*") if sysfs.is_dir() else ():
        if node.name[5:].isdecimal() and _first_line(node / "index") in ("", "0"):
            found.append((int(node.name[5:]), _first_line(node / "name") or node.name))
    return [Webcam(f"webcam:{number}", label) for number, label in sorted(found)]


def _first_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _devices(layer: str) -> list[tuple[str, str]]:
    """(name, description) of the video devices of FFmpeg's ``layer``; none where it isn't built in."""
    from av.device import enumerate_input_devices
    from av.error import FFmpegError

    try:
        devices = enumerate_input_devices(layer)
    except (ValueError, FFmpegError):
        return []
    return [
        (device.name, device.description or device.name)
        for device in devices
        if not device.media_types or "video" in device.media_types
    ]


def webcam_input(url: str, platform: str = sys.platform) -> VideoInput:
    """How to open ``webcam:N`` or ``/dev/videoN``."""
    number = url.removeprefix("webcam:")
    if platform == "darwin":
        return VideoInput(f"{number}:none", url, _HINT, "avfoundation", {"framerate": "30"})
    if platform == "win32":
        return VideoInput(lambda: _dshow_name(url), url, _HINT, "dshow")
    return VideoInput(number if number.startswith("/") else f"/dev/video{number}", url, _HINT, "v4l2")


def _dshow_name(url: str) -> str:
    """DirectShow knows cameras by name only, so look for the one with the number."""
    devices = _devices("dshow")
    number = url.removeprefix("webcam:")
    if not number.isdecimal() or int(number) >= len(devices):
        raise SourceUnavailable(f"{url} isn't there; see `facestream sources`")
    return f"video={devices[int(number)][0]}"


def device_input(url: str) -> VideoInput:
    """How to open ``device:FORMAT:NAME``: any input device of FFmpeg's, through the same code as a webcam."""
    _, format, name = url.split(":", 2)
    return VideoInput(name, f"device:{format}", _HINT, format)
