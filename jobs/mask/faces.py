"""Masks for extracted face pictures, stored in their headers and in the alignments file that they belong to.

::

    read ─► mask models ─► header of the picture, at once ─► alignments in memory ─► file, now and then and at the end

A header is whole at any time and keeps what is done, also from a kill. What the file lacks then, and a header has, is
copied the next time and not made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from facestream.errors import ConfigError, FaceHeaderError
from facestream.faces.extracted import restored
from facestream.io.alignments import Alignments
from facestream.io.face_record import StoredMask
from facestream.jobs.alignments.matching import match, same_landmarks
from facestream.jobs.alignments.pictures import FacePicture, list_pictures, read_picture
from facestream.jobs.face_chain import FoundFace, UnreadFace, run_over_faces
from facestream.jobs.mask.inputs import MaskInput
from facestream.jobs.mask.job import MaskJob
from facestream.jobs.mask.options import Process
from facestream.jobs.mask.storing import ChangingFile, stored_masks, update_picture
from facestream.jobs.mask.summary import Summary
from facestream.jobs.result_folders import holds_extracted_faces
from facestream.jobs.wording import counted
from facestream.stream.tasks import task_group

IN_FLIGHT: Final = 4
"""Headers that are being written at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A face picture without its masks, but for their names.

    Attributes:
        place: its face's frame and index in the alignments file; None where it has none, or is a copy.
        in_file: the masks that the file has of it, with the picture's own landmarks; None where it has no place.
    """

    picture: FacePicture
    masks: frozenset[str]
    place: tuple[str, int] | None = None
    in_file: frozenset[str] | None = None

    @property
    def path(self) -> Path:
        return self.picture.path


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with a picture's masks.

    Attributes:
        make: to be made by the models.
        to_file: only its header has them.
        to_picture: only the file has them.
    """

    make: tuple[str, ...] = ()
    to_file: tuple[str, ...] = ()
    to_picture: tuple[str, ...] = ()


def task_of(known: Known, names: Sequence[str], *, missing: bool) -> Task:
    """Pure.

    Args:
        names: the masks that are wanted.
        missing: only those that the picture or its place in the file lacks.
    """
    if not missing:
        return Task(make=tuple(names))
    if known.in_file is None:
        return Task(make=tuple(name for name in names if name not in known.masks))
    return Task(
        make=tuple(name for name in names if name not in known.masks and name not in known.in_file),
        to_file=tuple(name for name in names if name in known.masks and name not in known.in_file),
        to_picture=tuple(name for name in names if name in known.in_file and name not in known.masks),
    )


def survey(paths: Iterable[Path], summary: Summary) -> list[Known]:
    """The face pictures among the files; the others are told about in ``summary``. Blocks."""
    found = []
    for path in paths:
        try:
            whole = read_picture(path, whole=True)
        except (FaceHeaderError, OSError) as error:
            reason = str(error) if isinstance(error, FaceHeaderError) else f"{path}: {error.strerror}"
            _leave_out_unread(summary, reason)
        else:
            light = replace(whole, face=replace(whole.face, mask={}, identity={}))
            found.append(Known(light, frozenset(whole.face.mask)))
    return found


def _leave_out_unread(summary: Summary, reason: str) -> None:
    summary.leave_out(reason, "file left out: no face to be read", "files left out: no face to be read")


def placed(known: Sequence[Known], alignments: Alignments, summary: Summary) -> list[Known]:
    """The pictures with their places in the file; those of faces that it doesn't have are left out, and told about."""
    matching = match(alignments.frames, [each.picture for each in known])
    strays = set(matching.strays)
    found = []
    for each in known:
        if each.picture in strays:
            what = "not in the alignments"
            summary.leave_out(each.path.name, f"face skipped: {what}", f"faces skipped: {what}")
            continue
        place = matching.places.get(each.picture)
        if place is not None:
            index = next(i for i, face in enumerate(alignments.faces(place.frame)) if face is place.face)
            same = same_landmarks(each.picture.face, place.face)
            in_file = frozenset(place.face.mask if same else ())
            each = replace(each, place=(place.frame, index), in_file=in_file)
        found.append(each)
    return found


async def mask_faces(job: MaskJob, work: MaskInput, summary: Summary) -> set[Path]:
    """Make the masks of one folder's face pictures; returns which got one.

    Raises:
        ConfigError: there's no face picture in the folder.
        AlignmentsError: a file was given and isn't there or can't be read; or it can't be written.
        OutputError: a picture can't be written. Those before it are.
        ModelError, DeviceError: a model fails; what was made before is kept.
    """
    run = await job.bridge.cpu(_Run.planned, job, work, summary)
    if job.options.dry_run:
        run.tell_rehearsal()
        return set()
    try:
        await run.copy_all()
        await run.make_all()
    finally:
        if run.file is not None:
            await run.file.save()
            if run.file.changed:
                summary.saved, summary.backup = run.file.alignments.path, run.file.backup
    return {path for path, task in run.tasks.items() if task != Task()}


