"""Entries of the alignments file whose frame isn't there any more."""

from __future__ import annotations

from facestream.jobs.alignments.report import Output, report
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work

JOB = "missing-frames"


def run(work: Work, session: Session, *, output: Output) -> None:
    """List the entries.

    Raises:
        FacestreamError: the file or the frames can't be read, or are of different inputs.
    """
    frames = work.needed_frames
    alignments = session.load(work.alignments)
    missing = alignments.without_frame(session.frame_names(frames, alignments))
    report(JOB, missing, output, alignments.path, session)
