"""What an aligner that looks at squares takes and gives: the vocabulary of ``plugins/align``. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from facestream.plugins.align.normalize import Normalization
from facestream.plugins.align.realign import Upright
from facestream.plugins.align.roi import Squares
from facestream.stream.types import Bools, ExtractBatch, Floats, Frame, Image, Ints, Longs

if TYPE_CHECKING:
    from facestream.plugins.on_device_pixels import DeviceCrops


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """An aligner's feed: what it sees of N faces.

    Attributes:
        pixels: uint8 (N, S, S, 3), in the card's colour order, normalised; for a GPU, what makes them there.
        matrices: float32 (N, 2, 3), crop pixels → frame pixels.
        squares: the same squares, in frame pixels.
        frames, frame_ids: where they were cut from, for cutting again.
        normalization: how their light and contrast were evened out; a second look is prepared like the first.
        placed: bool (N,), squares that lie as a second look's would already: the face was seen a moment ago. None: no
            face was.
    """

    pixels: Image | DeviceCrops
    matrices: Floats
    squares: Squares
    frames: list[Frame]
    frame_ids: Ints
    normalization: Normalization
    placed: Bools | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Aligned68:
    """An aligner's raw result: the network's outputs and the matrices (N, 2, 3) of the crops behind them."""

    outputs: tuple[Floats, ...]
    matrices: Floats

    def put(self, rows: Longs, others: Aligned68) -> Aligned68:
        """With another result for the faces at ``rows``."""
        mine = tuple(array.copy() for array in (*self.outputs, self.matrices))
        for array, new in zip(mine, (*others.outputs, others.matrices)):
            array[rows] = new
        return Aligned68(mine[:-1], mine[-1])


@runtime_checkable
class SquareAligner(Protocol):
    """A :class:`~facestream.stream.types.FacePlugin` that cuts squares out of frames and looks at each by itself.

    This is what :class:`~facestream.plugins.align.refined.RefinedAligner` can refine; every
    :class:`~facestream.plugins.align.base.TorchAligner` is one.

    Attributes:
        normalization: what evens out crops, from the next batch on.
        upright: where re-align looks; None for the place that this aligner's squares have around a detector's box.
    """

    name: str
    batch_size: int
    normalization: Normalization
    upright: Upright | None

    def load(self, device: str) -> None: ...

    def pre_process(self, batch: ExtractBatch) -> Crops:
        """The batch's faces, cut out for a first look."""

    def cut(self, squares: Squares, crops: Crops) -> Crops:
        """Other squares (N) of the same faces, cut from the same frames and prepared in the same way."""

    def look(self, crops: Crops) -> Aligned68:
        """The crops through the network, once."""

    def place_again(self, seen: Aligned68) -> Squares | None:
        """Where this model wants to look again, knowing a first look; None if one is enough for it."""

    def landmarks(self, seen: Aligned68) -> tuple[Floats, Floats]:
        """Landmarks (N, 68, 2) in frame pixels, confidences (N,) in 0..1."""


def look_again(aligner: SquareAligner, crops: Crops, seen: Aligned68) -> tuple[Squares, Aligned68] | None:
    """The model's own second look, at the faces that aren't placed well already.

    Returns:
        The squares that count now and what was seen in them; None if one look is enough for the model.
    """
    placed = crops.placed
    if placed is not None and placed.all():
        return crops.squares, seen
    squares = aligner.place_again(seen)
    if squares is None:
        return None
    if placed is None or not placed.any():
        return squares, aligner.look(aligner.cut(squares, crops))
    rows = np.flatnonzero(~placed)
    squares = squares.take(rows)
    again = aligner.cut(squares, replace(crops, frame_ids=crops.frame_ids[rows]))
    return crops.squares.put(rows, squares), seen.put(rows, aligner.look(again))
