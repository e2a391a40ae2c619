"""What is known about the faces of one source's frames, in memory: read, changed and saved by the offline jobs.

**Names.** An alignments file belongs to one source and calls a frame by a file name: a picture by its own, a
video's frame by ``<video stem>_<n:06d><the video's suffix>``, n from 1, a camera's by ``<source>_<n:06d>.png`` (spec
§12.4). These are the names that :class:`facestream.io.faces.FrameStems` gives, suffix added. Inside facestream
a frame is never known by its file name: that is why two sources never share a file, and why
:func:`alignments_paths` gives each input of a job a path of its own, also where faceswap's place for them would
be the same (``clip.mp4`` and ``clip.avi`` in one folder). The journal beside the file names its source, so one
job can't go on with another's.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from facestream.errors import AlignmentsError, ConfigError
from facestream.io.face_record import FaceAlignment, FrameEntry, VideoMeta
from facestream.io.fsa import SUFFIX, VERSION, check_name, read_fsa, write_fsa
from facestream.io.journal import journal_path, read_frames, read_index
from facestream.io.journal_lock import is_locked

_NUMBERED: Final = re.compile(r"(?s)(.*)_\d+")


def alignments_path(source: Path, given: Path | None = None, *, folder: bool) -> Path:
    """Where faceswap looks for a source's file: beside a video, inside a folder of pictures.

    Args:
        given: the user's wish; a wrong or missing suffix becomes ``.fsa``.
        folder: ``source`` is a folder.
    """
    if given is not None:
        return given if given.suffix.lower() == SUFFIX else given.with_suffix(SUFFIX)
    if folder:
        return source / f"alignments{SUFFIX}"
    return source.with_name(f"{source.stem}_alignments{SUFFIX}")


def alignments_beside(frames: Path) -> Path:
    """Where the file of a video or a folder of pictures is, or belongs: the usual place, unless another's is there.

    ``clip.mp4`` and ``clip.mov`` in one folder have one usual place. The second has its suffix in the file's name then,
    ``clip.mov_alignments.fsa``, as both have after a job that was given both. Reads a file that is there.
    """
    return _own_path(frames, folder=frames.is_dir())


def _own_path(source: Path, *, folder: bool) -> Path:
    usual = alignments_path(source, folder=folder)
    if folder:
        return usual
    distinct = _distinct_path(source)
    if not has_alignments(usual):
        return distinct if has_alignments(distinct) else usual
    return distinct if _is_of_another(usual, source) else usual


def _distinct_path(source: Path) -> Path:
    return source.with_name(f"{source.name}_alignments{SUFFIX}")


def _is_of_another(path: Path, source: Path) -> bool:
    """All that the file and its journal know are frames of a namesake of ``source`` with another suffix."""
    try:
        index = read_index(journal_path(path))
        names = [*(read_fsa(path)[1] if path.exists() else ()), *(() if index is None else index.offsets)]
    except AlignmentsError:
        return False  # whoever needs it says what is wrong with it
    return bool(names) and all(_is_namesakes(name, source) for name in names)


def _is_namesakes(frame: str, source: Path) -> bool:
    suffix = Path(frame).suffix.lower()
    if suffix == source.suffix.lower():
        return False
    if _stem(frame) == source.stem:
        return suffix != ".png"  # which a video's frames had before version 2.4
    return Path(frame).stem == source.stem


def has_alignments(path: Path) -> bool:
    """Whether there's an alignments file, or the journal of one that is being made."""
    return os.path.exists(path) or os.path.exists(journal_path(path))


def check_names_a_file(given: Path | None) -> None:
    """
    Raises:
        ConfigError: the user's wish is a folder.
    """
    if given is not None and given.is_dir():
        raise ConfigError(f"{given} is a folder; name the alignments file, such as {given / f'alignments{SUFFIX}'}")


def alignments_paths(sources: Sequence[tuple[Path, bool]]) -> list[Path]:
    """A path for each input of one job, all different; ``(path, is a folder)`` each.

    Videos whose paths would be the same keep their suffix in the name: ``clip.mp4_alignments.fsa``; for one alone see
    :func:`alignments_beside`. The same inputs get the same paths, whatever their order. An input that comes twice has
    one path twice.
    """
    wanted = [alignments_path(source, folder=folder) for source, folder in sources]
    takers = Counter(path for path, _ in {(path, source[0]) for path, source in zip(wanted, sources)})
    return [
        _own_path(source, folder=folder) if takers[path] == 1 else _distinct_path(source)
        for path, (source, folder) in zip(wanted, sources)
    ]


