"""Give face pictures their own names back, and the file what only their headers know."""

from __future__ import annotations

from collections.abc import Sequence

from facestream.io.alignments import Alignments
from facestream.jobs.alignments.changes import Plan, agreeing
from facestream.jobs.alignments.matching import Matching, match
from facestream.jobs.alignments.notes import not_of_the_file
from facestream.jobs.alignments.pictures import FacePicture, list_pictures, read_pictures
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work


def run(work: Work, session: Session) -> None:
    """Rename the pictures.

    Raises:
        FacestreamError: something can't be read or written; see :func:`facestream.jobs.alignments.changes.carry_out`.
    """
    folder = work.needed_faces
    alignments = session.load(work.alignments, to_change=True)
    pictures, unreadable = read_pictures(session.watched(list_pictures(folder)), whole=True)
    session.carry_out(plan(alignments, pictures, unreadable))


def plan(alignments: Alignments, pictures: Sequence[FacePicture], unreadable: Sequence[str] = ()) -> Plan:
    """What it takes. ``alignments`` gets the masks and identities in memory."""
    matching = match(alignments.frames, pictures)
    copied = _copy_missing(matching)
    folder = agreeing(alignments.frames, matching)
    return Plan(
        alignments if copied else None,
        copied,
        folder.headers,
        folder.moves,
        [*unreadable, *not_of_the_file(matching)],
    )


def _copy_missing(matching: Matching) -> list[str]:
    """Add masks and identities from headers to faces that lack them; a line for each."""
    copied = []
    for picture, (_, face) in matching.places.items():
        for mask, stored in picture.face.mask.items():
            if face.mask.setdefault(mask, stored) is stored:
                copied.append(f"copy the mask {mask} from {picture.path.name}")
        for model, embedding in picture.face.identity.items():
            if face.identity.setdefault(model, embedding) is embedding:
                copied.append(f"copy the identity {model} from {picture.path.name}")
    return copied
