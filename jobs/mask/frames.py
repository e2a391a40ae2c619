"""Masks for the faces that an alignments file knows, made out of their frames.

::

    read the frames that are wanted ─► mask models ─► alignments in memory ─► file, from time to time and at the end
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from facestream.errors import AlignmentsError, SourceError
from facestream.io.alignments import Alignments
from facestream.io.face_record import FrameEntry, faces_of
from facestream.io.frame_names import FrameNames, PictureNames
from facestream.io.images import PICTURES_PER_SECOND
from facestream.io.lazy import LazyFrames
from facestream.jobs.alignments.frames import is_video, names_of_video, pictures_of
from facestream.jobs.alignments.session import Session
from facestream.jobs.face_chain import BATCHES_PER_STAGE
from facestream.jobs.mask.inputs import MaskInput
from facestream.jobs.mask.job import MaskJob
from facestream.jobs.mask.options import Process
from facestream.jobs.mask.storing import ChangingFile, stored_masks
from facestream.jobs.mask.summary import Summary
from facestream.jobs.wording import counted
from facestream.stream.channel import BrokenChannel
from facestream.stream.pipeline import Pipeline
from facestream.stream.tasks import task_group
from facestream.stream.types import Frame, FrameFaces

log = logging.getLogger("facestream.mask")


def frames_to_mask(
    frames: Mapping[str, FrameEntry], names: Sequence[str], *, missing: bool
) -> dict[str, tuple[str, ...]]:
    """The frames to look at, and which masks to store of all their faces. Pure.

    Args:
        names: the masks that are wanted.
        missing: only what at least one face of the frame lacks. All others of the frame get it anew with it: the file
            then has masks of one make for the whole frame, as faceswap has it (spec §16.2).
    """
    wanted = {}
    for key, entry in frames.items():
        lacking = tuple(name for name in names if not missing or any(name not in face.mask for face in entry.faces))
        if entry.faces and lacking:
            wanted[key] = lacking
    return wanted


def names_of(source: Path, alignments: Alignments, session: Session) -> FrameNames:
    """How the alignments call the frames of a video, a picture or a folder.

    Raises:
        SourceError: it can't be read.
        AlignmentsError: the file is of another input.
    """
    session.check_known(source, alignments)
    if is_video(source):
        return names_of_video(source, alignments.frames)
    return PictureNames([path.name for path in pictures_of(source)])


async def mask_frames(job: MaskJob, work: MaskInput, summary: Summary) -> set[str]:
    """Make the masks of one input's faces, and save its alignments file if something has changed; returns which frames
    were looked at.

    Raises:
        SourceError: the input can't be read, or not to its end; masks made before are saved.
        AlignmentsError: the file isn't there, or is of another input, or can't be written.
        ModelError, DeviceError: a model fails; masks made before are saved.
    """
    run = await job.bridge.cpu(_Run.planned, job, work, summary)
    total = sum(len(run.alignments.faces(key)) for key in run.plan)
    if job.options.dry_run or not run.plan:
        if run.plan:
            run.tell_rehearsal(total)
        return set()
    try:
        await run.all_frames(total)
    finally:
        await run.file.save()
        if run.file.changed:
            summary.saved, summary.backup = run.alignments.path, run.file.backup
    return set(run.plan)


class _Run:
    """One input's frames on their way."""

    def __init__(
        self, job: MaskJob, work: MaskInput, alignments: Alignments, names: FrameNames, summary: Summary
    ) -> None:
        self.job = job
        self.source = work.source
        self.alignments = alignments
        self.names = names
        self.summary = summary
        self.file = ChangingFile(alignments, job.bridge, job.session.now, job.clock)
        self.plan = frames_to_mask(
            alignments.frames, job.maskers.names, missing=job.options.processing is Process.MISSING
        )
        self._seen: set[str] = set()
        self._lost: SourceError | None = None
        self._count_kept()

    @classmethod
    def planned(cls, job: MaskJob, work: MaskInput, summary: Summary) -> _Run:
        """Blocks: reads the file and lists the folder."""
        assert work.alignments is not None, "frames have a file"
        alignments = job.session.load(work.alignments, to_change=not job.options.dry_run)
        run = cls(job, work, alignments, names_of(work.source, alignments, job.session), summary)
        if not alignments.faces_count:
            raise AlignmentsError(f"{alignments.path} holds no face; extract them first")
        return run

    def _count_kept(self) -> None:
        for key, entry in self.alignments.frames.items():
            for name in self.job.maskers.names:
                if name not in self.plan.get(key, ()):
                    self.summary.kept[name] += len(entry.faces)

    def tell_rehearsal(self, faces: int) -> None:
        masks = " and ".join(self.job.maskers.names)
        self.job.session.say(f"would make {masks} of {counted(faces, 'face')} in {counted(len(self.plan), 'frame')}")
        self.job.session.say(f"would save {self.alignments.path}")

    async def all_frames(self, total: int) -> None:
        """Look at each frame that is planned, until the job is interrupted."""
        stages = await self.job.maskers.stages(self.job.bridge)
        pipeline = Pipeline(stages, self.job.bridge, in_flight=BATCHES_PER_STAGE * len(stages))
        done = 0
        async with task_group() as tasks, pipeline.running() as results:
            feeding = tasks.create_task(self._feed(pipeline), name="frames.read")
            try:
                async for faces in results:
                    await self._keep(faces)
                    done += len(faces)
                    self.job.advanced(done, total)
                    if self.job.interrupted.is_set():
                        return
            finally:
                feeding.cancel()
        self._tell_missing()
        if self._lost is not None:
            raise self._lost

    async def _feed(self, pipeline: Pipeline) -> None:
        frames = LazyFrames(str(self.source), self.job.bridge, wanted=self._wanted)
        try:
            async with frames:
                async for picture in frames:
                    try:
                        image = await self.job.bridge.cpu(picture.load)
                    except SourceError as error:
                        self.summary.leave_out(str(error), "frame can't be read", "frames can't be read")
                        continue
                    place = picture.index
                    frame = Frame("frames", 0, place, place / PICTURES_PER_SECOND, 0.0, image, name=picture.name)
                    faces = self._known(frame)
                    if faces is not None:
                        await pipeline.put(faces)
        except SourceError as error:
            self._lost = error  # what was read before counts all the same
        except BrokenChannel:  # a model has failed, which its own error tells
            return
        await pipeline.close()

    def _wanted(self, index: int, name: str | None) -> bool:
        key = self.names.key(index, name)
        self._seen.add(key)
        if key not in self.alignments:
            one, several = "frame skipped: not in the alignments", "frames skipped: not in the alignments"
            self.summary.leave_out(key, one, several)
        return key in self.plan

    def _known(self, frame: Frame) -> FrameFaces | None:
        key = self._key(frame)
        try:
            known = faces_of(self.alignments.faces(key))
        except ValueError as error:
            self.summary.leave_out(f"{key} ({error})", "frame left out", "frames left out")
            return None
        return FrameFaces(frame=frame, **known.face_fields(slice(None)))

    def _key(self, frame: Frame) -> str:
        return self.names.key(frame.seq, frame.name)

    async def _keep(self, faces: FrameFaces) -> None:
        key = self._key(faces.frame)
        names = self.plan[key]
        found = await self.job.bridge.cpu(stored_masks, faces, names)
        for index, (masks, face) in enumerate(zip(found, self.alignments.faces(key))):
            self.summary.made.update(masks.keys())
            self.summary.replaced.update(name for name in masks if name in face.mask)
            self.file.put(key, index, masks)
        await self.file.save_if_due()

    def _tell_missing(self) -> None:
        for key in self.plan:
            if key not in self._seen:
                one = "frame of the alignments isn't in the input, and its faces got no mask"
                several = "frames of the alignments aren't in the input, and their faces got no mask"
                self.summary.leave_out(key, one, several)