@dataclass(slots=True, eq=False)
class Alignments:
    """Frames by name, in the file's order.

    Attributes:
        path: the ``.fsa``; it need not exist yet.
        frames: a frame without faces has an entry too.
        version: what the file was written with; it is 2.4 in memory, and when it is saved.
        recovered: frames that came from the journal of a job that didn't end.
    """

    path: Path
    frames: dict[str, FrameEntry] = field(default_factory=dict)
    version: float = VERSION
    recovered: int = 0

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file, and what the journal beside it adds. Nothing on disk changes.

        Raises:
            AlignmentsError: neither is there, or one can't be read.
        """
        target = Path(path)
        journal = journal_path(target)
        index = read_index(journal)
        version, frames = (VERSION, {}) if index is not None and not target.exists() else read_fsa(target)
        if index is None:
            return cls(target, frames, version)
        return cls(target, dict(read_frames(journal, index, frames)), version, len(index.offsets))

    def save(self, backup_at: datetime | None) -> Path | None:
        """Write the file, whole or not at all; the journal whose frames are in it goes.

        Args:
            backup_at: keep a file that is there under this date; None replaces it.

        Returns:
            the backup's path.

        Raises:
            AlignmentsError: it can't be written, a job is writing it right now, or one that didn't end has left a
                journal whose frames aren't in here; nothing has changed then.
        """
        journal = journal_path(self.path)
        if is_locked(journal):
            raise AlignmentsError(f"{self.path} is being written by a job; wait until that has ended")
        if not self.recovered and (left := read_index(journal)) is not None and left.offsets:
            raise AlignmentsError(
                f"{journal} holds {len(left.offsets)} frames of a job that didn't end, which would replace these; run "
                "that job again first, or move the journal away"
            )
        backup = write_fsa(self.path, self.frames.items(), backup_at=backup_at)
        if self.recovered:
            journal.unlink(missing_ok=True)
            self.recovered = 0
        self.version = VERSION
        return backup

    # What is there

    @property
    def faces_count(self) -> int:
        return sum(len(entry.faces) for entry in self.frames.values())

    @property
    def masks(self) -> dict[str, int]:
        """Mask → how many faces have it."""
        return dict(Counter(name for _, _, face in self.each_face() for name in face.mask))

    @property
    def identities(self) -> dict[str, int]:
        """Identity model → how many faces have its embedding."""
        return dict(Counter(name for _, _, face in self.each_face() for name in face.identity))

    @property
    def video_meta(self) -> dict[str, VideoMeta]:
        """Frame → where it stands in the video; of those that say so."""
        return {name: entry.video_meta for name, entry in self.frames.items() if entry.video_meta is not None}

    def __contains__(self, name: str) -> bool:
        return name in self.frames

    def __len__(self) -> int:
        return len(self.frames)

    def faces(self, name: str) -> list[FaceAlignment]:
        """A frame's faces; none where the frame isn't known."""
        entry = self.frames.get(name)
        return [] if entry is None else entry.faces

    def each_face(self) -> Iterator[tuple[str, int, FaceAlignment]]:
        """Every face: its frame, its index there, itself."""
        for name, entry in self.frames.items():
            for index, face in enumerate(entry.faces):
                yield name, index, face

    def missing_from(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that have no entry, in their order."""
        return [name for name in names if name not in self.frames]

    def without_frame(self, names: Collection[str]) -> list[str]:
        """Entries whose frame isn't among ``names``."""
        present = set(names)
        return [name for name in self.frames if name not in present]

    # Changes

    def replace(self, name: str, faces: list[FaceAlignment], video_meta: VideoMeta | None = None) -> None:
        """Set a frame's entry.

        Raises:
            AlignmentsError: the name isn't a file's.
        """
        try:
            check_name(name)
        except AlignmentsError as error:
            raise AlignmentsError(f"{self.path} {error}") from None
        self.frames[name] = FrameEntry(faces, video_meta)

    def keep_faces(self, kept: Mapping[str, Collection[int]], *, drop: bool = False) -> int:
        """Keep each frame's faces at the indices that ``kept`` names for it; the others go, the rest moves up.

        Args:
            drop: remove those named instead.

        Returns:
            how many faces went.
        """
        before = self.faces_count
        for name, entry in self.frames.items():
            named = set(kept.get(name, ()))
            entry.faces = [face for index, face in enumerate(entry.faces) if (index in named) != drop]
        return before - self.faces_count

    def sort_faces(self, key: Callable[[FaceAlignment], float]) -> dict[str, list[int]]:
        """Sort each frame's faces by ``key``, equal ones in their order.

        Returns:
            frame → the former index of each face, of the frames that changed.
        """
        moved: dict[str, list[int]] = {}
        for name, entry in self.frames.items():
            order = sorted(range(len(entry.faces)), key=lambda index: key(entry.faces[index]))
            if order != sorted(order):
                entry.faces = [entry.faces[index] for index in order]
                moved[name] = order
        return moved

    def name_after_video(self, video: Path) -> int:
        """Give a video's frames names that end as the video does, as since 2.4; they ended with ``.png``.

        Only if all of this video's frames do: names of other sources aren't touched.

        Returns:
            how many were renamed.
        """
        stem, suffix = video.stem, video.suffix
        ours = [name for name in self.frames if _stem(name) == stem]
        if suffix == ".png" or any(Path(name).suffix != ".png" for name in ours):
            return 0
        renamed = {name: f"{Path(name).stem}{suffix}" for name in ours}
        self.frames = {renamed.get(name, name): entry for name, entry in self.frames.items()}
        return len(renamed)


def _stem(name: str) -> str | None:
    """``clip_000001.png`` → ``clip``."""
    numbered = _NUMBERED.fullmatch(Path(name).stem)
    return None if numbered is None else numbered[1]
