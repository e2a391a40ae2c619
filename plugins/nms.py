"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facestream.stream.types import Bools, Floats, Ints

_MOST = 1500  # candidates of one frame that are looked at; the overlap matrix has its square


def box_iou(a: Floats, b: Floats, *, of_smaller: bool = False) -> Floats:
    """Intersection over union of every box of ``a`` (N, 4) with every one of ``b`` (M, 4): float32 (N, M).

    Args:
        a, b: ltrb.
        of_smaller: divide by the smaller box's area instead, so that a box inside another overlaps it wholly.
    """
    shared = _shared(a, b, 0) * _shared(a, b, 1)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).clip(0).prod(axis=1) for box in (a, b))
    size = np.minimum.outer(area_a, area_b) if of_smaller else np.add.outer(area_a, area_b) - shared
    return np.asarray(shared / np.maximum(size, 1e-9), np.float32)


def _shared(a: Floats, b: Floats, axis: int) -> Floats:
    """How much each of ``a`` shares with each of ``b`` in x or y: (N, M). One axis at a time takes a fifth of what both
    in one array do.
    """
    length = np.minimum.outer(a[:, 2 + axis], b[:, 2 + axis])
    length -= np.maximum.outer(a[:, axis], b[:, axis])
    return np.maximum(length, 0, out=length)


def suppress(boxes: Floats, scores: Floats, threshold: float, *, of_smaller: bool = False) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression of one frame's boxes: the kept ones' indices, best first.

    Greedy suppression keeps a box if no better *kept* box overlaps it. Starting from "all kept" and applying
    that rule to all boxes at once until nothing changes gives the same set (Cluster-NMS, Zheng et al. 2020),
    in as many steps as
    the longest chain of overlaps: a handful, whatever the number of boxes.

    Args:
        boxes: (N, 4) ltrb. Only the best 1500 are looked at.
        scores: (N,).
        threshold: overlap above which the lesser box goes.
        of_smaller: measure the overlap as :func:`box_iou` does with it.
    """
    order = np.argsort(-scores, kind="stable")[:_MOST]
    best_first = boxes[order]
    rank = np.arange(len(order))
    beats = box_iou(best_first, best_first, of_smaller=of_smaller) > threshold  # [i, j]: i overlaps j
    beats &= np.less.outer(rank, rank)  # and is better
    kept: Bools = np.logical_not(beats.any(axis=0))
    while True:
        now: Bools = np.logical_not(beats[kept].any(axis=0))
        if (now == kept).all():
            return order[kept]
        kept = now


def suppress_batch(
    frame_ids: Ints, boxes: Floats, scores: Floats, threshold: float, frames: int, *, of_smaller: bool = False
) -> list[npt.NDArray[np.intp]]:
    """:func:`suppress` for each frame of a batch: indices into the flat arrays, one list a frame."""
    if frames == 1:
        return [suppress(boxes, scores, threshold, of_smaller=of_smaller)]
    rows = (np.flatnonzero(frame_ids == frame) for frame in range(frames))
    return [mine[suppress(boxes[mine], scores[mine], threshold, of_smaller=of_smaller)] for mine in rows]
