"""Frames that the alignments file doesn't have: the job left them out, or never came to them."""

from __future__ import annotations

from facestream.jobs.alignments.frames import check_movable, pictures_of
from facestream.jobs.alignments.report import Output, move_files, report
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work

JOB = "missing-alignments"


def run(work: Work, session: Session, *, output: Output) -> None:
    """List the frames, or move them into a folder.

    Raises:
        FacestreamError: the file or the frames can't be read, are of different inputs, or can't be moved.
    """
    frames = work.needed_frames
    if output is Output.MOVE:
        check_movable(frames)
    alignments = session.load(work.alignments)
    missing = alignments.missing_from(session.frame_names(frames, alignments))
    if output is Output.MOVE:
        wanted = set(missing)
        move_files(JOB, [path for path in pictures_of(frames) if path.name in wanted], session)
    else:
        report(JOB, missing, output, alignments.path, session)
