"""What every fully convolutional detector shares.

A detector's author writes a subclass of :class:`TorchDetector` with a ``card`` and three methods::

    class MyDetector(TorchDetector):
        card = MYDETECTOR

        @staticmethod
        def network() -> nn.Module: ...

        @staticmethod
        def convert(files: Sequence[Path]) -> Arrays: ...

        def decode(self, raw: Outputs) -> Candidates: ...

and may write ``cells`` besides, so that a GPU decodes and suppresses, too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from facestream.plugins.base import Outputs, TorchModel, check_finite, check_shape, downloaded
from facestream.plugins.letterbox import Letterbox, letterbox, letterbox_on
from facestream.plugins.nms import suppress_batch
from facestream.plugins.on_device_boxes import Best, Cells, best_of_batch
from facestream.stream.types import Detections, Floats, Image, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a detector's decoding finds in a batch, before suppression; flat over the batch, canvas pixels.

    Attributes:
        frame_ids: int32 (N,), the canvas of each.
        boxes: float32 (N, 4) ltrb.
        scores: float32 (N,).
        points: float32 (N, 5, 2) or None.
    """

    frame_ids: Ints
    boxes: Floats
    scores: Floats
    points: Floats | None = None


class TorchDetector(TorchModel):
    """A fully convolutional detector: letterbox, network, decoding, suppression, back to frame pixels.

    Args:
        size: pixels of the long side that a frame is scaled to; None means the card's.
        threshold: the least score of a detection; None means the card's.
        batch_size: frames at a time; None means the card's.

    Attributes:
        iou: overlap above which the lesser of two boxes goes.
        sure: the score that no face the wrong way up, taken for one upright, was seen to reach; it ends a rotation
            search (``rotation.py``). 1.0: not measured, nothing ends it.
    """

    sizes_vary = True
    iou: ClassVar[float] = 0.3
    sure: ClassVar[float] = 1.0

    def __init__(
        self, *, size: int | None = None, threshold: float | None = None, batch_size: int | None = None
    ) -> None:
        super().__init__(batch_size=batch_size)
        self.size = size or self.card.input_size
        self.threshold = threshold if threshold is not None else (self.card.threshold or 0.5)

    @abstractmethod
    def decode(self, raw: Outputs) -> Candidates:
        """The network's outputs → the batch's candidates with a score of at least ``self.threshold``."""

    def cells(self, raw: tuple[Tensor, ...]) -> Cells | None:
        """The same on the device, of every cell; None where only :meth:`decode` is written."""
        return None

    def pre_process(self, images: Sequence[Image]) -> Letterbox:
        """Frames of any sizes → one canvas."""
        rgb = self.card.colour == "rgb"
        if self.on_device and len(images):
            return letterbox_on(self.uploads, self.device, images, self.size, rgb=rgb)
        return letterbox(images, self.size, rgb=rgb)

    def infer(self, feed: Letterbox) -> Outputs | list[Best]:
        """The canvas through the network; see :meth:`TorchModel.forward`."""
        if not len(feed):
            return ()
        return self.finished(feed.canvas, self._best) if self.on_device else self.forward(feed.canvas)

    def _best(self, raw: tuple[Tensor, ...]) -> Outputs | list[Best]:
        cells = self.cells(raw)
        if cells is None:
            return downloaded(raw)
        return best_of_batch(cells, self.threshold, self.iou)

    def post_process(self, raw: Outputs | list[Best], feed: Letterbox) -> list[Detections]:
        """Decoded, suppressed, scaled back: one :class:`Detections` a frame, best first, in frame pixels."""
        if isinstance(raw, list):
            return [_scaled_back(best, feed, frame) for frame, best in enumerate(raw)]
        if not raw:
            return []
        found = self.decode(raw)
        corners = feed.to_frame(found.boxes.reshape(-1, 2, 2), found.frame_ids).reshape(-1, 4)
        points = None if found.points is None else feed.to_frame(found.points, found.frame_ids)
        kept = suppress_batch(found.frame_ids, corners, found.scores, self.iou, len(feed))
        return [
            Detections(corners[rows], found.scores[rows], None if points is None else points[rows]) for rows in kept
        ]

    def _warm_up(self) -> None:
        feed = self.pre_process([np.zeros((36, 64, 3), np.uint8)])  # the canvas of 16:9, most videos'
        raw = self.infer(feed)
        check_finite(self.name, self.forward(feed.canvas) if isinstance(raw, list) else raw)
        (found,) = self.post_process(raw, feed)
        check_shape(self.name, "boxes", found.boxes, (len(found.scores), 4))


def _scaled_back(best: Best, feed: Letterbox, frame: int) -> Detections:
    owners = np.full(len(best.scores), frame, np.int32)
    corners = feed.to_frame(best.boxes.reshape(-1, 2, 2), owners).reshape(-1, 4)
    return Detections(corners, best.scores, None if best.points is None else feed.to_frame(best.points, owners))
