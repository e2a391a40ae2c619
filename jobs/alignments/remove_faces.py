"""Remove from the file the faces whose picture the user has deleted; number the others anew."""

from __future__ import annotations

from collections.abc import Sequence

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.jobs.alignments.changes import Plan, agreeing
from facestream.jobs.alignments.matching import match
from facestream.jobs.alignments.notes import not_of_the_file
from facestream.jobs.alignments.pictures import FacePicture, list_pictures, read_pictures
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work


def run(work: Work, session: Session, *, skip_unreadable: bool = False) -> None:
    """Remove the faces.

    Args:
        skip_unreadable: take a picture without a readable header for no face at all.

    Raises:
        FacestreamError: something can't be read or written; see :func:`facestream.jobs.alignments.changes.carry_out`.
    """
    folder = work.needed_faces
    alignments = session.load(work.alignments, to_change=True)
    pictures, unreadable = read_pictures(session.watched(list_pictures(folder)))
    if unreadable and not skip_unreadable:
        more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
        raise AlignmentsError(
            f"{unreadable[0]}{more}; its face would be removed: move it out of the folder, or give --skip-unreadable"
        )
    found = plan(alignments, pictures, unreadable)
    if found is None:
        raise AlignmentsError(
            f"no picture in {folder} is of a face in {alignments.path}; nothing removed, check -a and -c"
        )
    session.carry_out(found)


def plan(alignments: Alignments, pictures: Sequence[FacePicture], unreadable: Sequence[str] = ()) -> Plan | None:
    """What it takes; None if not one face would stay: that is a mistake. ``alignments`` changes in memory."""
    matching = match(alignments.frames, pictures)
    kept = matching.faces
    if not kept and alignments.faces_count:
        return None
    removed = [(name, index) for name, index, face in alignments.each_face() if face not in kept]
    alignments.keep_faces(_indices(removed), drop=True)
    folder = agreeing(alignments.frames, matching)
    return Plan(
        alignments if removed else None,
        [f"remove face {index} of {name}" for name, index in removed],
        folder.headers,
        folder.moves,
        [*unreadable, *not_of_the_file(matching)],
    )


def _indices(faces: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    indices: dict[str, list[int]] = {}
    for name, index in faces:
        indices.setdefault(name, []).append(index)
    return indices
