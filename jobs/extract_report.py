"""What an extract job tells its user: while it runs, and at its end. Pure but for the bar itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final, NoReturn, Protocol

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from facestream.errors import SourceError
from facestream.io.face_folder import FORMER
from facestream.io.savers import FaceSaver, FrameSaver
from facestream.jobs.extract_job import InputRun, Outcome
from facestream.jobs.wording import counted
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
        self._stack = ExitStack()
        if not hidden:
            self._stack.enter_context(logging_redirect_tqdm())  # lines above the bar, not on it
        self._bar: tqdm[NoReturn] = tqdm(desc=what or None, unit="frame", disable=hidden, dynamic_ncols=True)
        self._runs: dict[str, InputRun] = {}

    def update(self, run: InputRun) -> None:
        """Something about this input has changed."""
        if self._bar.disable:
            return
        self._runs[run.name] = run
        self._show()

    def _show(self) -> None:
        runs = self._runs.values()
        self._bar.total = total(list(runs))
        self._bar.set_postfix(faces=sum(run.statistics.faces for run in runs), refresh=False)
        self._bar.update(sum(run.published for run in runs) - self._bar.n)

    def close(self) -> None:
        """Show the end; the faces that are recorded since the last frame are counted by now."""
        if not self._bar.disable:
            self._show()
        self._bar.close()
        self._stack.close()


def total(runs: Sequence[InputRun]) -> int | None:
    """Frames that there are to look at in the inputs opened so far; None where one of them doesn't say."""
    counts = []
    for run in runs:
        if run.ended:  # some of them may be on their way still
            counts.append(run.published if run.source is None else run.source.statistics().captured)
        elif run.expected is None:
            return None
        else:
            counts.append(max(run.expected, run.published))
    return sum(counts)


_TURNED: Final = 0.75  # of an input's faces lie on their side: so does the input
_ENOUGH: Final = 5  # faces to tell by


def summary(
    runs: Sequence[InputRun],
    stages: Sequence[Reporting],
    sinks: Sequence[Sink],
    seconds: float,
    *,
    rotating: bool = False,
) -> list[str]:
    """The lines at the end: what was done, what was left out and why, where it is, and what took how long.

    None where nothing was done: the error that follows says why.

    Args:
        rotating: turned faces are what was looked for.
    """
    started = [run for run in runs if run.outcome is not Outcome.WAITING]
    if not any(run.outcome is Outcome.DONE or run.published for run in started):
        return []
    lines = [_line(run) for run in started] if len(runs) > 1 else []
    lines.append(_total(started, seconds))
    lines += [counted(number, one, several) for number, one, several in _left_out(started) if number]
    if crowded := sum(run.statistics.crowded for run in started):
        lines.append(counted(crowded, "frame has more than one face", "frames have more than one face"))
    lines += [line for stage in stages for line in stage.summary()]
    lines += [] if rotating else _turned(started)
    lines += _written(started, sinks)
    spent = [stage.statistics() for stage in stages]
    if any(each.batches for each in spent):
        lines.append("computing: " + ", ".join(f"{each.name} {_seconds(each):.1f} s" for each in spent))
    return lines


def _turned(runs: Sequence[InputRun]) -> list[str]:
    return [
        f"{run.name}: most faces seem to lie on their side or upside down; if the input does, run it again with "
        "--rotate-images 90"
        for run in runs
        if run.statistics.faces >= _ENOUGH and run.statistics.rolled >= _TURNED * run.statistics.faces
    ]


def _line(run: InputRun) -> str:
    done = run.statistics
    ending = {Outcome.FAILED: " (failed)", Outcome.STOPPED: " (interrupted)"}.get(run.outcome, "")
    return f"{run.name}: {_found(done.frames, done.faces, done.with_faces)}{ending}"


def _found(frames: int, faces: int, with_faces: int) -> str:
    return f"{counted(frames, 'frame')}, {counted(faces, 'face')} in {with_faces} of them"


