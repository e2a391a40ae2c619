"""One model on the device at a time (spec §15.3): the passes of an extract job before its last.

::

    pass 1    read ─► detect ─► results without pixels, on disk
    pass 2    read again, with those results ─► align ─► results, on disk
    last      read again, with those results ─► identity ─► the job's own recorders and sinks

The last pass is :class:`facestream.jobs.extract_job.ExtractJob`, given what the one before it has kept. A model is
loaded for its pass and gone after it.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from facestream.errors import SourceError
from facestream.io.recorder import named_by
from facestream.io.sources import open_source
from facestream.io.spool import Spool
from facestream.io.urls import SourceKind
from facestream.jobs.extract import BATCHES_PER_STAGE
from facestream.jobs.extract_folder import check_pictures
from facestream.jobs.extract_frames import Selection, check_folder, existing_frames, frame_names, recorded_frames
from facestream.jobs.extract_job import InputRun, Outcome, check_journal
from facestream.jobs.extract_plan import ExtractPlan
from facestream.jobs.extract_report import Progress, failure
from facestream.jobs.interrupt import stopping
from facestream.jobs.known_faces import known_faces
from facestream.jobs.models import ModelOptions, load_stages
from facestream.jobs.passes import Pass
from facestream.stream.channel import BrokenChannel
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage, StageStatistics
from facestream.stream.tasks import task_group
from facestream.stream.types import FrameFaces

Load: TypeAlias = Callable[[ModelOptions, Bridge], Awaitable[list[Stage]]]


class FinishedStage:
    """What a stage has to tell once its model is gone."""

    def __init__(self, stage: Stage) -> None:
        self._statistics = stage.statistics()
        self._summary = stage.summary()

    def statistics(self) -> StageStatistics:
        return self._statistics

    def summary(self) -> list[str]:
        return self._summary


@dataclass(slots=True, eq=False)
class Earlier:
    """What the passes before the last have left.

    Attributes:
        results: of the last of them; None if there were none.
        stages: of all of them.
        stopped: the pass during which the user has stopped the job.
    """

    results: Spool | None = None
    stages: list[FinishedStage] = field(default_factory=list)
    stopped: Pass | None = None

    def replace(self, results: Spool) -> None:
        """Let go of what the pass before the last one has kept."""
        self.close()
        self.results = results

    def close(self) -> None:
        if self.results is not None:
            self.results.close()


@asynccontextmanager
async def earlier_passes(
    plan: ExtractPlan,
    passes: Sequence[Pass],
    bridge: Bridge,
    *,
    detector: str,
    quiet: bool = True,
    load: Load = load_stages,
) -> AsyncIterator[Earlier]:
    """Run all of ``passes`` but the last; their results live as long as the block.

    An input that can't be read, or not to its end, doesn't keep the others from being read. Its error is kept with the
    results, and whoever reads these to their end meets it.

    Args:
        detector: the name of the detector that runs.
        quiet: show no progress.
        load: makes a pass's stage.

    Raises:
        SourceError: nothing could be read.
        ModelError: a model can't be loaded, or fails.
        OutputError: there's no room for the results.
        AlignmentsError: a journal is another job's.
    """
    if len(passes) > 1:
        for item in plan.inputs:
            await bridge.cpu(check_journal, plan, item, detector)
            await bridge.cpu(check_pictures, plan, item)
    earlier = Earlier()
    try:
        for each in passes[:-1]:
            if not await _run(plan, each, earlier, bridge, quiet, load):
                earlier.stopped = each
                break
        yield earlier
    finally:
        await bridge.cpu(earlier.close)


async def _run(plan: ExtractPlan, each: Pass, earlier: Earlier, bridge: Bridge, quiet: bool, load: Load) -> bool:
    """One pass; False if it was stopped."""
    results = await bridge.cpu(Spool, spool_folder(plan))
    progress = Progress(quiet=quiet, what=str(each))
    try:
        work = EarlierPass(plan, bridge, earlier.results, results, progress=progress.update)
        earlier.stages += await _with_models(work, each.models, bridge, load)
        await bridge.cpu(results.rewind)
    except BaseException:
        results.close()
        raise
    finally:
        progress.close()
        await bridge.infer(free_memory, bridge.device)
    earlier.replace(results)
    if not len(results) and (error := failure(work.runs)) is not None:
        raise error
    return all(run.outcome is not Outcome.STOPPED for run in work.runs)


async def _with_models(work: EarlierPass, models: ModelOptions, bridge: Bridge, load: Load) -> list[FinishedStage]:
    """The only holder of the models: when this returns nothing refers to them any more."""
    stages = await load(models, bridge)
    with stopping(work.stop):
        await work.run(Pipeline(stages, bridge, in_flight=BATCHES_PER_STAGE * len(stages)))
    return [FinishedStage(stage) for stage in stages]


def spool_folder(plan: ExtractPlan) -> Path:
    """Where results are kept: beside what the job writes, which is on a disk with room; /tmp is often memory."""
    places = [item.alignments.parent for item in plan.inputs if item.alignments is not None]
    options = plan.options
    return next((place for place in (options.output, *places, options.frames) if place), Path(tempfile.gettempdir()))


def free_memory(device: str) -> None:
    """Give back what models that nobody refers to any more have held."""
    import torch

    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


class EarlierPass:
    """All inputs' frames through the models of one pass.

    Args:
        plan: what to read.
        bridge: where blocking work runs.
        before: what the pass before has kept; None for the first.
        results: where this one's go.
        progress: called with the input whenever something is known or done.

    Attributes:
        runs: the inputs, and what has become of them.
    """

    def __init__(
        self,
        plan: ExtractPlan,
        bridge: Bridge,
        before: Spool | None,
        results: Spool,
        *,
        progress: Callable[[InputRun], None] = lambda run: None,
    ) -> None:
        self._plan = plan
        self._bridge = bridge
        self._before = before
        self._results = results
        self._progress = progress
        self.runs = [InputRun(item) for item in plan.inputs]
        self._by_name = {run.name: run for run in self.runs}
        self._reading: asyncio.Task[None] | None = None

    async def run(self, pipeline: Pipeline) -> None:
        """Do all of it. An input's error is in its :attr:`InputRun.error`.

        Raises:
            OutputError: there's no room for the results.
            AlignmentsError: alignments or a journal that are to be gone on with can't be read.
        """
        async with task_group() as tasks:
            self._reading = tasks.create_task(self._read_all(pipeline), name="serial.read")
            await pipeline.run(self._publish)

    def stop(self) -> None:
        """Read no more. :meth:`run` then returns, and what it has done is worth nothing."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read_all(self, pipeline: Pipeline) -> None:
        try:
            for run in self.runs:
                await self._read_to_its_end(run, pipeline)
        except BrokenChannel:
            pass  # a model or the disk has failed, which ends the pass
        finally:
            await pipeline.close()

    async def _read_to_its_end(self, run: InputRun, pipeline: Pipeline) -> None:
        try:
            await self._read(run, pipeline)
            run.outcome = Outcome.DONE
        except SourceError as error:
            run.fail(error)
            self._results.fail(run.name, error)
        except asyncio.CancelledError:
            run.outcome = Outcome.STOPPED
            raise
        await pipeline.flush()  # results of different inputs don't mix
        self._progress(run)

    async def _read(self, run: InputRun, pipeline: Pipeline) -> None:
        plan, item = self._plan, run.plan
        run.outcome = Outcome.READING
        names = await self._bridge.cpu(frame_names, item)
        assert names is not None, "a camera can't be read again"
        existing = await self._bridge.cpu(existing_frames, plan, item)
        recorded = await self._bridge.cpu(recorded_frames, plan, item, names)
        known = None if self._before is not None else await self._bridge.cpu(known_faces, plan, item)
        name = named_by(names)
        selection = Selection(plan.options.extract_every_n, names, existing, recorded, run.skipped, run.plan.only)
        source = open_source(item.spec.url, name=run.name, bridge=self._bridge, wanted=selection.wanted)
        source.quiet = True
        async with source:
            run.source, run.expected = source, await self._bridge.cpu(selection.expected, source.count)
            self._progress(run)
            async for frame in source:
                if self._before is not None:
                    await pipeline.put(await self._bridge.cpu(self._before.read, frame))
                else:
                    await pipeline.put(frame if known is None else known.of(frame, name(frame)[0]))
        if run.damaged and item.spec.kind is SourceKind.FOLDER:
            await self._bridge.cpu(check_folder, item.spec.url)
        if self._before is not None:
            await self._bridge.cpu(self._before.finish, run.name)

    async def _publish(self, faces: FrameFaces) -> None:
        run = self._by_name[faces.frame.source]
        await self._bridge.cpu(self._results.append, faces)
        run.published += 1
        run.statistics.add(len(faces))
        self._progress(run)
