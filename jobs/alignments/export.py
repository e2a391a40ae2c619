"""Boxes and landmarks as JSON, and back (spec §13.3)."""

from __future__ import annotations

from pathlib import Path

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.io.alignments_json import entries_of, read_json, write_json
from facestream.jobs.alignments.changes import Plan
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work
from facestream.jobs.wording import counted


def run_export(work: Work, session: Session, *, json: Path | None = None, overwrite: bool = False) -> None:
    """Write the file's boxes and landmarks to ``json``, by default beside it with the suffix ``.json``.

    Raises:
        AlignmentsError: the file can't be read, or the JSON not written, or it's there already.
    """
    alignments = session.load(work.alignments)
    target = json or alignments.path.with_suffix(".json")
    if target.exists() and not overwrite:
        raise AlignmentsError(f"{target} is there already; give --overwrite, or another name with --json")
    what = f"{counted(alignments.faces_count, 'face')} of {counted(len(alignments), 'frame')} to {target}"
    if session.dry_run:
        session.say(f"would export {what}")
        return
    write_json(target, alignments.frames)
    session.tell(f"exported {what}")


def run_import(json: Path, work: Work, session: Session) -> None:
    """Write what a JSON file holds as an alignments file, by default beside it with the suffix ``.fsa``.

    A file that is there is kept under a dated name.

    Raises:
        AlignmentsError: the JSON can't be read or lacks landmarks, or the file can't be written.
    """
    target = work.given or json.with_suffix(".fsa")
    frames = entries_of(json, read_json(json))
    lines = [f"write {counted(len(entry.faces), 'face')} of {name}" for name, entry in frames.items()]
    session.carry_out(Plan(Alignments(target, frames), lines, unit="frame"))
