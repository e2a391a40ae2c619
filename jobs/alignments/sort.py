"""Number each frame's faces from left to right, in the file and in the folder."""

from __future__ import annotations

from collections.abc import Sequence

from facestream.io.alignments import Alignments
from facestream.jobs.alignments.changes import FolderChanges, Plan, agreeing
from facestream.jobs.alignments.matching import match
from facestream.jobs.alignments.notes import not_of_the_file
from facestream.jobs.alignments.pictures import FacePicture, list_pictures, read_pictures
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work


def run(work: Work, session: Session) -> None:
    """Sort the file, and the pictures where there is a folder.

    Raises:
        FacestreamError: something can't be read or written; see :func:`facestream.jobs.alignments.changes.carry_out`.
    """
    alignments = session.load(work.alignments, to_change=True)
    paths = [] if work.faces is None else list_pictures(work.faces)
    pictures, unreadable = read_pictures(session.watched(paths))
    session.carry_out(plan(alignments, pictures, unreadable))


def plan(alignments: Alignments, pictures: Sequence[FacePicture] = (), unreadable: Sequence[str] = ()) -> Plan:
    """What it takes. ``alignments`` is sorted in memory."""
    matching = match(alignments.frames, pictures)
    moved = alignments.sort_faces(lambda face: face.x)
    folder = agreeing(alignments.frames, matching) if pictures else FolderChanges()
    return Plan(
        alignments if moved else None,
        [f"order the faces of {name} as {', '.join(map(str, order))}" for name, order in moved.items()],
        folder.headers,
        folder.moves,
        [*unreadable, *not_of_the_file(matching)],
    )
