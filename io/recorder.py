"""A source's results as files that always agree: face pictures, and the alignments that know them.

A frame is recorded in the alignments' journal once all its pictures are in the folder, frame after frame in their own
order. So whatever ends the process, every recorded frame has its pictures; at most the pictures of a few frames that
aren't recorded are there too, which the next run writes again with the same content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final, Self, TypeAlias

import numpy as np

from facestream.errors import AlignmentsError, OutputError
from facestream.faces.aligned import align, face_sizes, solved
from facestream.faces.crops import crop, crop_matrices
from facestream.io.face_record import THUMB_SIZE, FaceAlignment, FrameEntry, record_of, thumbnail
from facestream.io.frame_names import FrameNames, VideoNames
from facestream.io.journal_writer import AlignmentsWriter
from facestream.io.picture_writer import Losses, WriteHealth
from facestream.io.savers import FaceSaver, FrameSaver
from facestream.stream.channel import Channel, Receiver, Sender
from facestream.stream.device import Bridge
from facestream.stream.tasks import task_group
from facestream.stream.types import Bools, Faces, Frame, FrameFaces

_BROAD: Final = 0.9
_DEPTH: Final = 8  # frames whose pictures may be on their way; each keeps its pixels in memory


@dataclass(slots=True)
class RecordStatistics:
    """What a recorder has done.

    Attributes:
        frames: recorded, those without faces included.
        faces: recorded.
        with_faces: frames that have any.
        crowded: frames that have more than one.
        unusable: faces left out because their landmarks aren't finite or determine no alignment.
        pictures: face pictures written.
        lost: frames that couldn't be written, where that doesn't end the recording.
        small: faces in the alignments without a picture, being smaller than asked for.
        former: pictures that a former run has left and that were moved aside.
        rolled: faces that seem to lie on their side or upside down.
    """

    frames: int = 0
    faces: int = 0
    with_faces: int = 0
    crowded: int = 0
    unusable: int = 0
    pictures: int = 0
    lost: int = 0
    small: int = 0
    former: int = 0
    rolled: int = 0

    def add(self, faces: int) -> None:
        self.frames += 1
        self.faces += faces
        self.with_faces += faces > 0
        self.crowded += faces > 1


NameFrame: TypeAlias = Callable[[Frame], tuple[str, str]]
"""A frame's name in the alignments, and what its pictures' names begin with."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A frame whose pictures are on their way.

    Attributes:
        records: the faces', where they have landmarks.
        saved: a task for each face that has a picture, ending with its thumbnail.
        frame: the one that saves the frame itself.
    """

    name: str
    faces: FrameFaces
    records: list[FaceAlignment | None]
    saved: dict[int, asyncio.Task[bytes | None]]
    frame: asyncio.Task[bytes | None] | None = None


class Recorder:
    """Records one source's results; a :class:`facestream.stream.types.Sink`.

    Args:
        bridge: where thumbnails are made.
        name: names the frames.
        alignments: the alignments file, entered and left with the recorder. None keeps none.
        pictures: where the faces' pictures go, entered and left too. None saves none. It must raise its losses and,
            with alignments, make thumbnails.
        least_edge: pixels that the edge of a face's square (face centering) must have for its picture to be saved.
        known: the records that the faces were made from. What the results don't say stays in them, and so do faces that
            have no picture because no alignment can be computed.
        frames: where the frames themselves go, under their names in the alignments; like ``pictures``.
        losses: what a frame costs that can't be written: the recording, or the frame alone, which is counted.

    Raises:
        OutputError: on entering and leaving: a picture can't be written. It also ends the block, as a task group does.
        AlignmentsError: the same of the alignments or their journal.
    """

    def __init__(
        self,
        bridge: Bridge,
        name: NameFrame,
        *,
        alignments: AlignmentsWriter | None = None,
        pictures: FaceSaver | None = None,
        least_edge: float = 0.0,
        known: Mapping[str, FrameEntry] | None = None,
        frames: FrameSaver | None = None,
        losses: Losses = Losses.RAISE,
    ) -> None:
        self._known = known
        self._frames = frames
        self._losses = losses
        self._health = WriteHealth("the alignments" if alignments is None else str(alignments.path))
        self._bridge = bridge
        self._name = name
        self._alignments = alignments
        self._pictures = pictures
        self._least_edge = least_edge
        self._stack = AsyncExitStack()
        self._sender: Sender[_Pending] | None = None
        self._written = 0
        self._committed = asyncio.Condition()
        self.statistics = RecordStatistics()

    @property
    def recovered(self) -> Collection[str]:
        """The names of the frames that a former run of the same job has recorded."""
        return () if self._alignments is None else self._alignments.recovered

    def recovered_frames(self) -> Iterator[tuple[str, FrameEntry]]:
        """Those frames themselves, one at a time. Blocks.

        Raises:
            AlignmentsError: the journal can't be read.
        """
        return iter(()) if self._alignments is None else self._alignments.recovered_frames()

    @property
    def untouched(self) -> Collection[str]:
        """Files that were in the folder of pictures before, and aren't of frames written since."""
        return () if self._pictures is None else self._pictures.untouched

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for sink in (self._alignments, self._pictures, self._frames):
                if sink is not None:
                    await stack.enter_async_context(sink)
            tasks = await stack.enter_async_context(task_group())
            self._sender, receiver = Channel[_Pending](_DEPTH).ends
            tasks.create_task(self._commit_all(receiver), name="recorder")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._sender is not None:
            self._sender.close()
        await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]

    async def write(self, faces: FrameFaces) -> None:
        """Take one result; waits while pictures pile up. Cancelling while it waits loses that result.

        Faces that no file can hold are dropped from it and counted.
        """
        assert self._sender is not None, "the recorder isn't entered"
        name, stem = self._name(faces.frame)
        usable = usable_faces(faces)
        self.statistics.unusable += int((~usable).sum())
        if self._alignments is not None and self._known is None and not usable.all():
            faces.keep(usable)
            usable = np.ones(len(faces), np.bool_)
        self.statistics.rolled += rolled_faces(faces)
        known = None if self._known is None else self._known.get(name)
        records = await self._bridge.cpu(_records, faces, usable, known)
        pending = _Pending(name, faces, records, await self._save(faces, stem, name, usable, records))
        if self._frames is not None:
            pending.frame = await self._frames.save(faces.frame, name)
        await self._sender.send(pending)
        self._written += 1

    async def drain(self) -> None:
        """Wait until everything written so far is in its files, and outlives a power cut as far as alignments go."""
        async with self._committed:
            await self._committed.wait_for(lambda: self.statistics.frames + self.statistics.lost >= self._written)
        for pictures in (self._pictures, self._frames):
            if pictures is not None:
                await pictures.drain()
        if self._alignments is not None:
            await self._alignments.drain()

    async def _save(
        self, faces: FrameFaces, stem: str, name: str, usable: Bools, records: list[FaceAlignment | None]
    ) -> dict[int, asyncio.Task[bytes | None]]:
        if self._pictures is None:
            return {}
        large = large_faces(faces, self._least_edge)
        self.statistics.small += len(faces) - len(large)
        chosen = [index for index in large if usable[index]]
        saved = await self._pictures.save(faces, stem, name, at=chosen, records=records)
        self.statistics.former = self._pictures.former
        return saved

    async def _commit_all(self, frames: Receiver[_Pending]) -> None:
        async for frame in frames:
            await self._commit(frame)

    async def _commit(self, frame: _Pending) -> None:
        try:
            await self._store(frame)
        except (OutputError, AlignmentsError) as error:
            if self._losses is Losses.RAISE:
                raise
            cause = error.__cause__
            self._health.failed(cause if isinstance(cause, OSError) else OSError(str(error)))
            self.statistics.lost += 1
        else:
            self._health.succeeded(0)
            self.statistics.pictures += len(frame.saved)
            self.statistics.add(len(frame.faces))
        async with self._committed:
            self._committed.notify_all()

    async def _store(self, frame: _Pending) -> None:
        """Wait for the pictures, then write the record.

        Raises:
            OutputError, AlignmentsError: one of them can't be written.
        """
        thumbs = {index: await task for index, task in frame.saved.items()}
        if frame.frame is not None:
            await frame.frame
        if self._alignments is None:
            return
        entry = await self._bridge.cpu(_entry, frame.faces, frame.records, thumbs)
        if self._known is not None and frame.name in self._known:
            entry.video_meta = self._known[frame.name].video_meta
        await self._alignments.write(frame.name, entry)


