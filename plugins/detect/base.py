"""What every fully convolutional detector shares.

A detector's author writes a subclass of :class:`TorchDetector` with a ``card`` and three methods::

    class MyDetector(TorchDetector):
        card = MYDETECTOR

        @staticmethod
        def network() -> nn.Module: ...

        @staticmethod
        def convert(files: Sequence[Path]) -> Arrays: ...

        def decode(self, raw: Outputs) -> Candidates: ...
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from facestream.plugins.base import Outputs, TorchModel, check_finite, check_shape
from facestream.plugins.letterbox import Letterbox, letterbox
from facestream.plugins.nms import suppress_batch
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

    def pre_process(self, images: Sequence[Image]) -> Letterbox:
        """Frames of any sizes → one canvas."""
        return letterbox(images, self.size, rgb=self.card.colour == "rgb")

    def infer(self, feed: Letterbox) -> Outputs:
        """The canvas through the network; see :meth:`TorchModel.forward`."""
        return self.forward(feed.canvas) if len(feed) else ()

    def post_process(self, raw: Outputs, feed: Letterbox) -> list[Detections]:
        """Decoded, suppressed, scaled back: one :class:`Detections` a frame, best first, in frame pixels."""
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
        check_finite(self.name, raw)
        (found,) = self.post_process(raw, feed)
        check_shape(self.name, "boxes", found.boxes, (len(found.scores), 4))
