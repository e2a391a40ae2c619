"""Embeddings of face pictures that have none in their header yet, and their way into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from facestream.errors import FaceHeaderError, ModelError
from facestream.io.faces import read_header, update_header
from facestream.jobs.face_chain import FoundFace, UnreadFace, run_over_faces
from facestream.jobs.models import FILE, ModelOptions, load_stages
from facestream.plugins import registry
from facestream.plugins.card import Role
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage
from facestream.stream.types import Floats

_ABOVE_PAIRS: Final = 1.25
"""Two groups must be so much more alike than a card asks of two faces: a group has many chances to be mistaken. Chosen
with sface, where it is a mean cosine of 0.45; 0.40 to 0.50 do as well within 0.01 of F1 (``bench/clustering.py``)."""

_ANY_MODEL: Final = 0.4  # cosine, where a card doesn't say


def people_apart(model: str) -> float:
    """The mean cosine distance from which two groups are two people, for a model's embeddings.

    Raises:
        UnknownModel: there's no such identity model.
    """
    return 1 - _ABOVE_PAIRS * (registry.card(Role.IDENTITY, model).threshold or _ANY_MODEL)


class Embedder:
    """An identity model for face pictures, loaded when the first one needs it.

    Args:
        model: its name.
        stored: write what was computed into the picture's header.
    """

    def __init__(self, model: str, device: str, bridge: Bridge, *, stored: bool) -> None:
        plugin = registry.create(Role.IDENTITY, model)
        self.storage_name: str = getattr(plugin, "storage_name", model)
        self._options = ModelOptions(detector=FILE, aligner=FILE, identity=model, device=device)
        self._bridge = bridge
        self._stored = stored
        self._stages: list[Stage] | None = None
        self.unwritten = 0
        """Pictures whose header can't be written to: their embedding is computed again the next time."""

    async def embeddings(
        self, paths: Sequence[Path], advanced: Callable[[int, int], None]
    ) -> AsyncIterator[tuple[Path, Floats] | UnreadFace]:
        """Each picture's embedding, in order, written into its header by then. Leaving early loses nothing written.

        Raises:
            ModelError, DeviceError: the model can't be loaded, or fails.
        """
        if self._stages is None:
            self._stages = await load_stages(self._options, self._bridge)
        async with run_over_faces(paths, self._stages, self._bridge, advanced=advanced) as results:
            async for result in results:
                match result:
                    case UnreadFace(path, reason):
                        yield UnreadFace(path, reason.removeprefix(f"{path}: "))
                    case FoundFace(path, faces):
                        row = faces.identities.get(self.storage_name)
                        if row is None or len(row) != 1:
                            raise ModelError(f"{self._options.identity}: wrote no {self.storage_name} embedding")
                        if not np.isfinite(row).all():
                            yield UnreadFace(path, "gives an embedding that isn't finite")
                            continue
                        if self._stored:
                            self.unwritten += not await self._bridge.cpu(store, path, self.storage_name, row[0])
                        yield path, row[0]


def store(path: Path, name: str, embedding: Floats) -> bool:
    """Add an embedding to a picture's header; whether it could be written. Blocks."""
    try:
        header = read_header(path)
        header["alignments"]["identity"][name] = [float(value) for value in embedding]
        update_header(path, header, owned=True)
    except (OSError, FaceHeaderError):
        return False
    return True
