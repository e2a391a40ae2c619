"""The extract job at work: inputs are read one after another, and each one's results go into its own files.

::

    read ─► gate ─► models ─► publish ─┬─► the input's recorder: pictures, alignments
    input after input                  └─► the job's sinks: JSON lines, frames

The pipeline doesn't run empty between two inputs: the next one is read while the results of the last are still on
their way, so for a while two recorders are open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from facestream.errors import AlignmentsError, SourceError
from facestream.io.face_record import FaceAlignment, FrameEntry
from facestream.io.journal import journal_path, read_index
from facestream.io.journal_writer import AlignmentsWriter, check_header
from facestream.io.picture_writer import Losses
from facestream.io.recorder import NameFrame, Recorder, RecordStatistics, camera_names, named_by
from facestream.io.savers import FaceSaver
from facestream.io.sources import BaseSource, open_source
from facestream.io.spool import Spool
from facestream.io.urls import SourceKind
from facestream.jobs.extract_folder import check_pictures, origins_of, set_former_aside
from facestream.jobs.extract_frames import (
    Selection,
    Skipped,
    check_folder,
    existing_frames,
    frame_names,
    recorded_frames,
    unread_pictures,
)
from facestream.jobs.extract_plan import ExtractPlan, InputPlan
from facestream.jobs.known_faces import KnownFaces, known_faces
from facestream.jobs.naming import Naming
from facestream.jobs.privacy import Privacy
from facestream.stream.channel import BrokenChannel, Channel, Receiver, Sender
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.tasks import task_group
from facestream.stream.types import FrameFaces, Sink

log = logging.getLogger("facestream.extract")


class Outcome(Enum):
    """How an input has ended, or not yet."""

    WAITING = "waiting"
    READING = "reading"
    DONE = "done"
    FAILED = "failed"  # it can't be read, or not to its end: what was read is recorded
    STOPPED = "stopped"  # by the user


class _Unfinished(Exception):
    """Leaves a recorder in such a way that the next run can go on."""


@dataclass(slots=True, eq=False)
class InputRun:
    """One input while the job runs, and what has become of it.

    Attributes:
        source: None until it is opened.
        expected: frames that there are to look at; None while unknown.
        unread: pictures in its folder of kinds that aren't read.
        known: its faces, where they come from a file.
        published: frames that came out of the models, or gave way to newer ones of a camera.
    """

    plan: InputPlan
    outcome: Outcome = Outcome.WAITING
    error: SourceError | None = None
    source: BaseSource | None = None
    expected: int | None = None
    unread: int = 0
    statistics: RecordStatistics = field(default_factory=RecordStatistics)
    known: KnownFaces | None = None
    skipped: Skipped = field(default_factory=Skipped)
    published: int = 0
    results: Sender[FrameFaces] | None = None

    @property
    def name(self) -> str:
        return self.plan.spec.name

    @property
    def damaged(self) -> int:
        return 0 if self.source is None else self.source.statistics().damaged

    @property
    def missing(self) -> int:
        """Frames that a video announces and that weren't in it, or couldn't be decoded without a word."""
        if self.outcome is not Outcome.DONE or self.source is None or self.source.count is None:
            return 0
        return max(0, self.source.count - self.source.statistics().captured - self.source.skipped - self.damaged)

    @property
    def recorded(self) -> bool:
        """There is an alignments file with something of this job in it."""
        done = self.outcome is Outcome.DONE or self.statistics.frames or self.skipped.resumed
        return self.plan.alignments is not None and bool(done)

    def fail(self, error: SourceError) -> None:
        self.outcome, self.error = Outcome.FAILED, error

    @property
    def ended(self) -> bool:
        """Nothing more is read of it."""
        return self.outcome not in (Outcome.WAITING, Outcome.READING)


class ExtractJob:
    """Runs a plan.

    Args:
        plan: what to read and write.
        pipeline: the models.
        bridge: where blocking work runs.
        detector: the name of the detector that runs.
        sinks: what all inputs share, entered already.
        earlier: what models that have seen the frames before have found, in place of what a file knows.
        progress: called with the input whenever something is known or done.
        privacy: covers faces in whatever is written. A result that it withholds is written nowhere.
        naming: says who the faces are.
        biometrics: whether embeddings are written.
    """

    def __init__(
        self,
        plan: ExtractPlan,
        pipeline: Pipeline,
        bridge: Bridge,
        *,
        detector: str,
        sinks: Sequence[Sink] = (),
        earlier: Spool | None = None,
        progress: Callable[[InputRun], None] = lambda run: None,
        privacy: Privacy | None = None,
        naming: Naming | None = None,
        biometrics: bool = True,
    ) -> None:
        self._plan = plan
        self._privacy = privacy
        self._naming = naming
        self._biometrics = biometrics
        self._pipeline = pipeline
        self._bridge = bridge
        self._detector = detector
        self._sinks = sinks
        self._earlier = earlier
        self._progress = progress
        self.runs = [InputRun(item) for item in plan.inputs]
        self._by_name = {run.name: run for run in self.runs}
        self._reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Do all of it.

        An input that can't be read, or not to its end, doesn't keep the others from being read: see
        :attr:`InputRun.error`. After any error, and after :meth:`stop`, everything that came out of the models is
        recorded, and the same job can go on later.

        Raises:
            OutputError, AlignmentsError: something can't be written, a journal is another job's, or pictures of
                something else are in the way.
        """
        for item in self._plan.inputs:
            await self._bridge.cpu(check_journal, self._plan, item, self._detector)
            await self._bridge.cpu(check_pictures, self._plan, item)
        async with task_group() as tasks:
            self._reading = tasks.create_task(self._read_all(tasks), name="extract.read")
            await self._pipeline.run(self._publish)

    def stop(self) -> None:
        """Read no more; let what is being worked on come out and be recorded. :meth:`run` then returns."""
        if self._reading is not None:
            self._reading.cancel()

    # Reading

    async def _read_all(self, tasks: asyncio.TaskGroup) -> None:
        try:
            for run in self.runs:
                try:
                    await self._read(run, tasks)
                except SourceError as error:
                    run.fail(error)
                    if len(self.runs) > 1:
                        log.error("skipped: %s", error)
                except asyncio.CancelledError:
                    run.outcome = Outcome.STOPPED
                    raise
                finally:
                    self._close_when_complete(run)
                    self._progress(run)
        finally:
            await self._pipeline.close()

    async def _read(self, run: InputRun, tasks: asyncio.TaskGroup) -> None:
        run.outcome = Outcome.READING
        names = await self._bridge.cpu(frame_names, run.plan)
        name = camera_names(run.name) if names is None else named_by(names)
        existing = await self._bridge.cpu(existing_frames, self._plan, run.plan)
        run.known = await self._bridge.cpu(known_faces, self._plan, run.plan)
        recovered = await self._bridge.cpu(recorded_frames, self._plan, run.plan, names)
        every_n = self._plan.options.extract_every_n
        selection = Selection(every_n, names, existing, recovered, run.skipped, run.plan.only)
        source = open_source(run.plan.spec.url, name=run.name, bridge=self._bridge, wanted=selection.wanted)
        source.quiet = True
        async with source:  # before anything is made for it on the disk
            source.quiet = source.finite  # what becomes of a camera is news
            run.source, run.expected = source, await self._bridge.cpu(selection.expected, source.count)
            run.unread = await self._bridge.cpu(unread_pictures, run.plan)
            await self._start_recorder(run, name, recovered, tasks)
            self._progress(run)
            self._pipeline.gate.add(run.name, live=source.live)
            async for frame in source:
                item = frame if run.known is None else run.known.of(frame, name(frame)[0])
                await self._pipeline.put(
                    item if self._earlier is None else await self._bridge.cpu(self._earlier.read, frame)
                )
        if run.damaged and run.plan.spec.kind is SourceKind.FOLDER:
            await self._bridge.cpu(check_folder, run.plan.spec.url)
        if self._earlier is not None:
            await self._bridge.cpu(self._earlier.finish, run.name)
        run.outcome = Outcome.DONE

    # Recording

    async def _start_recorder(
        self, run: InputRun, name: NameFrame, recovered: Collection[str], tasks: asyncio.TaskGroup
    ) -> None:
        """Open the input's files.

        Raises:
            AlignmentsError: their journal isn't the one any more that ``recovered`` was read from.
        """
        recorder = self._recorder(run, name)
        run.statistics = recorder.statistics
        run.results, results = Channel[FrameFaces](1).ends
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        tasks.create_task(self._record(run, recorder, results, opened), name=f"extract.record.{run.name}")
        await opened
        if not set(recovered) <= set(recorder.recovered):
            raise AlignmentsError(f"{run.plan.alignments} was written by another job just now; run this one again")

    def _recorder(self, run: InputRun, name: NameFrame) -> Recorder:
        options, item = self._plan.options, run.plan
        alignments = pictures = None
        if item.alignments is not None:
            alignments = AlignmentsWriter(
                item.alignments,
                self._bridge,
                self._plan.header(item, self._detector),
                resume=options.resume,
                keep=options.skip_existing or options.skip_existing_faces or item.faces == item.alignments,
                save_interval=options.save_interval,
            )
        if item.pictures is not None:
            pictures = FaceSaver(
                item.pictures,
                self._bridge,
                size=options.size,
                debug=options.debug_landmarks,
                thumbs=alignments is not None,
                losses=Losses.RAISE,
                origins=origins_of(item),
            )
        return Recorder(
            self._bridge,
            name,
            alignments=alignments,
            pictures=pictures,
            least_edge=self._plan.least_edge,
            known=None if run.known is None else self._known_entries(run.known),
        )

    def _known_entries(self, known: KnownFaces) -> Mapping[str, FrameEntry] | None:
        """What the file says that the faces come from, but for what mustn't be written again."""
        if known.entries is None or (self._privacy is None and self._biometrics):
            return known.entries
        return {
            name: replace(entry, faces=[self._as_kept(record) for record in entry.faces])
            for name, entry in known.entries.items()
        }

    def _as_kept(self, record: FaceAlignment) -> FaceAlignment:
        thumb = None if self._privacy is not None else record.thumb
        return replace(record, thumb=thumb, identity=record.identity if self._biometrics else {})

    async def _record(
        self, run: InputRun, recorder: Recorder, results: Receiver[FrameFaces], opened: asyncio.Future[None]
    ) -> None:
        try:
            async with recorder:
                if not opened.cancelled():  # as :meth:`stop` does, if it comes just now
                    opened.set_result(None)
                async for faces in results:
                    await recorder.write(faces)
                await recorder.drain()
                if run.outcome is not Outcome.DONE:
                    raise _Unfinished
            if run.plan.pictures is not None:
                run.statistics.former += await self._bridge.cpu(
                    set_former_aside, self._plan, run.plan, recorder.untouched, recorder.recovered
                )
        except _Unfinished:
            pass
        finally:
            results.close()
            opened.cancel()

    async def _publish(self, faces: FrameFaces) -> None:
        run = self._by_name[faces.frame.source]
        assert run.results is not None, "results before the recorder is open"
        if (written := await self._as_written(faces)) is not None:
            for sink in self._sinks:
                await sink.write(written)
            try:
                await run.results.send(written)
            except BrokenChannel:
                return  # its recorder has failed, which ends the job
        run.published += 1 + faces.dropped
        self._close_when_complete(run)
        self._progress(run)

    async def _as_written(self, faces: FrameFaces) -> FrameFaces | None:
        """What files may hold of a result; None for nothing."""
        named = faces if self._naming is None else self._naming.apply(faces)
        written = named if self._privacy is None else await self._privacy.apply(named)
        if written is None or self._biometrics:
            return written
        return replace(written, identities={})

    def _close_when_complete(self, run: InputRun) -> None:
        """No more results will come once reading has ended and everything that the pipeline has accepted is out."""
        gate = self._pipeline.gate
        accepted = gate.statistics(run.name).captured if run.name in gate else 0
        if run.ended and run.published == accepted and run.results is not None:
            run.results.close()


def check_journal(plan: ExtractPlan, item: InputPlan, detector: str) -> bool:
    """Say at once, not when the input's turn comes, that its journal can't be used; whether the input is begun.

    Raises:
        AlignmentsError: it is another job's, or a camera's, whose frames never come again.
    """
    if item.alignments is None or not plan.options.resume:
        return False
    journal = journal_path(item.alignments)
    index = read_index(journal)
    check_header(journal, index, plan.header(item, detector))
    begun = index is not None and bool(index.offsets)
    if item.camera and begun:
        raise AlignmentsError(f"{journal} is of a camera, which can't go on; start anew with --no-resume")
    return begun
