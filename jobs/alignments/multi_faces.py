"""Frames with more than one face, and their faces' pictures."""

from __future__ import annotations

from collections.abc import Iterable

from facestream.io.alignments import Alignments
from facestream.jobs.alignments.changes import Move, Plan
from facestream.jobs.alignments.frames import check_movable, pictures_of
from facestream.jobs.alignments.matching import match
from facestream.jobs.alignments.pictures import FacePicture, list_pictures, read_pictures
from facestream.jobs.alignments.report import Output, move_files, report
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work

JOB = "multi-faces"


def run(work: Work, session: Session, *, output: Output) -> None:
    """List the frames; or move them into a folder; or, given faces, move those into a folder for each index.

    Raises:
        FacestreamError: the file, the frames or the faces can't be read, or not moved.
    """
    if output is Output.MOVE and work.faces is None:
        check_movable(work.needed_frames)
    alignments = session.load(work.alignments)
    names = with_several(alignments)
    if output is not Output.MOVE:
        report(JOB, [f"{name}\t{count}" for name, count in names.items()], output, alignments.path, session)
    elif not names:
        session.tell("no frame has more than one face")
    elif work.faces is None:
        move_files(JOB, [path for path in pictures_of(work.needed_frames) if path.name in names], session)
    else:
        pictures, unreadable = read_pictures(session.watched(list_pictures(work.faces)))
        session.carry_out(Plan(moves=by_index(alignments, pictures, f"{JOB}_{session.stamp}"), notes=unreadable))


def with_several(alignments: Alignments) -> dict[str, int]:
    """Frame → its number of faces, where that is more than one; in the file's order."""
    return {name: len(entry.faces) for name, entry in alignments.frames.items() if len(entry.faces) > 1}


def by_index(alignments: Alignments, pictures: Iterable[FacePicture], folder: str) -> list[Move]:
    """Moves of the faces of frames with several into ``<folder>_<index>``, so that after ``sort`` the person on the
    left is in one folder, the next one in another.
    """
    moves = []
    several = with_several(alignments)
    for picture, (name, face) in match(alignments.frames, pictures).places.items():
        if name in several:
            index = next(index for index, other in enumerate(alignments.faces(name)) if other is face)
            moves.append(Move(picture.path, picture.path.parent / f"{folder}_{index}" / picture.path.name))
    return moves
