"""What every torch mask model shares: faces cut out, the network, and masks that end where the frame does.

An author writes a subclass of :class:`TorchMasker` with a ``card``, ``network``, ``convert`` and ``decode``.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from facestream.faces.crops import crop_matrices, enlarged
from facestream.faces.patches import inside_at, patches_at
from facestream.plugins.base import Outputs, TorchModel, check_finite, check_shape
from facestream.plugins.mask.storage import STORAGE_SIZE, aligned_of, stored_mask, stored_size
from facestream.plugins.on_device_pixels import DevicePixels, device_patches, shows_frames
from facestream.stream.types import ExtractBatch, Floats, Frame, Image, Masks


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """N faces as the network wants them.

    Attributes:
        pixels: uint8 (N, size, size, 3) in the card's colour order; for a GPU, what makes them there.
        inside: uint8 (N, size, size), 255 where they show the frame, 0 where that has ended.
        matrices: float32 (N, 3, 3), frame pixels → pixels of the stored masks.
    """

    pixels: Image | DevicePixels
    inside: Image
    matrices: Floats


class TorchMasker(TorchModel):
    """A model that tells for each face which pixels are of it.

    Attributes:
        size: the edge in pixels of what the network sees.
        centering: of that, and of the stored masks: "legacy", "face" or "head".
        storage_size: the stored masks' edge in pixels.
        storage_name: their name in batches and files.
    """

    centering: str = "face"

    def __init__(
        self, *, size: int | None = None, storage_size: int = STORAGE_SIZE, batch_size: int | None = None
    ) -> None:
        """
        Args:
            size: the edge of what the network sees; None means the card's.
            storage_size: 64–1028; 0 stores masks of the network's own size. See
                :func:`facestream.plugins.mask.storage.stored_size`.
            batch_size: faces at a time; None means the card's.

        Raises:
            ConfigError: masks can't be stored at that size.
        """
        super().__init__(batch_size=batch_size)
        self.size = size or self.card.input_size
        self.storage_size = stored_size(storage_size, self.size)

    @property
    def input_size(self) -> int:
        return self.size

    @property
    def storage_name(self) -> str:
        return self.name

    @abstractmethod
    def decode(self, raw: Outputs) -> Floats:
        """The network's outputs → float32 (N, s, s), 0..1, in the order of the faces."""

    def pre_process(self, batch: ExtractBatch) -> Cut:
        """The batch's faces, cut out of frames or of face pictures: the stored square, enlarged or reduced.

        Raises:
            ModelError: the faces have no landmarks.
        """
        if not len(batch):
            empty = np.zeros((0, self.size, self.size), np.uint8)
            return Cut(np.zeros((*empty.shape, 3), np.uint8), empty, np.zeros((0, 3, 3), np.float32))
        stored = crop_matrices(aligned_of(self.name, batch), self.storage_size, self.centering)
        matrices = enlarged(stored, self.size / self.storage_size)
        if self.on_device and shows_frames(batch):
            rgb = self.card.colour == "rgb"
            on_device = device_patches(self.uploads, self.device, batch, matrices, self.size, rgb=rgb)
            return Cut(on_device, inside_at(batch, matrices, self.size), stored)
        patches = patches_at(batch, matrices, self.size)
        pixels = patches.pixels
        if self.card.colour == "rgb":
            pixels = np.ascontiguousarray(pixels[..., ::-1])
        return Cut(pixels, patches.inside, stored)

    def infer(self, feed: Cut) -> Outputs:
        return self.forward(feed.pixels) if len(feed.pixels) else ()

    def post_process(self, raw: Outputs, feed: Cut, batch: ExtractBatch) -> None:
        """Write the masks into ``masks``: nothing of them lies outside the frame (spec §9.1)."""
        masks = np.zeros((len(feed.pixels), self.storage_size, self.storage_size), np.uint8)
        if raw:
            for index, (mask, inside) in enumerate(zip(self.decode(raw), feed.inside)):
                masks[index] = stored_mask(mask, inside, self.storage_size)
        batch.masks[self.storage_name] = Masks(self.centering, feed.matrices, masks)

    def _warm_up(self) -> None:
        size = self.size
        corners = size * np.array([(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7)], np.float32)
        batch = ExtractBatch(
            frames=[Frame("warm-up", 0, 0, 0.0, 0.0, np.zeros((size, size, 3), np.uint8))],
            boxes=np.array([[0, 0, size, size]], np.float32),
            scores=np.ones(1, np.float32),
            landmarks=corners[None],
            frame_ids=np.zeros(1, np.int32),
        )
        feed = self.pre_process(batch)
        raw = self.infer(feed)
        check_finite(self.name, raw)
        found = self.decode(raw)
        check_shape(self.name, "masks", found, (1, *2 * found.shape[-1:]))
