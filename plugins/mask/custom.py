"""A mask without a network, all of nothing or all of the square: the ground for a mask that is painted by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facestream.errors import ConfigError
from facestream.faces.crops import crop_matrices
from facestream.faces.patches import inside_at
from facestream.plugins.mask.cards import CUSTOM
from facestream.plugins.mask.storage import STORAGE_SIZE, aligned_of, stored_size
from facestream.stream.types import ExtractBatch, Floats, Image, Masks

CENTERINGS = ("face", "head")


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """Where N masks lie.

    Attributes:
        matrices: float32 (N, 3, 3), frame pixels → mask pixels.
        inside: uint8 (N, size, size), 255 where they cover the frame, 0 where that has ended.
    """

    matrices: Floats
    inside: Image


class CustomMask:
    """Every pixel 0, or with ``fill`` every pixel of the frame 255.

    Attributes:
        centering: "face" or "head".
        storage_size: the stored masks' edge in pixels.
        storage_name: ``custom_face`` or ``custom_head``.
    """

    card = CUSTOM
    name = CUSTOM.name

    def __init__(
        self,
        *,
        centering: str = "face",
        fill: bool = False,
        storage_size: int = STORAGE_SIZE,
        batch_size: int | None = None,
    ) -> None:
        """
        Args:
            centering: "face" or "head".
            fill: 255 instead of 0.
            storage_size: see :func:`facestream.plugins.mask.storage.stored_size`.
            batch_size: faces at a time; None means the card's.

        Raises:
            ConfigError: there is no such centering, or masks can't be stored at that size.
        """
        if centering not in CENTERINGS:
            raise ConfigError(f"{self.name}: the centering is {' or '.join(CENTERINGS)}, not {centering!r}")
        self.centering = centering
        self.storage_size = stored_size(storage_size, self.card.input_size)
        self.batch_size = batch_size or self.card.batch
        self._value = np.uint8(255 if fill else 0)

    @property
    def storage_name(self) -> str:
        return f"{self.name}_{self.centering}"

    def load(self, device: str) -> None:
        """There is nothing to load."""

    def pre_process(self, batch: ExtractBatch) -> Squares:
        """
        Raises:
            ModelError: the faces have no landmarks.
        """
        if not len(batch):
            return Squares(
                np.zeros((0, 3, 3), np.float32), np.zeros((0, self.storage_size, self.storage_size), np.uint8)
            )
        matrices = crop_matrices(aligned_of(self.name, batch), self.storage_size, self.centering)
        return Squares(matrices, inside_at(batch, matrices, self.storage_size))

    def infer(self, feed: Squares) -> Image:
        return feed.inside & self._value

    def post_process(self, raw: Image, feed: Squares, batch: ExtractBatch) -> None:
        batch.masks[self.storage_name] = Masks(self.centering, feed.matrices, raw)