def usable_faces(faces: Faces) -> Bools:
    """bool (N,): which faces an alignments file can hold, and a picture be aligned by."""
    if faces.landmarks is None or not len(faces):
        return np.ones(len(faces), np.bool_)
    finite = np.isfinite(faces.boxes).all(axis=1) & np.isfinite(faces.landmarks).all(axis=(1, 2))
    if faces.aligned is None:
        faces.aligned = align(faces.landmarks)
    return np.asarray(finite & solved(faces.aligned))


def rolled_faces(faces: Faces) -> int:
    """How many faces seem to be turned by more than 45° in the picture's plane.

    By their landmarks; or by a box that is nearly as wide as high, since aligners often see an upright face in a turned
    one. On a portrait of 30 frames YuNet's boxes were 0.69 to 0.74 as wide as high, and on their side 0.85 to 1.25.
    """
    if faces.aligned is None:
        return 0
    matrices = faces.aligned.matrices  # frame → upright
    width, height = (faces.boxes[:, 2:] - faces.boxes[:, :2]).T
    return int(((matrices[:, 0, 0] < np.abs(matrices[:, 1, 0])) | (width > _BROAD * height)).sum())


def large_faces(faces: Faces, least_edge: float) -> list[int]:
    """The indices of faces whose square, in face centering, has edges of at least so many frame pixels (spec §14.3)."""
    if not least_edge or faces.aligned is None:
        return list(range(len(faces)))
    return np.flatnonzero(face_sizes(faces.aligned.matrices) >= least_edge).tolist()


