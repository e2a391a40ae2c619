"""``facestream extract``: from the command line's options to a job, its progress bar and its summary."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from facestream.io.jsonl import JsonLinesWriter
from facestream.io.savers import FrameSaver
from facestream.jobs.extract import BATCHES_PER_STAGE
from facestream.jobs.extract_job import ExtractJob, InputRun, Outcome, check_journal
from facestream.jobs.extract_plan import ExtractOptions, ExtractPlan, plan
from facestream.jobs.extract_report import Progress, failure, summary, withheld
from facestream.jobs.interrupt import INTERRUPTED, stopping
from facestream.jobs.models import FILE, ModelOptions, load_stages, prepare_models
from facestream.jobs.naming import Naming, naming_for, tracks_for
from facestream.jobs.passes import passes
from facestream.jobs.privacy import open_privacy, with_recognition
from facestream.jobs.references import load_references
from facestream.jobs.serial import earlier_passes
from facestream.plugins import registry
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import FrameFaces, Sink

__all__ = ["ExtractOptions", "extract_command"]

AGAIN: Final = "nothing new is recorded before the last pass; run the same command again"


async def extract_command(options: ExtractOptions) -> int:
    """Run the job; returns the exit code: 0, or 130 when it was interrupted and can go on.

    Raises:
        ConfigError: nothing to do, or an output that can't be.
        SourceError: an input can't be read; what was found before is written.
        OutputError, AlignmentsError: something can't be written; what was finished before is safe.
        ModelError: a model is unknown or its weights can't be had.
    """
    chosen = plan(options)
    _tell(chosen.notes)
    runs = await _carried_out(chosen)
    return INTERRUPTED if runs is None else _exit_code(runs)


async def _carried_out(chosen: ExtractPlan) -> Sequence[InputRun] | None:
    """What became of each input; None where the job was stopped before anything could be recorded."""
    options, started = chosen.options, time.monotonic()
    asked = replace(options.models, repeatable=True)
    models = with_recognition(asked, options.anonymise, options.anonymise_who)
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(Bridge(models.chosen_device))
        detector = models.detector or registry.default("detect", bridge.device)
        todo = passes(models, detector) if options.serial else []
        if len(todo) > 1:
            await bridge.infer(prepare_models, models, bridge.device)
        # Before models are loaded, which takes long.
        begun = [await bridge.cpu(check_journal, chosen, item, detector) for item in chosen.inputs]
        privacy = await stack.enter_async_context(
            open_privacy(bridge, options.anonymise, options.anonymise_who, asked, options.people)
        )
        references = await load_references(models, bridge, options.people)
        load = partial(load_stages, references=references)
        earlier = await stack.enter_async_context(
            earlier_passes(chosen, todo, bridge, detector=detector, quiet=options.quiet, load=load)
        )
        if earlier.stopped is not None:
            _tell([f"facestream: interrupted in {earlier.stopped}; {AGAIN}"])
            return None
        stages = await load(todo[-1].models if todo else models, bridge)
        naming = await _naming(options, models, bridge)
        pipeline = pipeline_of(chosen, stages, bridge, naming)
        sinks = [await stack.enter_async_context(sink) for sink in _sinks(chosen, bridge, go_on=any(begun))]
        progress = Progress(quiet=options.quiet, what=str(todo[-1]) if len(todo) > 1 else "")
        job = ExtractJob(
            chosen,
            pipeline,
            bridge,
            detector=detector,
            sinks=sinks,
            earlier=earlier.results,
            progress=progress.update,
            privacy=privacy,
            naming=naming,
            biometrics=not options.no_biometrics,
        )
        try:
            with stopping(job.stop):
                await job.run()
        finally:
            for sink in sinks:
                await sink.drain()
            progress.close()
            if not options.quiet:
                seconds = time.monotonic() - started
                rotating = bool(models.rotate_images) or detector == FILE
                _tell(summary(job.runs, [*earlier.stages, *stages], sinks, seconds, rotating=rotating))
                if privacy is not None and privacy.withheld:
                    _tell([withheld(privacy.withheld)])
        return job.runs


def _exit_code(runs: Sequence[InputRun]) -> int:
    """
    Raises:
        SourceError: an input couldn't be read.
    """
    if (error := failure(runs)) is not None:
        raise error
    if any(run.outcome in (Outcome.STOPPED, Outcome.WAITING) for run in runs):
        how = "run the same command again to go on" if any(run.recorded for run in runs) else "nothing is recorded"
        _tell([f"facestream: interrupted; {how}"])
        return INTERRUPTED
    return 0


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)


class Models(NamedTuple):
    """A plan's models, loaded."""

    stages: list[Stage]
    pipeline: Pipeline
    bridge: Bridge


@asynccontextmanager
async def models_for(chosen: ExtractPlan) -> AsyncIterator[Models]:
    """The plan's models; the context ends the threads that they run in."""
    options = replace(chosen.options.models, repeatable=True)
    async with Bridge(options.chosen_device) as bridge:
        stages = await load_stages(options, bridge, await load_references(options, bridge, chosen.options.people))
        yield Models(stages, pipeline_of(chosen, stages, bridge), bridge)


async def _naming(options: ExtractOptions, models: ModelOptions, bridge: Bridge) -> Naming | None:
    """Only JSON lines hold names. Privacy mode recognises each face by itself where it matters whose it is."""
    recognised = options.anonymise is not None and options.anonymise_who != "everyone"
    if options.jsonl is None or options.no_biometrics or recognised:
        return None
    return await naming_for(bridge, models, options.people)


def pipeline_of(chosen: ExtractPlan, stages: Sequence[Stage], bridge: Bridge, naming: Naming | None = None) -> Pipeline:
    """The chain of ``stages`` as the plan's outputs need it."""
    in_flight = BATCHES_PER_STAGE * max(1, len(stages))
    tracks = tracks_for(chosen.options.models) if chosen.options.jsonl or chosen.options.anonymise else None
    recogniser = None if naming is None else naming.recogniser
    return Pipeline(stages, bridge, in_flight=in_flight, tracks=tracks, recogniser=recogniser)


def _sinks(chosen: ExtractPlan, bridge: Bridge, *, go_on: bool) -> list[Sink]:
    """What all inputs share. A job that goes on adds to its JSON lines: frames that it does again come twice."""
    options = chosen.options
    sinks: list[Sink] = []
    if options.frames is not None:
        sinks.append(FrameSaver(options.frames, bridge))
    if options.jsonl is not None:
        only = options.no_alignments and options.frames is None and options.output is None
        sinks.append(_Lines(options.jsonl, only=only, append=go_on))
    return sinks


class _Lines(JsonLinesWriter):
    """JSON lines that end the job, like any filter whose reader has had enough, where they are all it is for."""

    def __init__(self, path: str, *, only: bool, append: bool) -> None:
        super().__init__(path, append=append)
        self._only = only

    async def write(self, faces: FrameFaces) -> None:
        """As the base class; BrokenPipeError when nobody reads any more."""
        await super().write(faces)
        if self._only and self.reader_gone:
            raise BrokenPipeError
