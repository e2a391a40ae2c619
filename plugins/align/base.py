"""What every torch aligner shares: squares around faces, crops, the network, and points back in frame pixels.

An author writes a subclass of :class:`TorchAligner` with a ``card``, ``network``, ``convert`` and ``decode``,
and may give ``squares`` and ``refine`` of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from facestream.plugins.align.roi import Squares, apply, crop, level_squares
from facestream.plugins.base import Outputs, TorchModel, check_finite, check_shape
from facestream.stream.types import ExtractBatch, Floats, Frame, Image, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """An aligner's feed.

    Attributes:
        pixels: uint8 (N, S, S, 3), in the card's colour order.
        matrices: float32 (N, 2, 3), crop pixels → frame pixels.
        images, frame_ids: where they were cut from, for cutting again.
    """

    pixels: Image
    matrices: Floats
    images: list[Image]
    frame_ids: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Aligned68:
    """An aligner's raw result: the network's outputs and the matrices (N, 2, 3) of the crops behind them."""

    outputs: Outputs
    matrices: Floats


class TorchAligner(TorchModel):
    """An aligner giving 68 points and a confidence for each face.

    Attributes:
        roi_scale: the side of the square, in long sides of the detector's box.
    """

    roi_scale: ClassVar[float] = 1.5

    @abstractmethod
    def decode(self, raw: Outputs) -> tuple[Floats, Floats]:
        """The network's outputs → landmarks (N, 68, 2) in crop pixels, confidences (N,) in 0..1."""

    def squares(self, batch: ExtractBatch) -> Squares:
        """Where to look for each face of the batch."""
        return level_squares(batch.boxes, batch.points, self.roi_scale)

    def refine(self, raw: Outputs, matrices: Floats) -> Squares | None:
        """Where to look again, knowing a first result; None for one look only."""
        return None

    def pre_process(self, batch: ExtractBatch) -> Crops:
        """The batch's faces, cut out."""
        return self._cut(self.squares(batch), batch.images, batch.frame_ids)

    def infer(self, feed: Crops) -> Aligned68:
        """The crops through the network; twice, cut out anew in between, if the model looks again."""
        if not len(feed.pixels):
            return Aligned68((), feed.matrices)
        raw = self.forward(feed.pixels)
        squares = self.refine(raw, feed.matrices)
        if squares is None:
            return Aligned68(raw, feed.matrices)
        again = self._cut(squares, feed.images, feed.frame_ids)
        return Aligned68(self.forward(again.pixels), again.matrices)

    def post_process(self, raw: Aligned68, feed: Crops, batch: ExtractBatch) -> None:
        """Write ``landmarks`` (N, 68, 2), frame pixels, and ``landmark_scores`` (N,) into the batch."""
        if not raw.outputs:
            batch.landmarks = np.zeros((0, 68, 2), np.float32)
            batch.landmark_scores = np.zeros((0,), np.float32)
            return
        points, scores = self.decode(raw.outputs)
        batch.landmarks = apply(raw.matrices, points)
        batch.landmark_scores = scores

    def _cut(self, squares: Squares, images: list[Image], frame_ids: Ints) -> Crops:
        size = self.card.input_size
        matrices = squares.matrices(size)
        pixels = crop(images, frame_ids, matrices, size, rgb=self.card.colour == "rgb")
        return Crops(pixels, matrices, images, frame_ids)

    def _warm_up(self) -> None:
        size = self.card.input_size
        frame = Frame("warm-up", 0, 0, 0.0, 0.0, np.zeros((size, size, 3), np.uint8))
        batch = ExtractBatch(
            frames=[frame],
            boxes=np.array([[0, 0, size, size]], np.float32),
            scores=np.ones(1, np.float32),
            frame_ids=np.zeros(1, np.int32),
        )
        feed = self.pre_process(batch)
        raw = self.infer(feed)
        check_finite(self.name, raw.outputs)
        self.post_process(raw, feed, batch)
        assert batch.landmarks is not None
        assert batch.landmark_scores is not None
        check_shape(self.name, "landmarks", batch.landmarks, (1, 68, 2))
        check_shape(self.name, "confidences", batch.landmark_scores, (1,))
