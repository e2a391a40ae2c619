"""Decoded frames → pictures as they are shown: BGR, turned and mirrored by the display matrix."""

from __future__ import annotations

from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from av.buffer import Buffer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from facestream.stream.types import Image, Region

_HALVED: Final = frozenset({"yuv420p", "yuvj420p"})
_LUMA_FIRST: Final = _HALVED | {"yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}
"""Formats whose first plane is how bright each pixel is, in a byte."""

DisplayMatrix: TypeAlias = npt.NDArray[np.int32]


class FrameConverter:
    """Converts the frames of one stream.

    A frame's :meth:`matrix` must be asked of frame after frame, in order and in one thread; converting may then go on
    in several at once.

    Args:
        ask_first: ask the first frame for its display matrix in any case: turned upside down in a mirror, its
            rotation is 0.
    """

    def __init__(self, *, ask_first: bool) -> None:
        # Kept for the next frame: making a scaler anew for each costs time and memory. One for each frame that is
        # being converted at the same time, and others for parts, which have other sizes.
        self._reformatters: dict[bool, list[VideoReformatter]] = {False: [], True: []}
        self._rotation: int | None = None if ask_first else 0
        self._matrix: DisplayMatrix | None = None

    def image(self, frame: VideoFrame) -> Image:
        """:meth:`matrix` and :meth:`convert` in one."""
        return self.convert(frame, self.matrix(frame))

    def convert(self, frame: VideoFrame, matrix: DisplayMatrix | None, region: Region | None = None) -> Image:
        """uint8 BGR (h, w, 3), turned by ``matrix``, whatever the pixel format. From any thread.

        Args:
            region: what of it is needed; the rest costs little where the format is the usual one and nothing turns.

        Raises:
            FFmpegError, ValueError: the pixel format can't be converted.
        """
        if region is not None:
            if matrix is not None or frame.format.name not in _HALVED:
                left, top, right, bottom = region
                return self.convert(frame, matrix)[top:bottom, left:right]
            # Chroma is shared by 2x2 pixels, and FFmpeg's arithmetic differs for odd edges: cut a little more.
            x, y, right, bottom = region
            left, top = x - x % 16, y - y % 2
            part = cut(
                frame, (left, top, min(right + -right % 16, frame.width), min(bottom + bottom % 2, frame.height))
            )
            return self._bgr(part, is_part=True)[y - top : bottom - top, x - left : right - left]
        return orient(self._bgr(frame), matrix)

    def _bgr(self, frame: VideoFrame, *, is_part: bool = False) -> Image:
        free = self._reformatters[is_part]
        try:
            reformatter = free.pop()
        except IndexError:
            reformatter = VideoReformatter()
        # One thread: FFmpeg would start one a core for each source. The size stays, so the interpolation is that
        # of the colour alone.
        bgr = reformatter.reformat(frame, format="bgr24", interpolation="FAST_BILINEAR", threads=1)
        free.append(reformatter)
        # A view, unless FFmpeg has padded its rows.
        return np.ascontiguousarray(bgr.to_ndarray(), np.uint8)

    def parts(self, frame: VideoFrame, matrix: DisplayMatrix | None) -> bool:
        """Whether :meth:`convert` gives a region of the frame for less than all of it."""
        return matrix is None and frame.format.name in _HALVED

    def light(self, frame: VideoFrame, matrix: DisplayMatrix | None) -> Image | None:
        """uint8 (h, w), the frame's luma: how bright each pixel is. Shares its memory. None of a turned frame, and of a
        format that doesn't begin with it.
        """
        if matrix is not None or frame.format.name not in _LUMA_FIRST:
            return None
        plane = frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
        luma: Image = rows[: frame.height, : frame.width]
        return luma

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(width, height) of :meth:`image`, without converting anything."""
        turned = quarter_turned(self.matrix(frame))
        return (frame.height, frame.width) if turned else (frame.width, frame.height)

    def matrix(self, frame: VideoFrame) -> DisplayMatrix | None:
        """The frame's display matrix.

        PyAV's side data and its frame refer to each other, so that a frame once asked for it stays in memory
        until the garbage collector comes. Hence it's asked only when the rotation, which costs nothing, has
        changed.
        """
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            self._matrix = display_matrix(frame)
        return self._matrix


def cut(frame: VideoFrame, region: Region) -> VideoFrame:
    """A part of a frame whose chroma is halved both ways. ``left`` and ``top`` must be even."""
    left, top, right, bottom = region
    part = VideoFrame(right - left, bottom - top, frame.format.name)
    for number, (source, target) in enumerate(zip(frame.planes, part.planes)):
        step = 2 if number else 1
        rows = np.frombuffer(source, np.uint8).reshape(-1, source.line_size)  # type: ignore[call-overload]
        place = np.frombuffer(target, np.uint8).reshape(-1, target.line_size)  # type: ignore[call-overload]
        height, width = -(-(bottom - top) // step), -(-(right - left) // step)
        y, x = top // step, left // step
        place[:height, :width] = rows[y : y + height, x : x + width]
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    return part


def display_matrix(frame: VideoFrame) -> DisplayMatrix | None:
    """The frame's display matrix: int32 (3, 3) fixed-point, as in libavutil/display.h; None when there's
    none.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3) if isinstance(data, Buffer) else None


def quarter_turned(matrix: DisplayMatrix | None) -> bool:
    """Whether width and height change places."""
    return matrix is not None and abs(int(matrix[0, 1])) > abs(int(matrix[0, 0]))


def orient(image: Image, matrix: DisplayMatrix | None) -> Image:
    """Turn and mirror ``image`` as a display matrix says, by quarter turns.

    A pixel at (x, y) is shown at (a·x + c·y, b·x + d·y) with a, b, c, d = m[0,0], m[0,1], m[1,0], m[1,1]
    (FFmpeg, libavutil/display.h), up to a shift.
    """
    if matrix is None:
        return image
    if quarter_turned(matrix):
        image = cv2.transpose(image)  # type: ignore[assignment]
        mirror_x, mirror_y = matrix[1, 0] < 0, matrix[0, 1] < 0
    else:
        mirror_x, mirror_y = matrix[0, 0] < 0, matrix[1, 1] < 0
    if mirror_x or mirror_y:
        image = cv2.flip(image, -1 if mirror_x and mirror_y else int(mirror_x))  # type: ignore[assignment]
    return image
