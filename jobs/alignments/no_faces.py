"""Frames that the alignments file knows, and in which it has no face."""

from __future__ import annotations

from facestream.io.alignments import Alignments
from facestream.jobs.alignments.frames import check_movable, pictures_of
from facestream.jobs.alignments.report import Output, move_files, report
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work

JOB = "no-faces"


def run(work: Work, session: Session, *, output: Output) -> None:
    """List the frames, or move them into a folder.

    Raises:
        FacestreamError: the file or the frames can't be read, or the frames not moved.
    """
    if output is Output.MOVE:
        check_movable(work.needed_frames)
    alignments = session.load(work.alignments)
    names = without_faces(alignments)
    if output is Output.MOVE:
        wanted = set(names)
        move_files(JOB, [path for path in pictures_of(work.needed_frames) if path.name in wanted], session)
    else:
        report(JOB, names, output, alignments.path, session)


def without_faces(alignments: Alignments) -> list[str]:
    """Frames with an entry and no face, in the file's order."""
    return [name for name, entry in alignments.frames.items() if not entry.faces]
