"""``facestream extract``: faces of files to pictures and JSON lines, with a progress bar and a summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from facestream.errors import ConfigError
from facestream.io.jsonl import JsonLinesWriter
from facestream.io.savers import FaceSaver, FrameSaver
from facestream.io.sources import BaseSource
from facestream.io.urls import SourceKind, SourceSpec
from facestream.jobs.extract import BATCHES_PER_STAGE, run_inputs
from facestream.jobs.models import ModelOptions, load_stages
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.types import FrameFaces, Sink


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """What the command line's ``extract`` takes; the option's help says what each is."""

    inputs: tuple[str, ...]
    models: ModelOptions
    output: Path | None = None
    jsonl: str | None = None
    frames: Path | None = None
    size: int = 512
    quiet: bool = False


@dataclass(slots=True)
class Summary:
    """What a run has done."""

    frames: int = 0
    faces: int = 0
    with_faces: int = 0
    sources: list[BaseSource] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def add(self, faces: FrameFaces) -> None:
        self.frames += 1
        self.faces += len(faces)
        self.with_faces += len(faces) > 0

    def lines(self, now: float) -> list[str]:
        seconds = max(now - self.started, 1e-6)
        damaged = sum(source.statistics().damaged for source in self.sources)
        lines = [
            f"{self.frames} frames, {self.faces} faces in {self.with_faces} of them, "
            f"{seconds:.1f} s ({self.frames / seconds:.1f} frames/s)"
        ]
        if damaged:
            lines.append(f"{damaged} damaged packets or pictures skipped")
        return lines


async def extract_command(options: ExtractOptions) -> None:
    """Run the job.

    Raises:
        ConfigError: nothing to do, or an output that can't be.
        SourceError: an input can't be read; what was found before is written.
        ModelError: a model is unknown or its weights can't be had.
    """
    sinks_wanted = (options.output, options.jsonl, options.frames)
    if not any(sinks_wanted):
        raise ConfigError("nowhere to put the faces: give -o FOLDER, --frames FOLDER or --jsonl FILE")
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(Bridge(options.models.chosen_device))
        stages = await load_stages(options.models, bridge)
        suffixes: dict[str, str] = {}
        sinks = [await stack.enter_async_context(sink) for sink in _sinks(options, bridge, suffixes)]
        summary = Summary()
        bar = stack.enter_context(_progress(options))
        pipeline = Pipeline(stages, bridge, in_flight=BATCHES_PER_STAGE * len(stages), tracks=Tracks())

        async def publish(faces: FrameFaces) -> None:
            for sink in sinks:
                await sink.write(faces)
            if len(sinks) == 1 and isinstance(sinks[0], JsonLinesWriter) and sinks[0].reader_gone:
                raise BrokenPipeError  # like any filter whose reader has had enough
            summary.add(faces)
            bar.update()
            bar.set_postfix(faces=summary.faces, refresh=False)

        def opened(spec: SourceSpec, source: BaseSource) -> None:
            summary.sources.append(source)
            suffixes[source.name] = Path(spec.url).suffix if spec.kind is SourceKind.FILE else ".png"
            bar.total = (bar.total or 0) + source.count if source.count else None

        try:
            await run_inputs(options.inputs, pipeline, bridge, publish, opened)
        finally:
            for sink in sinks:
                await sink.drain()
            bar.close()
            if not options.quiet:
                for line in (*summary.lines(time.monotonic()), *_written(sinks)):
                    print(line, file=sys.stderr)


def _sinks(options: ExtractOptions, bridge: Bridge, suffixes: Mapping[str, str]) -> list[Sink]:
    sinks: list[Sink] = []
    if options.output is not None:
        sinks.append(FaceSaver(options.output, bridge, size=options.size, suffixes=suffixes))
    if options.frames is not None:
        sinks.append(FrameSaver(options.frames, bridge))
    if options.jsonl is not None:
        sinks.append(JsonLinesWriter(options.jsonl))
    return sinks


def _progress(options: ExtractOptions) -> tqdm[NoReturn]:
    return tqdm(unit="frame", disable=options.quiet or not sys.stderr.isatty(), dynamic_ncols=True)


def _written(sinks: list[Sink]) -> list[str]:
    lines = []
    for sink in sinks:
        if isinstance(sink, (FaceSaver, FrameSaver)):
            statistics = sink.statistics()
            lines.append(f"{statistics.written} pictures written to {sink.folder}")
            if statistics.failed:
                lines.append(f"{statistics.failed} pictures could not be written: {statistics.last_error}")
    return lines
