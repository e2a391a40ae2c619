"""Where drawn frames go: a folder of pictures, or a video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final, Protocol

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream

from facestream.errors import FacestreamError
from facestream.io.faces import write_atomically
from facestream.stream.types import Image

_QUALITY: Final = 92  # JPEG's
_CODEC: Final = "libx264"
_CRF: Final = "20"


class Drawn(Protocol):
    """Takes drawn frames in order."""

    def write(self, stem: str, image: Image) -> None:
        """Take a frame, uint8 BGR (h, w, 3).

        Raises:
            FacestreamError: it can't be written.
        """


class DrawnPictures:
    """``<frame stem>.jpg`` in a new folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir()
        except OSError as error:
            raise FacestreamError(f"can't make {folder}: {error.strerror}; check its parent's rights") from error

    def write(self, stem: str, image: Image) -> None:
        done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not done:
            raise ValueError(f"OpenCV can't encode {image.shape} as a JPEG")
        path = self._folder / f"{stem}.jpg"
        try:
            write_atomically(path, content.tobytes())
        except OSError as error:
            raise FacestreamError(f"can't write {path}: {error.strerror}; make room and start again") from error


class _DrawnVideo:
    """H.264 in the first frame's size; frames of other sizes are scaled to it."""

    def __init__(self, path: Path, container: av.container.OutputContainer, rate: Fraction) -> None:
        self._path = path
        self._container = container
        self._rate = rate
        self._stream: VideoStream | None = None

    def write(self, stem: str, image: Image) -> None:
        if self._stream is None:
            self._stream = self._start(image)
        stream = self._stream
        if image.shape[:2] != (stream.height, stream.width):
            image = np.asarray(cv2.resize(image, (stream.width, stream.height), interpolation=cv2.INTER_AREA), np.uint8)
        self._mux(av.VideoFrame.from_ndarray(image, format="bgr24"))

    def _start(self, image: Image) -> VideoStream:
        stream = self._container.add_stream(_CODEC, rate=self._rate, options={"crf": _CRF})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = (
            max(2, edge - edge % 2) for edge in image.shape[:2]
        )  # 4:2:0 knows even edges only
        stream.pix_fmt = "yuv420p"
        return stream

    def finish(self) -> None:
        """Write what the encoder holds back."""
        if self._stream is not None:
            self._mux(None)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        assert self._stream is not None
        self._container.mux(self._stream.encode(frame))


@contextmanager
def drawn_video(path: Path, rate: Fraction) -> Iterator[Drawn]:
    """A new video; what was written until an error stays playable.

    Raises:
        FacestreamError: it can't be written.
    """
    try:
        with av.open(str(path), "w") as container:
            video = _DrawnVideo(path, container, rate)
            try:
                yield video
            finally:
                video.finish()
    except (FFmpegError, OSError) as error:
        raise FacestreamError(
            f"can't write {path}: {error.strerror}; check the folder, or leave --video out"
        ) from error
