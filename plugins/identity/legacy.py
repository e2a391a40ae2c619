"""What faceswap's identity models share: faces cut out with the nose in the middle, by their landmarks."""

from __future__ import annotations

from facestream.errors import ModelError
from facestream.faces.aligned import align
from facestream.faces.crops import crop_matrices
from facestream.plugins.identity.base import TorchIdentity
from facestream.stream.types import ExtractBatch, Floats


class LegacyIdentity(TorchIdentity):
    """A model trained on faces in faceswap's "legacy" centering (spec §17.1)."""

    def matrices(self, batch: ExtractBatch) -> Floats:
        """float32 (N, 3, 3), frame pixels → crop pixels.

        Raises:
            ModelError: the faces have no landmarks.
        """
        if batch.landmarks is None:
            raise ModelError(f"{self.name}: needs landmarks: choose an aligner")
        return crop_matrices(batch.aligned or align(batch.landmarks), self.card.input_size, "legacy")