def _records(faces: FrameFaces, usable: Bools, known: FrameEntry | None) -> list[FaceAlignment | None]:
    """What there is to say of each face in files; nothing of those that no file can hold."""
    if faces.landmarks is None:
        return [None] * len(faces)
    new = [record_of(faces, index) if usable[index] else None for index in range(len(faces))]
    if known is None or len(known.faces) != len(new):
        return new
    return [old if found is None else _joined(old, found) for old, found in zip(known.faces, new)]


def _entry(faces: FrameFaces, records: list[FaceAlignment | None], thumbs: dict[int, bytes | None]) -> FrameEntry:
    usable = usable_faces(faces)
    complete = []
    for index, record in enumerate(records):
        assert record is not None, "alignments need landmarks"
        thumb = thumbs.get(index) or (_thumb(faces, index) if usable[index] else record.thumb)
        complete.append(replace(record, thumb=thumb))
    return FrameEntry(complete)


def _joined(old: FaceAlignment, new: FaceAlignment) -> FaceAlignment:
    """A face that was known, with what has been found out about it since."""
    return replace(old, mask={**old.mask, **new.mask}, identity={**old.identity, **new.identity})


def _thumb(faces: FrameFaces, index: int) -> bytes:
    """The thumbnail of a face whose picture isn't saved."""
    assert faces.aligned is not None, "alignments need landmarks"
    matrix = crop_matrices(faces.aligned.take(slice(index, index + 1)), THUMB_SIZE, "head")[0]
    return thumbnail(crop(faces.frame.image, matrix, THUMB_SIZE))


def named_by(names: FrameNames) -> NameFrame:
    """Names of a file's or folder's frames."""
    return lambda frame: (names.key(frame.seq, frame.name), names.stem(frame.seq, frame.name))


def camera_names(source: str, suffix: str = ".png") -> NameFrame:
    """``<source>_<n:06d>.png``; ``<source>-e<epoch>_<n:06d>.png`` once the camera has come back. n counts from 1."""

    def name(frame: Frame) -> tuple[str, str]:
        era = f"-e{frame.epoch}" if frame.epoch else ""
        names = VideoNames(source + era, suffix)
        return names.key(frame.seq, None), names.stem(frame.seq, None)

    return name