class _Run:
    """One folder's pictures on their way."""

    def __init__(self, job: MaskJob, known: Sequence[Known], alignments: Alignments | None, summary: Summary) -> None:
        self.job = job
        self.summary = summary
        self.file = None
        if alignments is not None:
            self.file = ChangingFile(alignments, job.bridge, job.session.now, job.clock)
        missing = job.options.processing is Process.MISSING
        self.known = {each.path: each for each in known}
        self.tasks = {path: task_of(each, job.maskers.names, missing=missing) for path, each in self.known.items()}
        for task in self.tasks.values():
            summary.kept.update(set(job.maskers.names) - {*task.make, *task.to_file, *task.to_picture})

    @classmethod
    def planned(cls, job: MaskJob, work: MaskInput, summary: Summary) -> _Run:
        """Blocks: reads headers and the file."""
        known = known_pictures(work.source, summary)
        alignments = None
        if work.alignments is not None:
            alignments = job.session.load(work.alignments, to_change=not job.options.dry_run)
            known = placed(known, alignments, summary)
        else:
            summary.notes.append("no alignments file given with -a: only the pictures' headers have the masks")
        return cls(job, known, alignments, summary)

    def tell_rehearsal(self) -> None:
        making = sum(bool(task.make) for task in self.tasks.values())
        copying = sum(bool(task.to_file or task.to_picture) for task in self.tasks.values())
        masks = " and ".join(self.job.maskers.names)
        if making:
            self.job.session.say(f"would make {masks} of {counted(making, 'face')}")
        if copying:
            self.job.session.say(f"would copy {masks} of {counted(copying, 'face')} between pictures and file")
        if self.file is not None and (making or copying):
            self.job.session.say(f"would save {self.file.alignments.path}")

    async def copy_all(self) -> None:
        """Bring picture and file in line where only one of them has a mask."""
        for path, task in self.tasks.items():
            if self.job.interrupted.is_set():
                return
            if not (task.to_file or task.to_picture):
                continue
            place = self.known[path].place
            if place is not None and self.file is not None:
                await self._copy(path, task, self.file, *place)

    async def _copy(self, path: Path, task: Task, file: ChangingFile, frame: str, index: int) -> None:
        face = file.alignments.faces(frame)[index]
        if task.to_picture and not await self._write(path, {name: face.mask[name] for name in task.to_picture}):
            return
        if task.to_file:
            try:
                whole = await self.job.bridge.cpu(partial(read_picture, path, whole=True))
                file.put(frame, index, {name: whole.face.mask[name] for name in task.to_file})
            except (FaceHeaderError, OSError, KeyError) as error:
                _leave_out_unread(self.summary, f"{path}: it has changed meanwhile ({error})")
                return
        self.summary.copied.update(task.to_file + task.to_picture)

    async def make_all(self) -> None:
        """Run the models over the pictures that lack a mask, until the job is interrupted."""
        paths = [path for path, task in self.tasks.items() if task.make]
        if not paths or self.job.interrupted.is_set():
            return
        stages = await self.job.maskers.stages(self.job.bridge)
        slots = asyncio.Semaphore(IN_FLIGHT)
        async with task_group() as tasks, run_over_faces(paths, stages, self.job.bridge, whole=False) as results:
            done = 0
            async for result in results:
                await slots.acquire()
                tasks.create_task(self._keep(result, slots))
                done += 1
                self.job.advanced(done, len(paths))
                if self.job.interrupted.is_set():
                    break

    async def _keep(self, result: FoundFace | UnreadFace, slots: asyncio.Semaphore) -> None:
        try:
            if isinstance(result, UnreadFace):
                _leave_out_unread(self.summary, result.reason)
                return
            names = self.tasks[result.path].make
            (masks,) = await self.job.bridge.cpu(lambda: stored_masks(restored(result.faces), names))
            if not await self._write(result.path, masks):
                return
            self._count(self.known[result.path], masks)
            if self.file is not None:
                await self.file.save_if_due()
        finally:
            slots.release()

    def _count(self, known: Known, masks: Mapping[str, StoredMask]) -> None:
        before = set(known.masks)
        if known.place is not None and self.file is not None:
            frame, index = known.place
            before |= self.file.alignments.faces(frame)[index].mask.keys()
            self.file.put(frame, index, masks)
        self.summary.made.update(masks.keys())
        self.summary.replaced.update(name for name in masks if name in before)

    async def _write(self, path: Path, masks: Mapping[str, StoredMask]) -> bool:
        """False where the picture has gone or changed meanwhile."""
        try:
            await self.job.bridge.cpu(update_picture, path, masks)
        except FaceHeaderError as error:
            _leave_out_unread(self.summary, str(error))
            return False
        self.summary.pictures += 1
        return True


def known_pictures(folder: Path, summary: Summary) -> list[Known]:
    """The face pictures in a folder. Blocks.

    Raises:
        ConfigError: there is none.
        AlignmentsError: the folder can't be read.
    """
    paths = list_pictures(folder)
    known = survey(paths, summary)
    if not known:
        what = "none of its PNG files is a face that was extracted" if paths else "there's no PNG file in it"
        if _sub_folders_hold_faces(folder):
            raise ConfigError(f"{folder} holds no faces itself, its sub-folders do: add -B")
        raise ConfigError(f"{folder} holds no faces: {what}; give -I frames for frames")
    return known


def _sub_folders_hold_faces(folder: Path) -> bool:
    return any(path.is_dir() and holds_extracted_faces(path) for path in folder.iterdir())
