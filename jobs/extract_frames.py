"""Which frames of an input an extract job looks at, and why it passes over the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from facestream.errors import SourceFormatError, SourceUnavailable
from facestream.io.face_folder import face_file
from facestream.io.face_record import FrameEntry, faces_of
from facestream.io.frame_names import FrameNames, PictureNames, VideoNames
from facestream.io.fsa import read_fsa
from facestream.io.images import count_unread, list_images, natural_key
from facestream.io.journal import journal_path, read_frames, read_index
from facestream.io.recorder import large_faces, usable_faces
from facestream.io.sources import is_pictures
from facestream.io.urls import SourceKind
from facestream.jobs.extract_inputs import instead_of_pictures
from facestream.jobs.extract_plan import ExtractPlan, InputPlan

log = logging.getLogger("facestream.extract")


@dataclass(slots=True)
class Skipped:
    """Frames passed over.

    Attributes:
        resumed: a former run of the job has recorded them.
        existing: the alignments of before the job have them already.
        passed_over: by ``extract_every_n``.
        others: pictures of the folder that weren't asked for.
    """

    resumed: int = 0
    existing: int = 0
    passed_over: int = 0
    others: int = 0

    @property
    def total(self) -> int:
        return self.resumed + self.existing + self.passed_over + self.others


class Selection:
    """Which frames of an input still have to be looked at, and why the others don't.

    Args:
        every_n: look at each n-th frame.
        names: what the frames are called; None for a camera, of which each frame counts.
        existing: frames that the alignments of before the job have.
        recovered: frames that a former run of the job has recorded.
        skipped: where the others are counted.
        only: the file names of the pictures to look at; None is all.
    """

    def __init__(
        self,
        every_n: int,
        names: FrameNames | None,
        existing: Collection[str],
        recovered: Collection[str],
        skipped: Skipped,
        only: Collection[str] | None = None,
    ) -> None:
        self._places = None if only is None else {name: i for i, name in enumerate(sorted(only, key=natural_key))}
        self._every_n = every_n
        self._names = names
        self._existing = existing
        self._recovered = recovered
        self._skipped = skipped

    def wanted(self, index: int, name: str | None) -> bool:
        """See :data:`facestream.io.reading.Wanted`."""
        key = "" if self._names is None else self._names.key(index, name)
        reason = self._reason(index, key)
        if reason is not None:
            setattr(self._skipped, reason, getattr(self._skipped, reason) + 1)
        return reason is None

    def expected(self, count: int | None) -> int | None:
        """How many of an input's ``count`` frames are wanted; counts nothing as skipped."""
        if count is None:
            return None
        if not (self._places or self._recovered or self._existing) or self._names is None:
            return -(-count // self._every_n)
        keys = self._names.keys(count)
        return sum(self._reason(index, key) is None for index, key in enumerate(keys))

    def _reason(self, index: int, key: str) -> str | None:
        """The field of :class:`Skipped` in which the frame counts; None for one to look at."""
        place = index if self._places is None else self._places.get(key)
        if place is None:
            return "others"
        if place % self._every_n:
            return "passed_over"
        if key in self._recovered:
            return "resumed"
        return "existing" if key in self._existing else None


def frame_names(item: InputPlan) -> FrameNames | None:
    """What the frames of a file or folder are called; None for a camera. Lists a folder.

    Raises:
        SourceError: it isn't there; the folder can't be listed, or holds no picture.
    """
    if item.camera:
        return None
    path = Path(item.spec.url)
    if not path.exists():
        raise SourceUnavailable(f"{path} isn't there; check the path")
    if item.spec.kind is SourceKind.FOLDER:
        return PictureNames([picture.name for picture in _listed(path)])
    return PictureNames([path.name]) if is_pictures(path) else VideoNames(path.stem, path.suffix or ".png")


def unread_pictures(item: InputPlan) -> int:
    """How many pictures a folder holds that are of kinds that aren't read."""
    return count_unread(item.spec.url) if item.spec.kind is SourceKind.FOLDER and item.only is None else 0


def _listed(folder: Path) -> list[Path]:
    try:
        return list_images(folder)
    except SourceFormatError as error:
        if instead := instead_of_pictures(folder):
            raise SourceFormatError(instead) from error
        raise


def check_folder(folder: str) -> None:
    """
    Raises:
        SourceUnavailable: the folder isn't there any more, so that its pictures weren't just damaged.
    """
    if not Path(folder).is_dir():
        raise SourceUnavailable(f"{folder} has gone while it was read; bring it back and run the job again to go on")


def existing_frames(plan: ExtractPlan, item: InputPlan) -> Collection[str]:
    """The frames that needn't be looked at because the alignments file has them, or faces of theirs.

    Raises:
        AlignmentsError: the file can't be read.
    """
    options, path = plan.options, item.alignments
    if path is None or not path.exists() or not (options.skip_existing or options.skip_existing_faces):
        return frozenset()
    frames: Mapping[str, FrameEntry] = read_fsa(path)[1]
    return frozenset(name for name, entry in frames.items() if options.skip_existing or entry.faces)


def recorded_frames(plan: ExtractPlan, item: InputPlan, names: FrameNames | None) -> Collection[str]:
    """The frames that a former run of the job has recorded and that needn't be done again, before the job's own
    recorder is open.

    Args:
        names: None for a camera, whose frames never come again.

    Raises:
        AlignmentsError: the journal can't be read.
    """
    if item.alignments is None or not plan.options.resume or names is None:
        return frozenset()
    journal = journal_path(item.alignments)
    index = read_index(journal)
    if index is None or item.pictures is None or not index.offsets:
        return frozenset(() if index is None else index.offsets)
    gone = without_pictures(read_frames(journal, index), names, item.pictures, plan.least_edge)
    if gone:
        log.warning("%s: %d recorded frames lack pictures; they are done again", item.spec.name, len(gone))
    return frozenset(index.offsets) - gone


def without_pictures(
    frames: Iterable[tuple[str, FrameEntry]], names: FrameNames, folder: Path, least_edge: float
) -> set[str]:
    """Recorded frames whose pictures aren't all there: a power cut has taken them, or the user.

    Args:
        frames: the recorded ones.
        least_edge: see :class:`facestream.io.recorder.Recorder`.
    """
    present: set[str] = set()
    if folder.is_dir():
        with os.scandir(folder) as entries:
            present = {entry.name for entry in entries if entry.name.endswith(".png") and entry.stat().st_size}
    return {name for name, entry in frames if not present.issuperset(_pictures(name, entry, names, least_edge))}


def _pictures(name: str, entry: FrameEntry, names: FrameNames, least_edge: float) -> list[str]:
    stem = PurePath(name).stem if names.video else names.stem(0, name)
    if not least_edge:
        return [face_file(stem, index) for index in range(len(entry.faces))]
    faces = faces_of(entry.faces)
    usable_faces(faces)
    return [face_file(stem, index) for index in large_faces(faces, least_edge)]
