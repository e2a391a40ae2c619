"""Where a list goes that a job has made: to the console, into a file, or its pictures into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from facestream.errors import AlignmentsError
from facestream.io.faces import write_atomically
from facestream.jobs.alignments.changes import Move, Plan
from facestream.jobs.alignments.session import Session


class Output(Enum):
    """faceswap's choices."""

    CONSOLE = "console"
    FILE = "file"
    MOVE = "move"


def report(job: str, rows: Sequence[str], output: Output, alignments: Path, session: Session) -> None:
    """Print the rows, or write them to ``<alignments' stem>_<job>_<time>.txt`` beside the alignments.

    Raises:
        AlignmentsError: the file can't be written.
    """
    if output is Output.CONSOLE or not rows:
        for row in rows:
            session.say(row)
        session.tell(f"{job}: {len(rows)}")
        return
    path = alignments.with_name(f"{alignments.stem}_{job}_{session.stamp}.txt")
    if session.dry_run:
        session.say(f"would write {len(rows)} lines to {path}")
        return
    try:
        write_atomically(path, "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise AlignmentsError(f"{path} can't be written: {error.strerror}; choose -o console") from error
    session.tell(f"{job}: {len(rows)}, listed in {path}")


def move_files(job: str, paths: Sequence[Path], session: Session) -> None:
    """Move files into ``<job>_<time>`` in their own folder.

    Raises:
        AlignmentsError: a file can't be moved.
    """
    session.carry_out(Plan(moves=[Move(path, path.parent / f"{job}_{session.stamp}" / path.name) for path in paths]))
