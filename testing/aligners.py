"""Aligners without weights whose answers are known, for tests of what refines aligners. numpy only, never torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facestream.plugins.align.looks import Aligned68, Crops
from facestream.plugins.align.normalize import Normalization
from facestream.plugins.align.realign import Upright
from facestream.plugins.align.roi import Squares, apply, crop_frames, level_squares
from facestream.stream.types import ExtractBatch, Floats, Frame, Ints


class FakeSquareAligner:
    """Sees in each crop the points that lie there in the frame, to within a chosen error.

    Args:
        truth: (N, 68, 2), each face's landmarks in frame pixels.
        error: from a crop's matrices (N, 2, 3), crop pixels → frame pixels, to what is added to the points of each
            crop, (N, 1, 2) or (N, 68, 2) crop pixels. None is no error.
        place_again: the model's own second look, from the matrices of the first.
        batch_size: the most crops that the "network" may see at once.

    Attributes:
        looks: every feed that was looked at, in order.
    """

    size = 64

    def __init__(
        self,
        truth: Floats,
        *,
        error: Callable[[Floats], Floats] | None = None,
        place_again: Callable[[Floats], Squares] | None = None,
        batch_size: int = 16,
        name: str = "fake-square-aligner",
    ) -> None:
        self.name = name
        self.batch_size = batch_size
        self.normalization = Normalization.NONE
        self.upright: Upright | None = None
        self.looks: list[Crops] = []
        self._truth = truth
        self._error = error
        self._place_again = place_again

    def load(self, device: str) -> None: ...

    def pre_process(self, batch: ExtractBatch) -> Crops:
        squares = level_squares(batch.boxes, batch.points, 1.5)
        return self._cut(squares, batch.frames, batch.frame_ids, self.normalization)

    def cut(self, squares: Squares, crops: Crops) -> Crops:
        return self._cut(squares, crops.frames, crops.frame_ids, crops.normalization)

    def look(self, crops: Crops) -> Aligned68:
        assert len(crops.pixels) <= self.batch_size, "the network sees more than its batch size"
        self.looks.append(crops)
        inverse = np.linalg.inv(crops.matrices[:, :, :2])
        points = (self._truth - crops.matrices[:, None, :, 2]) @ inverse.transpose(0, 2, 1)
        seen = points if self._error is None else points + self._error(crops.matrices)
        return Aligned68((seen.astype(np.float32),), crops.matrices)

    def place_again(self, seen: Aligned68) -> Squares | None:
        return None if self._place_again is None else self._place_again(seen.matrices)

    def landmarks(self, seen: Aligned68) -> tuple[Floats, Floats]:
        return apply(seen.matrices, seen.outputs[0]), np.ones(len(seen.matrices), np.float32)

    def infer(self, feed: Crops) -> Aligned68:
        return self.look(feed)

    def post_process(self, raw: Aligned68, feed: Crops, batch: ExtractBatch) -> None:
        batch.landmarks, batch.landmark_scores = self.landmarks(raw)

    def _cut(self, squares: Squares, frames: list[Frame], frame_ids: Ints, normalization: Normalization) -> Crops:
        matrices = squares.matrices(self.size)
        pixels = normalization(crop_frames(frames, frame_ids, matrices, self.size))
        return Crops(pixels, matrices, squares, frames, frame_ids, normalization)
