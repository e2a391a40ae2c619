"""Frames and batches for tests, in one line each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facestream.stream.types import ExtractBatch, Frame, FrameFaces
from facestream.testing.plugins import FACE_68, in_boxes


def frame(source: str = "a", seq: int = 0, epoch: int = 0, size: tuple[int, int] = (32, 24)) -> Frame:
    width, height = size
    return Frame(source, epoch, seq, seq / 25, 1000 + seq / 25, np.zeros((height, width, 3), np.uint8))


def batch(counts: Sequence[int], *, source: str = "a", first: int = 0, continued: bool = False) -> ExtractBatch:
    """Frames with ``counts`` faces each; a face's box tells its frame and place: left = seq, top = index."""
    frames = [frame(source, first + i) for i in range(len(counts))]
    ids = [i for i, count in enumerate(counts) for _ in range(count)]
    boxes = [(first + i, place, first + i + 10, place + 10) for i, count in enumerate(counts) for place in range(count)]
    return ExtractBatch(
        frames=frames,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(len(ids), np.float32),
        frame_ids=np.array(ids, np.int32),
        continued=continued,
    )


def known(count: int, *, source: str = "a", seq: int = 0, landmarks: bool = True) -> FrameFaces:
    """A frame whose ``count`` faces are known already; a face's box tells its frame and place, as in :func:`batch`."""
    (faces,) = batch([count], source=source, first=seq).per_frame()
    if landmarks:
        faces.landmarks = in_boxes(FACE_68, faces.boxes)
    return faces
