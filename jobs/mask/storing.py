"""Masks on their way into alignments files and face pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from facestream.errors import FaceHeaderError, OutputError
from facestream.io.alignments import Alignments
from facestream.io.face_record import FaceAlignment, FrameEntry, StoredMask, records_of
from facestream.io.faces import read_header, update_header
from facestream.stream.device import Bridge
from facestream.stream.types import Faces

SAVE_INTERVAL: Final = 60.0
"""Seconds: a job that is killed has that much to do again."""

_SHARE: Final = 20
"""A file that takes long to save is saved so many times as seldom."""


def stored_masks(faces: Faces, names: Sequence[str], size: int | None = None) -> list[dict[str, StoredMask]]:
    """Each face's masks of these names, as files hold them; a face may lack some.

    Args:
        faces: with landmarks, in the pixels of their frame.
        size: the masks' edge in files; None as it is.

    Raises:
        ValueError: a box or landmark isn't finite.
    """
    masks = {name: faces.masks[name] for name in names if name in faces.masks}
    alone = Faces(boxes=faces.boxes, scores=faces.scores, landmarks=faces.landmarks, masks=masks)
    return [record.mask for record in records_of(alone, storage_size=size)]


def with_masks(face: FaceAlignment, masks: Mapping[str, StoredMask]) -> FaceAlignment:
    """The same face; masks of these names are new or replaced."""
    return replace(face, mask={**face.mask, **masks})


def update_picture(path: Path, masks: Mapping[str, StoredMask]) -> None:
    """Add masks to a face picture's header, or replace them there. No pixel and nothing else in it changes; the file is
    whole at any time.

    Raises:
        FaceHeaderError: it has gone, or has no header any more that can be trusted.
        OutputError: it can't be read or written.
    """
    try:
        header = read_header(path)
        for name, mask in masks.items():
            header["alignments"]["mask"][name] = _plain(mask)
        update_header(path, header, owned=True)
    except FileNotFoundError:
        raise FaceHeaderError(f"{path} has gone meanwhile") from None
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}; mend that, then run again with -p missing") from error


def _plain(mask: StoredMask) -> dict[str, Any]:
    return mask.fields() | {"affine_matrix": mask.affine_matrix.tolist()}


class ChangingFile:
    """An alignments file whose faces get masks one after another. It is kept as it was under a dated name, and saved
    from time to time: what a killed job has to do again doesn't grow with the input.

    Args:
        now: the date of the backup.
        clock: seconds.
    """

    def __init__(
        self, alignments: Alignments, bridge: Bridge, now: datetime, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.alignments = alignments
        self.backup: Path | None = None
        self.changed = 0
        self._bridge = bridge
        self._now = now
        self._clock = clock
        self._saved = 0
        self._due = clock() + SAVE_INTERVAL
        self._saving = asyncio.Lock()

    def put(self, frame: str, index: int, masks: Mapping[str, StoredMask]) -> None:
        """Give the face at ``index`` of ``frame`` masks. On disk only after :meth:`save`."""
        if masks:
            entry = self.alignments.frames[frame]
            faces = list(entry.faces)
            faces[index] = with_masks(faces[index], masks)
            self.alignments.frames[frame] = FrameEntry(faces, entry.video_meta)
            self.changed += 1

    async def save_if_due(self) -> None:
        """Save once in a while; see :meth:`save`."""
        if self._clock() >= self._due:
            await self.save()

    async def save(self) -> None:
        """Write the file, if there is something new. Cancelling lets the write end.

        Raises:
            AlignmentsError: it can't be written; the former is there still.
        """
        async with self._saving:
            if self.changed == self._saved:
                return
            self._saved, started = self.changed, self._clock()
            backup = None if self.backup is not None else self._now
            kept = await self._bridge.cpu(partial(self.alignments.save, backup))
            self.backup = self.backup or kept
            ended = self._clock()
            self._due = ended + max(SAVE_INTERVAL, _SHARE * (ended - started))
