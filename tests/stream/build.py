"""Frames and batches for tests, in one line each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facestream.stream.types import Aligned, ExtractBatch, Frame, FrameFaces, Masks
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


def full(count: int, seq: int = 0) -> FrameFaces:
    """A frame whose ``count`` faces have every field; all values of face i are i."""
    ramp = np.arange(count, dtype=np.float32)

    def rows(*shape: int) -> np.ndarray:
        return np.broadcast_to(ramp.reshape(-1, *[1] * len(shape)), (count, *shape)).astype(np.float32)

    return FrameFaces(
        frame=frame(seq=seq),
        boxes=rows(4),
        scores=ramp,
        points=rows(5, 2),
        landmarks=rows(68, 2),
        landmark_scores=ramp,
        tracks=ramp.astype(np.int64),
        masks={"components": Masks("face", rows(3, 3), rows(8, 8).astype(np.uint8))},
        identities={"sface": rows(128)},
        aligned=Aligned(rows(3, 3), {"head": rows(2)}, rows(3)),
    )
