"""What an identity model sees in photos that a user names: one person's face in each.

::

    an extracted face with an embedding of the model ──────────────────────────────► used as it is
    an extracted face without one ───────────────────────────────────► identity ──► used
    any other photo ─────────────────────────► detect ─► align ──────► identity ──► used, if it shows one face
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from facestream.errors import FaceHeaderError, SourceError
from facestream.io.images import list_images, read_image
from facestream.jobs.face_pictures import read_face_picture
from facestream.jobs.models import FILE, ModelOptions, load_stages
from facestream.jobs.wording import counted
from facestream.plugins import registry
from facestream.plugins.identity.filtered import storage_name
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import Floats, Frame, FrameFaces

Load: TypeAlias = Callable[[ModelOptions, Bridge], Awaitable[list[Stage]]]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One photo's face: float32 (D,)."""

    path: Path
    embedding: Floats


@dataclass(frozen=True, slots=True)
class Unused:
    """A photo that shows nobody in particular; ``reason`` is one line that names it."""

    path: Path
    reason: str


class PhotoLooks:
    """Photos → embeddings. The models are loaded when the first photo needs them.

    Args:
        options: one identity model, and what finds faces for it.
        bridge: where the models run.
        largest: of several faces in a photo take the largest; otherwise such a photo isn't used.
        load: makes the models' stages.
    """

    def __init__(
        self, options: ModelOptions, bridge: Bridge, *, largest: bool = False, load: Load = load_stages
    ) -> None:
        (identity,) = options.identities
        self._options = options
        self._bridge = bridge
        self._largest = largest
        self._load = load
        self._key = storage_name(registry.create("identity", identity))
        self._finding: Pipeline | None = None
        self._embedding: Pipeline | None = None

    async def looks(self, names: Sequence[Path]) -> AsyncIterator[Look | Unused]:
        """Each photo of ``names``, which are files or folders of them, once and in this order.

        Raises:
            ModelError, DeviceError: a model can't be had, or fails.
        """
        seen: set[Path] = set()
        for name in names:
            photos = await self._bridge.cpu(_photos, name)
            if isinstance(photos, Unused):
                yield photos
                continue
            for path in photos:
                if (real := path.resolve()) not in seen:
                    seen.add(real)
                    yield await self._look(path)

    async def _look(self, path: Path) -> Look | Unused:
        try:
            known = await self._bridge.cpu(_read, path)
        except (SourceError, OSError) as error:
            return Unused(path, str(error))
        faces = await self._through_models(known)
        rows = faces.identities.get(self._key, np.zeros((0, 0), np.float32))
        usable = np.flatnonzero(np.isfinite(rows).all(axis=1) & rows.any(axis=1))
        if not len(usable):
            return Unused(path, f"{path}: shows no face that can be found; take one that is sharper, larger or upright")
        if len(usable) > 1 and not self._largest:
            many = counted(len(usable), "face")
            return Unused(path, f"{path}: shows {many}; cut out the one that you mean, or take the --largest")
        sides = faces.boxes[usable, 2:] - faces.boxes[usable, :2]
        return Look(path, rows[usable[sides.prod(axis=1).argmax()]])

    async def _through_models(self, known: Frame | FrameFaces) -> FrameFaces:
        if isinstance(known, Frame):
            if self._finding is None:
                self._finding = await self._loaded(self._options)
            return await self._finding.process_one(known)
        if self._key in known.identities and np.isfinite(known.identities[self._key]).all():
            return known
        if self._embedding is None:
            self._embedding = await self._loaded(replace(self._options, detector=FILE, aligner=FILE))
        return await self._embedding.process_one(known)

    async def _loaded(self, options: ModelOptions) -> Pipeline:
        return Pipeline(await self._load(options, self._bridge), self._bridge)


def _photos(name: Path) -> list[Path] | Unused:
    try:
        return list_images(name) if name.is_dir() else [name]
    except SourceError as error:
        return Unused(name, str(error))


def _read(path: Path) -> Frame | FrameFaces:
    """A photo, or an extracted face with all that its header knows."""
    if path.suffix.lower() == ".png":
        try:
            return read_face_picture(path, source="photos", seq=0)
        except FaceHeaderError:
            pass  # any other photo
    return Frame("photos", 0, 0, 0.0, 0.0, read_image(path), path.name)
