"""What every torch aligner shares: squares around faces, crops, the network, and points back in frame pixels.

An author writes a subclass of :class:`TorchAligner` with a ``card``, ``network``, ``convert`` and ``decode``,
and may give ``squares`` and ``refine`` of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import numpy as np

from facestream.plugins.align.looks import Aligned68, Crops, look_again
from facestream.plugins.align.normalize import Normalization
from facestream.plugins.align.realign import Upright
from facestream.plugins.align.roi import Squares, apply, centred, crop_frames, level_squares
from facestream.plugins.base import Outputs, TorchModel, check_finite, check_shape
from facestream.plugins.on_device_pixels import DeviceCrops
from facestream.stream.types import Bools, ExtractBatch, Floats, Frame, Ints


class TorchAligner(TorchModel):
    """An aligner giving 68 points and a confidence for each face.

    Attributes:
        roi_scale: the side of the square, in long sides of the detector's box.
        normalization: how crops are evened out before the network sees them. May be set while batches are under way:
            takes effect with the next one.
        upright: where re-align looks; None for the place that the squares have around a detector's box.
        lost_below: the confidence below which what it sees is no face; None if that can't be said. See
            :class:`facestream.stream.types.TellsLost`.
    """

    roi_scale: ClassVar[float] = 1.5
    normalization = Normalization.NONE
    upright: Upright | None = None
    lost_below: float | None = None

    @abstractmethod
    def decode(self, raw: Outputs) -> tuple[Floats, Floats]:
        """The network's outputs → landmarks (N, 68, 2) in crop pixels, confidences (N,) in 0..1."""

    def squares(self, batch: ExtractBatch) -> Squares:
        """Where to look for each face of the batch."""
        return level_squares(batch.boxes, batch.points, self.roi_scale)

    def squares_on(self, landmarks: Floats) -> Squares | None:
        """Where a last look at each face would be, knowing its landmarks (N, 68, 2); None if only boxes tell."""
        return None

    def refine(self, raw: Outputs, matrices: Floats) -> Squares | None:
        """Where to look again, knowing a first result; None for one look only."""
        return None

    def pre_process(self, batch: ExtractBatch) -> Crops:
        """The batch's faces, cut out."""
        squares, placed = self._first_squares(batch)
        crops = self._cut(squares, batch.frames, batch.frame_ids, self.normalization)
        return crops if placed is None else replace(crops, placed=placed)

    def cut(self, squares: Squares, crops: Crops) -> Crops:
        """Other squares (N) of the same faces, cut from the same frames and prepared in the same way."""
        return self._cut(squares, crops.frames, crops.frame_ids, crops.normalization)

    def look(self, crops: Crops) -> Aligned68:
        """The crops through the network, once."""
        return Aligned68(self.forward(crops.pixels) if len(crops.pixels) else (), crops.matrices)

    def place_again(self, seen: Aligned68) -> Squares | None:
        """Where this model wants to look again, knowing a first look; None if one is enough for it."""
        return self.refine(seen.outputs, seen.matrices) if seen.outputs else None

    def infer(self, feed: Crops) -> Aligned68:
        """The crops through the network; twice, cut out anew in between, if the model looks again.

        Faces whose landmarks were expected are looked at once, where they were.
        """
        seen = self.look(feed)
        again = look_again(self, feed, seen)
        return seen if again is None else again[1]

    def landmarks(self, seen: Aligned68) -> tuple[Floats, Floats]:
        """Landmarks (N, 68, 2) in frame pixels, confidences (N,) in 0..1."""
        if not seen.outputs:
            return np.zeros((0, 68, 2), np.float32), np.zeros((0,), np.float32)
        points, scores = self.decode(seen.outputs)
        return apply(seen.matrices, points), scores

    def post_process(self, raw: Aligned68, feed: Crops, batch: ExtractBatch) -> None:
        """Write ``landmarks`` (N, 68, 2), frame pixels, and ``landmark_scores`` (N,) into the batch."""
        batch.landmarks, batch.landmark_scores = self.landmarks(raw)

    def _first_squares(self, batch: ExtractBatch) -> tuple[Squares, Bools | None]:
        """Where to look first, and which of these squares lie well already."""
        if batch.priors is None or batch.priors.shape[1:] != (68, 2):
            return self.squares(batch), None
        placed = np.isfinite(batch.priors[:, 0, 0])  # a face has all of them or none
        expected = self.squares_on(batch.priors[placed])
        if expected is None:
            return self.squares(batch), None
        return expected if placed.all() else self.squares(batch).put(np.flatnonzero(placed), expected), placed

    def _cut(self, squares: Squares, frames: list[Frame], frame_ids: Ints, normalization: Normalization) -> Crops:
        size, rgb = self.card.input_size, self.card.colour == "rgb"
        matrices = squares.matrices(size)
        if self.on_device and len(matrices) and normalization is Normalization.NONE:
            staged = self.uploads.staged([frame.image for frame in frames], self.device)
            on_device = DeviceCrops(self.uploads, staged, frame_ids, centred(matrices), size, rgb)
            return Crops(on_device, matrices, squares, frames, frame_ids, normalization)
        pixels = crop_frames(frames, frame_ids, matrices, size, rgb=rgb)
        return Crops(normalization(pixels), matrices, squares, frames, frame_ids, normalization)

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
