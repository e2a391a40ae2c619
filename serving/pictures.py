"""JPEGs for those who look: each (frame, width) once, the newest first, and only while somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import cv2
import numpy as np

from facestream.serving.forms import Edition
from facestream.stream.device import Bridge
from facestream.stream.types import Frame, Image

JPEG_QUALITY: Final = 80
MAX_SIDE: Final = 16384
"""Pixels; a JPEG can't have more than 65500, and browsers show far fewer."""

Deliver: TypeAlias = Callable[[Edition, bytes, Iterable[Any]], None]


def encode_jpeg(image: Image, width: int) -> bytes:
    """``image`` (uint8 BGR) as JPEG, scaled down to ``width`` pixels when it is wider; 0 leaves it alone."""
    height, own_width = image.shape[:2]
    scale = min(1.0, (width or own_width) / own_width, MAX_SIDE / max(height, own_width))
    if scale < 1:
        size = max(1, round(own_width * scale)), max(1, round(height * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


def _picture(frame: Frame, width: int) -> bytes:
    """In the pool: a live frame's pixels may not be made yet."""
    return encode_jpeg(frame.image, width)


class PictureDesk:
    """Encodes pictures in the CPU pool and hands them back on the event loop.

    While one picture of a source at a width is being encoded, the newest after it waits, and takes over the
    readers of those it replaces.

    Args:
        tasks: owns the encoding.
        deliver: called with the edition, its JPEG and the readers who wanted it.
    """

    def __init__(self, bridge: Bridge, tasks: asyncio.TaskGroup, deliver: Deliver) -> None:
        self._bridge = bridge
        self._tasks = tasks
        self._deliver = deliver
        self._waiting: dict[tuple[str, int], tuple[Edition, set[Any]]] = {}
        self._busy: set[tuple[str, int]] = set()
        self.encoded = 0

    def want(self, edition: Edition, width: int, reader: object) -> None:
        """Have ``edition``'s picture made for ``reader``."""
        key = edition.source, width
        _, readers = self._waiting.get(key, (None, set()))
        readers.add(reader)
        self._waiting[key] = edition, readers
        if key not in self._busy:
            self._busy.add(key)
            self._tasks.create_task(self._encode_all(key), name=f"pictures.{key[0]}.{width}")

    async def _encode_all(self, key: tuple[str, int]) -> None:
        try:
            while (job := self._waiting.pop(key, None)) is not None:
                edition, readers = job
                jpeg = await self._bridge.cpu(_picture, edition.result.faces.frame, key[1])
                self.encoded += 1
                self._deliver(edition, jpeg, readers)
        finally:
            self._busy.discard(key)
