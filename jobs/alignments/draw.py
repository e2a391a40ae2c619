"""Draw what the alignments say onto every frame, to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePath
from typing import Final

from facestream.errors import AlignmentsError
from facestream.faces.drawing import draw_frame
from facestream.io.alignments import Alignments
from facestream.io.face_record import faces_of
from facestream.io.frame_names import PictureNames
from facestream.jobs.alignments.drawn import Drawn, DrawnPictures, drawn_video
from facestream.jobs.alignments.frames import is_video, pictures_of, rate_of, read_frames
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work
from facestream.jobs.wording import counted
from facestream.stream.types import Image

JOB: Final = "drawn_landmarks"


def run(work: Work, session: Session, *, video: bool = False) -> None:
    """Write every frame with its faces drawn onto it, in order, to ``drawn_landmarks_<time>``: JPEGs in a folder, or
    a video.

    It lies in the folder of pictures, or beside the video. A picture that can't be read is left out and told.

    Raises:
        FacestreamError: the file or the frames can't be read, are of different inputs, or nothing can be written.
    """
    frames = work.needed_frames
    alignments = session.load(work.alignments)
    session.check_known(frames, alignments)
    stem_of = _stems(frames)
    count = 0
    target, drawn = _target(frames, session, video)
    with drawn as sink:
        for name, image in session.watched(_drawn(frames, alignments, session)):
            sink.write(stem_of(name), image)
            count += 1
    session.tell(f"{counted(count, 'frame')} drawn to {target}")


def _target(frames: Path, session: Session, video: bool) -> tuple[Path, AbstractContextManager[Drawn]]:
    place = frames if frames.is_dir() else frames.parent
    suffix = ".mp4" if video else ""
    target, number = place / f"{JOB}_{session.stamp}{suffix}", 2
    while target.exists():  # two videos of a batch
        target, number = place / f"{JOB}_{session.stamp}-{number}{suffix}", number + 1
    return target, drawn_video(target, rate_of(frames)) if video else nullcontext(DrawnPictures(target))


def _stems(frames: Path) -> Callable[[str], str]:
    """What the drawn frame is called; different for ``a.jpg`` and ``a.png``."""
    if is_video(frames):
        return lambda name: PurePath(name).stem
    names = PictureNames([path.name for path in pictures_of(frames)])
    return lambda name: names.stem(0, name)


def _drawn(frames: Path, alignments: Alignments, session: Session) -> Iterator[tuple[str, Image]]:
    try:
        for name, image in read_frames(frames, alignments.frames, session.tell):
            yield name, draw_frame(image, faces_of(alignments.faces(name)))
    except ValueError as error:
        raise AlignmentsError(f"{alignments.path}: {error}; extract that frame again") from error
