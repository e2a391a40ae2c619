"""Whether a folder of faces says what the alignments file says."""

from __future__ import annotations

from collections.abc import Sequence

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.jobs.alignments.changes import agreeing
from facestream.jobs.alignments.matching import match
from facestream.jobs.alignments.pictures import FacePicture, list_pictures, read_pictures
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work
from facestream.jobs.wording import counted


def run(work: Work, session: Session) -> None:
    """Say where they disagree.

    Raises:
        AlignmentsError: they do, after each place has been said; or something can't be read.
    """
    folder = work.needed_faces
    alignments = session.load(work.alignments)
    pictures, unreadable = read_pictures(session.watched(list_pictures(folder)))
    faces = counted(alignments.faces_count, "face")
    if not pictures and not unreadable and alignments.faces_count:
        raise AlignmentsError(f"{folder} has no picture of any of the {faces} in {alignments.path}; check -c")
    found = [*unreadable, *disagreements(alignments, pictures)]
    for line in found:
        session.say(line)
    if found:
        raise AlignmentsError(f"{folder} and {alignments.path} disagree in {counted(len(found), 'place')}")
    bare = alignments.faces_count - len(pictures)
    session.tell(
        f"{folder} and {alignments.path} agree: {counted(len(pictures), 'picture')} of {faces}"
        + ("; " + counted(bare, "face has no picture", "faces have no picture") if bare else "")
    )


def disagreements(alignments: Alignments, pictures: Sequence[FacePicture]) -> list[str]:
    """A line for each picture that is of no face, of one that has another picture, or that is named or numbered
    otherwise than in the file. A face without a picture is none: small faces may not have been saved.
    """
    matching = match(alignments.frames, pictures)
    changes = agreeing(alignments.frames, matching)
    copies = {picture.path for picture in matching.duplicates}
    return [
        *(f"{picture.path.name}: {alignments.path.name} has no such face" for picture in matching.strays),
        *(f"{picture.path.name}: a second picture of one face" for picture in matching.duplicates),
        *(
            f"{change.path.name}: its header should say "
            + ", ".join(f"{key} {value}" for key, value in change.source.items())
            for change in changes.headers
        ),
        *(
            f"{move.path.name}: should be called {move.target.name}"
            for move in changes.moves
            if move.path not in copies
        ),
    ]
