"""The folder for an input's face pictures, and what other runs have left in it: it must agree with the alignments."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from facestream.errors import SourceError
from facestream.io.alignments import Alignments
from facestream.io.face_folder import is_of, parse_face_file, refusal, set_aside
from facestream.io.journal import journal_path, read_index
from facestream.io.origin import Origins
from facestream.io.urls import SourceKind
from facestream.jobs.extract_frames import Selection, Skipped, existing_frames, frame_names
from facestream.jobs.extract_plan import ExtractPlan, InputPlan
from facestream.jobs.known_faces import known_faces


class _Present(NamedTuple):
    """A picture that has the name of a face of one of the input's frames.

    Attributes:
        frame: what the alignments call the frame.
        place: the frame's, from 0.
        picture: the frame's own file, if it has one.
        face: its index in the frame.
    """

    name: str
    frame: str
    place: int
    picture: str | None
    face: int


_FrameOf: TypeAlias = Callable[[str], tuple[str, int, str | None] | None]


def origins_of(item: InputPlan) -> Origins:
    """Where the input's faces are cut from."""
    folder = item.spec.kind is SourceKind.FOLDER
    return Origins(None if item.camera else Path(item.spec.url), folder=folder)


def check_pictures(plan: ExtractPlan, item: InputPlan) -> None:
    """Say at once, not when the frame's turn comes, that pictures of something else are in the way. Blocks.

    Raises:
        OutputError: they are.
        AlignmentsError: alignments that the job is to go on with can't be read.
    """
    if item.pictures is None or not item.pictures.is_dir():
        return
    try:
        present = list(_present(item, os.listdir(item.pictures)))
    except SourceError:
        return  # which is said when the input's turn comes
    recorded = _recorded(plan, item)
    origins = origins_of(item)
    foreign = [
        each
        for each in present
        if each.frame not in recorded and not is_of(item.pictures / each.name, origins.of(each.frame))
    ]
    if foreign and not item.camera:
        foreign = _in_the_way(plan, item, foreign)
    if foreign:
        raise refusal(item.pictures / foreign[0].name, origins.of(foreign[0].frame), len(foreign) - 1)


def _in_the_way(plan: ExtractPlan, item: InputPlan, foreign: Iterable[_Present]) -> list[_Present]:
    """Those of frames that the job looks at."""
    existing = existing_frames(plan, item)
    chosen = Selection(plan.options.extract_every_n, frame_names(item), existing, frozenset(), Skipped(), item.only)
    return [each for each in foreign if chosen.wanted(each.place, each.picture)]


def set_former_aside(plan: ExtractPlan, item: InputPlan, untouched: Iterable[str], recorded: Collection[str]) -> int:
    """At the end of a run, move away what a former one has left of faces that there aren't any more. Blocks.

    Args:
        untouched: the folder's files that the run hasn't written.
        recorded: frames that a former run of the same job has finished, and left nothing of.

    Returns:
        how many pictures went to the folder's sub-folder for former ones.

    Raises:
        OutputError: one can't be moved.
        AlignmentsError: the alignments can't be read.
    """
    assert item.pictures is not None, "only pictures can be moved"
    try:
        present = [each for each in _present(item, untouched) if each.frame not in recorded]
    except SourceError:
        return 0  # the input has gone
    if not present:
        return 0
    faces = _faces_now(plan, item)
    origins = origins_of(item)
    former = [
        each.name
        for each in present
        if each.face >= faces.get(each.frame, 0) and is_of(item.pictures / each.name, origins.of(each.frame))
    ]
    return set_aside(item.pictures, former)


def _faces_now(plan: ExtractPlan, item: InputPlan) -> Mapping[str, int]:
    """Frame → how many faces it has, as far as a file tells."""
    if item.alignments is not None:
        return {name: len(entry.faces) for name, entry in Alignments.load(item.alignments).frames.items()}
    known = known_faces(plan, item)
    return {} if known is None else known.counts


def _recorded(plan: ExtractPlan, item: InputPlan) -> Collection[str]:
    """Frames whose pictures a former run of this very job has finished."""
    if item.alignments is None or not plan.options.resume:
        return ()
    index = read_index(journal_path(item.alignments))
    return () if index is None else index.offsets


def _present(item: InputPlan, files: Iterable[str]) -> Iterator[_Present]:
    """The files that have names of this input's faces.

    Raises:
        SourceError: the input isn't there, or holds no picture.
    """
    frame_of: _FrameOf | None = None
    for name in sorted(files):
        parsed = parse_face_file(name)
        if parsed is None:
            continue
        frame_of = frame_of or _frames_by_stem(item)
        if (found := frame_of(parsed[0])) is not None:
            yield _Present(name, *found, parsed[1])


def _frames_by_stem(item: InputPlan) -> _FrameOf:
    names = frame_names(item)
    if names is not None:
        return names.frame_of
    stems = re.compile(re.escape(item.spec.name) + r"(?:-e\d+)?_\d{6,}")
    return lambda stem: (f"{stem}.png", 0, None) if stems.fullmatch(stem) else None
