"""``facestream mask``: masks made, imported and shown (spec §16.2)."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NoReturn, Self

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from facestream.errors import FacestreamError
from facestream.io.folder_lock import changing
from facestream.jobs.alignments.session import Say, Session
from facestream.jobs.interrupt import INTERRUPTED, stopping
from facestream.jobs.mask.faces import mask_faces
from facestream.jobs.mask.frames import mask_frames
from facestream.jobs.mask.importing import import_faces, import_frames
from facestream.jobs.mask.inputs import MaskInput, inputs_of
from facestream.jobs.mask.job import Maskers, MaskJob
from facestream.jobs.mask.options import Input, MaskOptions, Process
from facestream.jobs.mask.show import check_output, show_faces, show_frames
from facestream.jobs.mask.summary import Summary
from facestream.jobs.models import ModelOptions, load_stages, mask_names
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage


async def mask_input(job: MaskJob, work: MaskInput, summary: Summary) -> None:
    """All that the options ask for, for one input. ``summary`` is filled on the way.

    Raises:
        FacestreamError: one line that says what to do; what was done before is kept.
    """
    options, started = job.options, job.clock()
    await job.bridge.cpu(check_output, options, work)
    try:
        if options.input_type is Input.FRAMES:
            await _mask_frames(job, work, summary)
        else:
            await _mask_faces(job, work, summary)
    finally:
        summary.seconds = job.clock() - started


async def _mask_frames(job: MaskJob, work: MaskInput, summary: Summary) -> None:
    changed = None
    if job.options.processing is not Process.OUTPUT:
        make = import_frames if job.options.processing is Process.IMPORT else mask_frames
        changed = await make(job, work, summary)
    if _shows(job, work, changed):
        await show_frames(job, work, summary, changed)


async def _mask_faces(job: MaskJob, work: MaskInput, summary: Summary) -> None:
    changed = None
    if job.options.processing is not Process.OUTPUT:
        make = import_faces if job.options.processing is Process.IMPORT else mask_faces
        with nullcontext() if job.options.dry_run else changing(work.source):
            changed = await make(job, work, summary)
    if _shows(job, work, changed):
        await show_faces(job, work, summary, changed)


def _shows(job: MaskJob, work: MaskInput, changed: set[str] | set[Path] | None) -> bool:
    """Whether there are pictures to make now: of everything, or of what has changed."""
    return work.output is not None and not job.interrupted.is_set() and (changed is None or bool(changed))


async def mask_inputs(job: MaskJob, works: list[MaskInput], tell: Say) -> list[Summary]:
    """One input after another; one that fails doesn't keep the others from being worked on.

    Args:
        tell: takes a line of the summary.

    Raises:
        FacestreamError: the only one failed; or how many did, when each has been told about.
    """
    failures = 0
    summaries = []
    for work in works:
        summaries.append(summary := Summary())
        if len(works) > 1:
            tell(f"— {work}")
        try:
            await mask_input(job, work, summary)
        except FacestreamError as error:
            if len(works) == 1:
                raise
            failures += 1
            job.session.tell(f"failed: {error}")
        finally:
            for line in summary.lines():
                tell(line)
        if job.interrupted.is_set():
            break
    if failures:
        raise FacestreamError(f"{failures} of {len(works)} inputs failed; the lines above say why")
    return summaries


async def mask_command(
    options: MaskOptions,
    say: Say,
    tell: Say,
    *,
    load: Callable[[ModelOptions, Bridge], Awaitable[list[Stage]]] = load_stages,
) -> int:
    """The command: its exit code, 0 or 130.

    Args:
        say: takes a result: a line for standard output.
        tell: takes a line about the work, for standard error.
        load: makes the models' stages.

    Raises:
        FacestreamError: one line that says what to do; what was done before is kept.
    """
    options.check()
    works = inputs_of(options)
    names = mask_names(options.models) if options.processing.runs_models else ()
    progress = _Progress(quiet=options.quiet)
    above = progress.above(tell)
    session = Session(say, above, datetime.now(), options.dry_run, ignore_unfinished=options.ignore_unfinished)
    with progress:
        async with Bridge(options.models.chosen_device) as bridge:
            maskers = Maskers(names, partial(load, options.models))
            job = MaskJob(options, bridge, session, maskers, progress.advanced)
            with stopping(job.interrupted.set):
                summaries = await mask_inputs(job, works, _unheard if options.quiet else above)
    if job.interrupted.is_set():
        tell(f"facestream: interrupted; {_how_to_go_on(options, summaries)}")
        return INTERRUPTED
    return 0


def _unheard(line: str) -> None:
    """Nobody wants to know."""


def _how_to_go_on(options: MaskOptions, summaries: list[Summary]) -> str:
    if any(summary.replaced for summary in summaries) and options.processing is Process.ALL:
        return "what is done is kept; run it again to make all of them anew"
    if options.processing.runs_models:
        return "what is done is kept: run it again with -p missing to go on"
    if options.processing is Process.IMPORT:
        return "what is done is kept: run it again to import the rest"
    return "run it again with --overwrite"


class _Progress:
    """A bar over the faces of one input after another, where somebody looks."""

    def __init__(self, *, quiet: bool) -> None:
        self._hidden = quiet or not sys.stderr.isatty()
        self._bar: tqdm[NoReturn] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if not self._hidden:
            self._stack.enter_context(logging_redirect_tqdm())  # lines above the bar, not on it
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._clear()
        self._stack.close()

    def advanced(self, done: int, total: int) -> None:
        if self._hidden:
            return
        if self._bar is None or done < self._bar.n or total != self._bar.total:
            self._clear()
            self._bar = tqdm(total=total, unit="face", dynamic_ncols=True, leave=False)
        self._bar.update(done - self._bar.n)

    def above(self, tell: Say) -> Say:
        """``tell``, without a bar on the same line."""

        def told(line: str) -> None:
            self._clear()
            tell(line)

        return told

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
