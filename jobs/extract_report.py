"""What an extract job tells its user: while it runs, and at its end. Pure but for the bar itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from tqdm import tqdm

from facestream.errors import SourceError
from facestream.io.savers import FaceSaver, FrameSaver
from facestream.jobs.extract_job import InputRun, Outcome
from facestream.stream.stage import StageStatistics
from facestream.stream.types import Sink


class Reporting(Protocol):
    """A stage at its end."""

    def statistics(self) -> StageStatistics: ...

    def summary(self) -> list[str]: ...


class Progress:
    """A bar over all inputs: frames, their rate, faces found and the time left, as far as it can be known."""

    def __init__(self, *, quiet: bool, what: str = "") -> None:
        hidden = quiet or not sys.stderr.isatty()
        self._bar: tqdm[NoReturn] = tqdm(desc=what or None, unit="frame", disable=hidden, dynamic_ncols=True)
        self._runs: dict[str, InputRun] = {}

    def update(self, run: InputRun) -> None:
        """Something about this input has changed."""
        if self._bar.disable:
            return
        self._runs[run.name] = run
        runs = self._runs.values()
        self._bar.total = total(list(runs))
        self._bar.set_postfix(faces=sum(run.statistics.faces for run in runs), refresh=False)
        self._bar.update(sum(run.published for run in runs) - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def total(runs: Sequence[InputRun]) -> int | None:
    """Frames that there are to look at in the inputs opened so far; None where one of them doesn't say."""
    counts = []
    for run in runs:
        if run.outcome is Outcome.DONE and run.source is not None:
            counts.append(run.source.statistics().captured)  # some of them are on their way still
        elif run.ended:
            counts.append(run.published)
        elif run.source is None or run.source.count is None:
            return None
        else:
            counts.append(max(run.source.count - run.skipped.total, run.published))
    return sum(counts)


def summary(runs: Sequence[InputRun], stages: Sequence[Reporting], sinks: Sequence[Sink], seconds: float) -> list[str]:
    """The lines at the end: what was done, what was left out and why, where it is, and what took how long.

    None where nothing was done: the error that follows says why.
    """
    started = [run for run in runs if run.outcome is not Outcome.WAITING]
    if not any(run.outcome is Outcome.DONE or run.published for run in started):
        return []
    lines = [_line(run) for run in started] if len(runs) > 1 else []
    lines.append(_total(started, seconds))
    lines += [f"{number} {what}" for number, what in _left_out(started) if number]
    if crowded := sum(run.statistics.crowded for run in started):
        lines.append(f"{crowded} frames have more than one face")
    lines += [line for stage in stages for line in stage.summary()]
    lines += _written(started, sinks)
    spent = [stage.statistics() for stage in stages]
    if any(each.batches for each in spent):
        lines.append("computing: " + ", ".join(f"{each.name} {_seconds(each):.1f} s" for each in spent))
    return lines


def _line(run: InputRun) -> str:
    done = run.statistics
    ending = {Outcome.FAILED: " (failed)", Outcome.STOPPED: " (interrupted)"}.get(run.outcome, "")
    return f"{run.name}: {done.frames} frames, {done.faces} faces in {done.with_faces} of them{ending}"


def _total(runs: Sequence[InputRun], seconds: float) -> str:
    frames, faces, with_faces = (
        sum(getattr(run.statistics, name) for run in runs) for name in ("frames", "faces", "with_faces")
    )
    seconds = max(seconds, 1e-6)
    return f"{frames} frames, {faces} faces in {with_faces} of them, {seconds:.1f} s ({frames / seconds:.1f} frames/s)"


def _left_out(runs: Sequence[InputRun]) -> list[tuple[int, str]]:
    counted: list[tuple[Callable[[InputRun], int], str]] = [
        (lambda run: run.skipped.resumed, "frames were recorded by the run before"),
        (lambda run: run.skipped.existing, "frames skipped: the alignments have them already"),
        (lambda run: run.skipped.passed_over, "frames passed over by --extract-every-n"),
        (lambda run: 0 if run.known is None else run.known.missing, "frames aren't in the file with the faces"),
        (lambda run: run.damaged, "damaged packets or pictures skipped"),
        (lambda run: run.missing, "frames announced by a video weren't in it: it may be cut short or damaged"),
        (lambda run: run.statistics.unusable, "faces left out: their landmarks determine no alignment"),
        (lambda run: run.statistics.small, "faces without a picture: smaller than --min-scale"),
    ]
    return [(sum(count(run) for run in runs), what) for count, what in counted]


def _written(runs: Sequence[InputRun], sinks: Sequence[Sink]) -> list[str]:
    lines = [
        f"{run.statistics.pictures} pictures written to {run.plan.pictures}"
        for run in runs
        if run.plan.pictures is not None and (run.outcome is Outcome.DONE or run.published)
    ]
    lines += [f"alignments written to {run.plan.alignments}" for run in runs if run.recorded]
    for sink in sinks:
        if isinstance(sink, (FaceSaver, FrameSaver)):
            statistics = sink.statistics()
            lines.append(f"{statistics.written} pictures written to {sink.folder}")
            if statistics.failed:
                lines.append(f"{statistics.failed} pictures could not be written: {statistics.last_error}")
    return lines


def _seconds(stage: StageStatistics) -> float:
    return stage.pre_seconds + stage.infer_seconds + stage.post_seconds


def failure(runs: Sequence[InputRun]) -> SourceError | None:
    """What to raise for inputs that couldn't be read."""
    errors = [run.error for run in runs if run.error is not None]
    if len(errors) < 2:
        return errors[0] if errors else None
    return SourceError(f"{len(errors)} of {len(runs)} inputs could not be read; the first: {errors[0]}")