def _total(runs: Sequence[InputRun], seconds: float) -> str:
    if all(run.outcome is Outcome.DONE and run.source is not None for run in runs) and _nothing_new(runs):
        return "nothing new"
    frames, faces, with_faces = (
        sum(getattr(run.statistics, name) for run in runs) for name in ("frames", "faces", "with_faces")
    )
    seconds = max(seconds, 1e-6)
    return f"{_found(frames, faces, with_faces)}, {seconds:.1f} s ({frames / seconds:.1f} frames/s)"


def _nothing_new(runs: Sequence[InputRun]) -> bool:
    return any(run.skipped.existing for run in runs) and not any(run.published or run.damaged for run in runs)


def _left_out(runs: Sequence[InputRun]) -> list[tuple[int, str, str]]:
    """How many of what, and what to call one and several of them."""
    left_out: list[tuple[Callable[[InputRun], int], str, str]] = [
        (
            lambda run: run.skipped.resumed,
            "frame was recorded by the run before",
            "frames were recorded by the run before",
        ),
        (
            lambda run: run.skipped.existing,
            "frame skipped: the alignments have it already",
            "frames skipped: the alignments have them already",
        ),
        (
            lambda run: run.skipped.passed_over,
            "frame passed over by --extract-every-n",
            "frames passed over by --extract-every-n",
        ),
        (
            lambda run: 0 if run.known is None else run.known.missing,
            "frame isn't in the file with the faces",
            "frames aren't in the file with the faces",
        ),
        (
            lambda run: run.damaged,
            "damaged packet or picture skipped",
            "damaged packets or pictures skipped",
        ),
        (
            lambda run: run.unread,
            "picture of a kind that isn't read skipped, such as HEIC: convert it to JPEG",
            "pictures of kinds that aren't read skipped, such as HEIC: convert them to JPEG",
        ),
        (
            lambda run: run.missing,
            "frame announced by a video wasn't in it: it may be cut short or damaged",
            "frames announced by a video weren't in it: it may be cut short or damaged",
        ),
        (
            lambda run: run.statistics.unusable,
            "face left out: its landmarks determine no alignment",
            "faces left out: their landmarks determine no alignment",
        ),
        (
            lambda run: run.statistics.small,
            "face without a picture: smaller than --min-scale",
            "faces without a picture: smaller than --min-scale",
        ),
    ]
    return [(sum(count(run) for run in runs), one, several) for count, one, several in left_out]


def _written(runs: Sequence[InputRun], sinks: Sequence[Sink]) -> list[str]:
    lines = [
        f"{counted(run.statistics.pictures, 'picture')} written to {run.plan.pictures}"
        for run in runs
        if run.plan.pictures is not None and (run.outcome is Outcome.DONE or run.published)
    ]
    lines += [
        f"{counted(run.statistics.former, 'picture')} of a former run that the alignments don't have any more moved to "
        f"{run.plan.pictures / FORMER}"
        for run in runs
        if run.plan.pictures is not None and run.statistics.former
    ]
    lines += [f"alignments written to {run.plan.alignments}" for run in runs if run.recorded]
    for sink in sinks:
        if isinstance(sink, (FaceSaver, FrameSaver)):
            statistics = sink.statistics()
            lines.append(f"{counted(statistics.written, 'picture')} written to {sink.folder}")
            if statistics.failed:
                lines.append(f"{counted(statistics.failed, 'picture')} could not be written: {statistics.last_error}")
    return lines


def _seconds(stage: StageStatistics) -> float:
    return stage.pre_seconds + stage.infer_seconds + stage.post_seconds


def failure(runs: Sequence[InputRun]) -> SourceError | None:
    """What to raise for inputs that couldn't be read."""
    errors = [run.error for run in runs if run.error is not None]
    if len(errors) < 2:
        return errors[0] if errors else None
    return SourceError(f"{len(errors)} of {len(runs)} inputs could not be read; the first: {errors[0]}")


def withheld(frames: int) -> str:
    """About results that privacy mode kept back."""
    return counted(frames, "frame isn't", "frames aren't") + " written: it couldn't be said where its faces are"
