"""Some RTSP cameras of mixed size and rate, each a process that can be maltreated by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import av
import cv2

from facestream.stream.types import Image
from facestream.testing.sources import make_clip, make_picture
from tests.rtsp_camera import RtspCamera

USER = "watcher"
PASSWORDS = "open sesame", "p@ss/w:rd"
"""A camera's at first, and after it was changed."""


@dataclass(frozen=True, slots=True)
class Model:
    """A camera as it is bought.

    Attributes:
        sizes: what it sends at first, and after it was set otherwise.
        rate: frames a second.
        faces: somebody comes for four seconds out of twelve, rather than nobody ever.
    """

    name: str
    sizes: tuple[tuple[int, int], tuple[int, int]]
    rate: int
    faces: bool = False


FEW = (
    Model("door", ((320, 180), (480, 270)), 5, faces=True),
    Model("yard", ((320, 240), (160, 120)), 15),
)
MANY = (
    *FEW,
    Model("hall", ((640, 360), (320, 180)), 5, faces=True),
    Model("gate", ((352, 288), (640, 480)), 10),
    Model("shed", ((160, 120), (352, 288)), 15),
    Model("roof", ((640, 480), (1280, 720)), 5),
    Model("lane", ((320, 180), (640, 360)), 8),
    Model("pond", ((240, 180), (320, 240)), 3),
)


class Farm:
    """The cameras, by name; a context manager that starts and ends them all.

    Args:
        folder: where their clips go.
        face_clip: a video of one face, for the models with ``faces``.
    """

    def __init__(self, models: Sequence[Model], folder: Path, face_clip: Path) -> None:
        self.models = {model.name: model for model in models}
        self._clips = {model.name: [_clip(model, size, folder, face_clip) for size in model.sizes] for model in models}
        self.cameras = {
            name: RtspCamera(clips[0], user=USER, password=PASSWORDS[0], encoded=True)
            for name, clips in self._clips.items()
        }
        self._stack = ExitStack()

    @property
    def urls(self) -> list[str]:
        """Each as ``NAME=rtsp://…``, with its present password."""
        return [f"{name}={self.url(name)}" for name in self.cameras]

    def url(self, name: str) -> str:
        """With the present password."""
        camera = self.cameras[name]
        return camera.url.replace("//", f"//{USER}:{quote(camera.password, safe='')}@")

    def lock(self, name: str) -> None:
        """Ask for the other password from its next start on."""
        camera = self.cameras[name]
        camera.password = PASSWORDS[1 - PASSWORDS.index(camera.password)]

    def resize(self, name: str) -> None:
        """Let it send its other size from its next start on."""
        clips = self._clips[name]
        camera = self.cameras[name]
        camera.clip = clips[1 - clips.index(camera.clip)]

    def __enter__(self) -> Self:
        for camera in self.cameras.values():
            self._stack.enter_context(camera)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _clip(model: Model, size: tuple[int, int], folder: Path, face_clip: Path) -> Path:
    path = folder / f"{model.name}-{size[0]}x{size[1]}.mp4"
    pictures = list(_visits(size, model.rate, face_clip)) if model.faces else _scenery(size, model.rate)
    return make_clip(path, frames=pictures, rate=model.rate, keyframe_every=model.rate, encoder={"preset": "veryfast"})


def _scenery(size: tuple[int, int], rate: int) -> list[Image]:
    return [make_picture(number, size) for number in range(4 * rate)]


def _visits(size: tuple[int, int], rate: int, face_clip: Path) -> Iterable[Image]:
    """Somebody for four seconds, nobody for eight."""
    with av.open(str(face_clip)) as video:
        every = max(1, round(float(video.streams.video[0].average_rate or 25) / rate))
        shown = islice(video.decode(video=0), 0, None, every)
        pictures = [cv2.resize(picture.to_ndarray(format="bgr24"), size) for picture in islice(shown, 4 * rate)]
    yield from islice(cycle(pictures), 4 * rate)
    nobody = cv2.GaussianBlur(make_picture(0, size), (0, 0), 9)
    for _ in range(8 * rate):
        yield nobody
