"""What the command line lends a job: its ears, the time, and whether it's a rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from facestream.errors import AlignmentsError, ConfigError, FacestreamError
from facestream.io.alignments import Alignments, check_names_a_file, has_alignments
from facestream.io.journal import journal_path, read_index
from facestream.io.journal_lock import is_locked
from facestream.jobs.alignments.changes import Plan, carry_out, check_moves
from facestream.jobs.alignments.frames import check_known, frame_names
from facestream.jobs.alignments.work import Work
from facestream.jobs.wording import counted

Say: TypeAlias = Callable[[str], None]
Watch: TypeAlias = Callable[[Iterable[Any]], Iterable[Any]]


def _unwatched(items: Iterable[Any]) -> Iterable[Any]:
    return items


@dataclass(frozen=True, slots=True)
class Session:
    """What a job needs of the outside.

    Attributes:
        say: takes a result: a line for standard output.
        tell: takes a line about the work, for standard error.
        now: names backups, lists and folders.
        dry_run: say what would be done, and do nothing.
        watched: what is to be gone through, perhaps with a progress bar.
        ignore_unfinished: change files whose extract job could go on.
    """

    say: Say
    tell: Say
    now: datetime
    dry_run: bool = False
    watched: Watch = _unwatched
    ignore_unfinished: bool = False

    @property
    def stamp(self) -> str:
        """The time in a file name."""
        return f"{self.now:%Y-%m-%d_%H.%M.%S}"

    def carry_out(self, plan: Plan) -> None:
        """Do what is planned, or say it.

        Raises:
            AlignmentsError: it can't be done, or not to the end; see
                :func:`facestream.jobs.alignments.changes.carry_out`.
        """
        for note in plan.notes:
            self.tell(note)
        if plan.empty:
            self.tell("nothing to change")
        elif self.dry_run:
            check_moves(plan.moves)
            for line in plan.lines(self.now):
                self.say(f"would {line}")
        else:
            for line in carry_out(plan, self.now):
                self.tell(line)

    def load(self, path: Path, *, to_change: bool = False) -> Alignments:
        """Read an alignments file.

        Raises:
            ConfigError: it's a folder.
            AlignmentsError: it isn't there; as :meth:`facestream.io.alignments.Alignments.load`; or it is to change,
                and some job is writing it, or could go on and would begin anew then.
        """
        check_names_a_file(path)
        if to_change and is_locked(journal_path(path)):
            raise AlignmentsError(f"{path} is being written by a job; wait until that has ended")
        if not has_alignments(path):
            raise AlignmentsError(
                f"there's no alignments file {path}; run `facestream extract` on the frames first, or give the file "
                "with -a"
            )
        if to_change and not self.ignore_unfinished and (source := _unfinished(path)) is not None:
            raise AlignmentsError(
                f"{path}: extract hasn't finished {source}: run its command once more to go on; or change what there "
                "is with --ignore-unfinished, and it will start anew"
            )
        alignments = Alignments.load(path)
        if alignments.recovered:
            self.tell(f"{path}: {counted(alignments.recovered, 'frame')} from the journal of a job that didn't end")
        return alignments

    def frame_names(self, frames: Path, alignments: Alignments) -> list[str]:
        """The names of all frames of a video or folder, as the file has them.

        Raises:
            SourceError: the frames can't be read.
            AlignmentsError: the file is of another input.
        """
        try:
            return frame_names(frames, alignments.frames)
        except AlignmentsError as error:
            raise AlignmentsError(f"{alignments.path} {error}") from None

    def check_known(self, frames: Path, alignments: Alignments) -> None:
        """Make sure that the file is of these frames.

        Raises:
            SourceError, AlignmentsError: as for :meth:`frame_names`.
        """
        try:
            check_known(frames, alignments.frames)
        except AlignmentsError as error:
            raise AlignmentsError(f"{alignments.path} {error}") from None


def _unfinished(path: Path) -> str | None:
    """What an extract job that was interrupted reads, if it can go on: its file or folder is still there.

    Raises:
        AlignmentsError: the journal can't be read.
    """
    index = read_index(journal_path(path))
    if index is None or index.header is None or not index.offsets:
        return None
    source = Path(index.header.source)
    return index.header.source if source.is_absolute() and (source.is_file() or source.is_dir()) else None


def run_each(works: Sequence[Work], job: Callable[[Work, Session], None], session: Session) -> None:
    """Run a job on each of several inputs; one that fails doesn't keep the others from being worked on.

    Raises:
        FacestreamError: the only one failed; or how many did, when each has been told about.
    """
    if len(works) == 1:
        job(works[0], session)
        return
    failures = 0
    for work in works:
        session.tell(f"— {work}")
        try:
            job(work, session)
        except ConfigError:
            raise  # the options are wrong, for all of them
        except FacestreamError as error:
            failures += 1
            session.tell(f"failed: {error}")
    if failures:
        raise AlignmentsError(f"{failures} of {len(works)} inputs failed; the lines above say why")
