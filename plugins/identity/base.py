"""What every torch identity model shares: faces placed as it was trained on them, the network, and embeddings.

An author writes a subclass of :class:`TorchIdentity` with a ``card``, ``network`` and ``convert``, and may give
``matrices`` and ``embeddings`` of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facestream.faces.patches import patches_at
from facestream.plugins.base import Outputs, TorchModel, check_finite, check_shape
from facestream.plugins.identity.cosine import unit_rows
from facestream.plugins.identity.placing import ARCFACE, ARCFACE_SIZE, template_matrices
from facestream.plugins.on_device_pixels import DevicePixels, device_patches, shows_frames
from facestream.stream.types import ExtractBatch, Floats, Image


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """N faces as the network wants them.

    Attributes:
        pixels: uint8 (N, size, size, 3) in the network's colour order; for a GPU, what makes them there.
    """

    pixels: Image | DevicePixels


class TorchIdentity(TorchModel):
    """A model that turns each face into an embedding: the nearer two are, the likelier they are of one person.

    Attributes:
        storage_name: the embeddings' name in batches and files.
        selective: see :class:`facestream.stream.types.Selective`.
        comparable: embeddings that files hold under this name were made as this model makes them.
    """

    selective = True
    comparable = True

    @property
    def storage_name(self) -> str:
        return self.name

    @property
    def colour(self) -> str:
        """What the network is shown first: "rgb" or "bgr"."""
        return self.card.colour

    def matrices(self, batch: ExtractBatch) -> Floats:
        """float32 (N, 3, 3), frame pixels → crop pixels: ArcFace's five points, as most such models were trained.

        Raises:
            ModelError: the faces have neither landmarks nor points.
        """
        return template_matrices(batch, self.name, ARCFACE * (self.card.input_size / ARCFACE_SIZE))

    def embeddings(self, raw: Outputs) -> Floats:
        """The network's outputs → float32 (N, D), each of length 1."""
        return unit_rows(raw[0])

    def pre_process(self, batch: ExtractBatch) -> Placed:
        """The batch's faces, cut out of frames or of face pictures."""
        if not len(batch):
            size = self.card.input_size
            return Placed(np.zeros((0, size, size, 3), np.uint8))
        matrices, size = self.matrices(batch), self.card.input_size
        if self.on_device and shows_frames(batch):
            return Placed(device_patches(self.uploads, self.device, batch, matrices, size, rgb=self.colour == "rgb"))
        pixels = patches_at(batch, matrices, size).pixels
        return Placed(_red_first(pixels) if self.colour == "rgb" else pixels)

    def infer(self, feed: Placed) -> Outputs:
        return self.forward(feed.pixels) if len(feed.pixels) else ()

    def post_process(self, raw: Outputs, feed: Placed, batch: ExtractBatch) -> None:
        """Write the embeddings into ``identities``."""
        batch.identities[self.storage_name] = self.embeddings(raw) if raw else np.zeros((0, 0), np.float32)

    def _warm_up(self) -> None:
        size = self.card.input_size
        raw = self.infer(Placed(np.zeros((1, size, size, 3), np.uint8)))
        check_finite(self.name, raw)
        found = self.embeddings(raw)
        check_shape(self.name, "embeddings", found, (1, *found.shape[1:2]))


def _red_first(pixels: Image) -> Image:
    """(N, S, S, 3) BGR → RGB, in one call: a twentieth of the time that numpy takes to copy it backwards."""
    tall = pixels.reshape(-1, *pixels.shape[2:])
    return np.asarray(cv2.cvtColor(tall, cv2.COLOR_BGR2RGB), np.uint8).reshape(pixels.shape)
