"""Suppression where the network ran: a batch's detections come to the host in one small piece.

Twin of ``plugins/nms.py``, with the same kept boxes in the same order. A GPU wants fixed shapes and no questions in
between, so each frame's best :data:`BEST` candidates are looked at, a fixed number of times, and the result says
whether that was enough; :func:`best_of_batch` asks again for more where it wasn't, in crowds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from facestream.stream.types import Floats

BEST: Final = 128
"""Candidates of a frame that are looked at first."""

MOST: Final = 1500
"""Those that are looked at in the end; ``plugins/nms.py`` looks at as many."""

ROUNDS: Final = 6
"""Passes of the suppression at first; a chain of overlaps longer than that needs more."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Everything that a detector's network says about a batch, decoded, of each cell whether it is a face or not.

    Attributes:
        boxes: float32 (B, M, 4) ltrb, canvas pixels.
        scores: float32 (B, M).
        points: float32 (B, M, 10), canvas pixels: x, y of five points; or (B, M, 0).
    """

    boxes: Tensor
    scores: Tensor
    points: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """One frame's detections on the host, best first: boxes (N, 4), scores (N,), points (N, 5, 2) or None."""

    boxes: Floats
    scores: Floats
    points: Floats | None


def best_of_batch(cells: Cells, threshold: float, overlap: float) -> list[Best]:
    """Each frame's detections, one download for all of them.

    Args:
        cells: of the batch, on any device.
        threshold: the least score.
        overlap: intersection over union above which the lesser of two boxes goes.
    """
    best, rounds = min(BEST, MOST), ROUNDS
    while True:
        packed = packed_best(cells, threshold, overlap, best=best, rounds=rounds).cpu().numpy()
        found, settled = packed[:, -1, 0], packed[:, -1, 1]  # (B,)
        more = float(found.max(initial=0)) > best and best < min(MOST, cells.scores.shape[1])
        if not more and settled.all():
            return [_unpacked(rows) for rows in packed[:, :-1]]
        best, rounds = (MOST if more else best), rounds * 4


def packed_best(cells: Cells, threshold: float, overlap: float, *, best: int, rounds: int) -> Tensor:
    """float32 (B, K + 1, 5 + points): score or -1, box and points of each candidate, best first.

    The last row says of the frame how many candidates there were, and whether ``rounds`` were enough (1 or 0).
    """
    count = min(best, cells.scores.shape[1])
    scores, index = cells.scores.topk(count, dim=1, sorted=False)
    index, order = index.sort(dim=1)  # of equals the first one counts, as on the host
    scores, order = scores.gather(1, order).sort(dim=1, descending=True, stable=True)
    index = index.gather(1, order)
    boxes, points = (_rows(values, index) for values in (cells.boxes, cells.points))
    valid = scores >= threshold
    kept, settled = suppressed(boxes, valid, overlap, rounds)
    shown = torch.where(kept, scores, -1.0)
    packed = torch.cat([shown[..., None], boxes, points], dim=2)
    last = torch.zeros_like(packed[:, :1])
    last[:, 0, 0] = (cells.scores >= threshold).sum(1)
    last[:, 0, 1] = settled
    return torch.cat([packed, last], dim=1)


def suppressed(boxes: Tensor, valid: Tensor, overlap: float, rounds: int) -> tuple[Tensor, Tensor]:
    """Greedy suppression by repeating "no better kept box overlaps it" for all boxes at once (Zheng et al. 2020).

    Args:
        boxes: (B, K, 4) ltrb, best first.
        valid: bool (B, K), which count.

    Returns:
        bool (B, K), the kept ones; bool (B,), whether nothing changed any more.
    """
    beats = (pairwise_iou(boxes) > overlap).triu_(1) & valid[:, :, None]  # [i, j]: i is better and overlaps j
    kept = before = valid
    for _ in range(rounds):
        before, kept = kept, valid & ~(beats & kept[:, :, None]).any(1)
    return kept, (before == kept).all(1)


def pairwise_iou(boxes: Tensor) -> Tensor:
    """Of every two of a frame's boxes: (B, K, 4) → (B, K, K)."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp_(min=0).prod(3)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(2)
    return shared / (area[:, :, None] + area[:, None, :] - shared).clamp_(min=1e-9)


def grid(level: Tensor) -> Tensor:
    """x, y of each cell of a map (B, C, h, w), row by row: float32 (1, h · w, 2)."""
    height, width = level.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=level.device, dtype=torch.float32),
        torch.arange(width, device=level.device, dtype=torch.float32),
        indexing="ij",
    )
    return torch.stack([x, y], -1).view(1, -1, 2)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))


def _unpacked(rows: Floats) -> Best:
    kept = rows[rows[:, 0] >= 0]
    points = kept[:, 5:].reshape(-1, (rows.shape[1] - 5) // 2, 2) if rows.shape[1] > 5 else None
    return Best(np.ascontiguousarray(kept[:, 1:5]), kept[:, 0].copy(), points)
