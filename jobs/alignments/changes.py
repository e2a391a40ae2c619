"""What a job is going to do, told before it is done: planned purely, then carried out in an order that bears a kill.

The alignments file comes first: it is written whole, with a backup. Then the pictures' headers, each whole, then
their names. A job that is killed on the way has left pictures that don't agree with the file yet; run again, it finds
them by their box and landmarks (:mod:`facestream.jobs.alignments.matching`) and finishes. Nothing is ever overwritten.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from facestream.errors import AlignmentsError, FaceHeaderError
from facestream.io.alignments import Alignments
from facestream.io.face_record import FrameEntry
from facestream.io.faces import read_header, update_header
from facestream.io.folder_lock import changing
from facestream.io.fsa import backup_path
from facestream.jobs.alignments.matching import Matching
from facestream.jobs.alignments.pictures import FacePicture
from facestream.jobs.wording import counted

DUPLICATES: Final = "_duplicates"

_AGAIN: Final = "then run the same job again, it goes on where it stopped"


@dataclass(frozen=True, slots=True)
class SetHeader:
    """Change what a picture's header says of its source."""

    path: Path
    source: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """Give a file another name or folder."""

    path: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a job is going to do.

    Attributes:
        alignments: to be saved, as it is in memory; None where the file stays as it is.
        file_changes: a line for each change in the file.
        unit: what one of them is.
        headers: pictures' headers to change, before any of them moves.
        moves: files to rename or move, all at once: two may swap their names.
        notes: what is left alone, and why.
    """

    alignments: Alignments | None = None
    file_changes: Sequence[str] = ()
    headers: Sequence[SetHeader] = ()
    moves: Sequence[Move] = ()
    notes: Sequence[str] = ()
    unit: str = "change"

    @property
    def empty(self) -> bool:
        return self.alignments is None and not self.headers and not self.moves

    def lines(self, now: datetime) -> list[str]:
        """Exactly what would be done, a line each."""
        lines = list(self.file_changes)
        if self.alignments is not None:
            path = self.alignments.path
            kept = f", keep the former as {backup_path(path, now).name}" if path.exists() else ""
            lines.append(f"save {path}{kept}")
        for change in self.headers:
            values = ", ".join(f"{key} {value}" for key, value in change.source.items())
            lines.append(f"set in the header of {change.path.name}: {values}")
        return lines + [f"rename {move.path.name} to {_shown(move)}" for move in self.moves]


def _shown(move: Move) -> str:
    same = move.target.parent == move.path.parent
    return move.target.name if same else str(Path(move.target.parent.name, move.target.name))


# Planning


@dataclass(slots=True)
class FolderChanges:
    """What brings a folder's pictures in line with an alignments file."""

    headers: list[SetHeader] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)


def agreeing(frames: Mapping[str, FrameEntry], matching: Matching, *, rename: bool = True) -> FolderChanges:
    """Headers and names that each picture must get so that they say what the file says; copies go aside.

    Args:
        frames: as they will be. Faces are known by identity, so ``matching`` may be from before they moved.
        rename: False keeps the names, except copies'.
    """
    changes = FolderChanges()
    places = {id(face): index for entry in frames.values() for index, face in enumerate(entry.faces)}
    for picture, (frame, face) in matching.places.items():
        index = places[id(face)]
        name = picture.name_at(index)
        wanted = {"source_filename": frame, "face_index": index, "original_filename": name}
        held = {"source_filename": picture.frame, "face_index": picture.index, "original_filename": picture.original}
        different = {key: value for key, value in wanted.items() if held[key] != value}
        if different:
            changes.headers.append(SetHeader(picture.path, different))
        if rename and picture.path.name != name:
            changes.moves.append(Move(picture.path, picture.path.with_name(name)))
    changes.moves.extend(set_aside(matching.duplicates))
    return changes


def set_aside(duplicates: Sequence[FacePicture], exists: Callable[[Path], bool] = os.path.lexists) -> list[Move]:
    """Copies' way into ``_duplicates``, where former copies may have their name."""
    return [
        Move(picture.path, _free(picture.path.parent / DUPLICATES / picture.path.name, exists))
        for picture in duplicates
    ]


def _free(wanted: Path, exists: Callable[[Path], bool] = os.path.lexists) -> Path:
    """``wanted``, or what follows it: ``a.png``, ``a-2.png``, ``a-3.png``, …"""
    path, number = wanted, 2
    while exists(path):
        path, number = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}"), number + 1
    return path


def check_moves(moves: Sequence[Move], exists: Callable[[Path], bool] = os.path.lexists) -> None:
    """Make sure that nothing will be overwritten.

    Raises:
        AlignmentsError: two files are to get one name, or a file that stays is in the way.
    """
    leaving = {move.path for move in moves}
    twice = [path for path, times in Counter(move.target for move in moves).items() if times > 1]
    if twice:
        first, second, *_ = [move.path.name for move in moves if move.target == twice[0]]
        raise AlignmentsError(f"{first} and {second} are both to become {twice[0]}; move one of them away")
    for move in moves:
        if move.target not in leaving and exists(move.target) and not _same_file(move):
            raise AlignmentsError(f"{move.target} is in the way of {move.path.name}; move it to another folder")


def _same_file(move: Move) -> bool:
    """Only upper and lower case differ, and the file system doesn't mind."""
    return os.path.lexists(move.path) and os.path.samefile(move.path, move.target)


# Doing


def carry_out(plan: Plan, now: datetime) -> list[str]:
    """Do what is planned: the file, headers, names. Returns a summary, a line for each of them.

    Raises:
        AlignmentsError: a name is taken, with nothing done; or a file can't be written. What was done until then
            stays, and the same job goes on from there.
        OutputError: another job changes the pictures, or their folder can't be written to.
    """
    check_moves(plan.moves)
    lines = []
    if plan.alignments is not None:
        plan.alignments.save(backup_at=now)
        lines.append(f"{counted(len(plan.file_changes), plan.unit)} saved in {plan.alignments.path}")
    with ExitStack() as folders:
        for folder in {change.path.parent for change in plan.headers} | {move.path.parent for move in plan.moves}:
            folders.enter_context(changing(folder))
        for change in plan.headers:
            _set_header(change)
        if plan.headers:
            lines.append(f"{counted(len(plan.headers), 'header')} brought up to date")
        move_all(plan.moves)
    if plan.moves:
        lines.append(f"{counted(len(plan.moves), 'file')} renamed or moved")
    return lines


def _set_header(change: SetHeader) -> None:
    try:
        header = read_header(change.path)
        header["source"].update(change.source)
        update_header(change.path, header)
    except OSError as error:
        raise AlignmentsError(f"{change.path} can't be written: {error.strerror}; mend that, {_AGAIN}") from error
    except FaceHeaderError as error:
        raise AlignmentsError(f"{error}; move it away, {_AGAIN}") from error


def move_all(moves: Sequence[Move]) -> None:
    """Rename files so that two may swap names: those in others' way step aside first.

    A file that has stepped aside is ``<name>.moving.png`` (or whatever its suffix is): after a kill it is still
    among the folder's pictures.
    """
    targets = {move.target for move in moves}
    aside = {
        move.path: _free(move.path.with_name(f"{move.path.stem}.moving{move.path.suffix}"))
        for move in moves
        if move.path in targets
    }
    try:
        for path, waiting in aside.items():
            os.rename(path, waiting)
        for move in moves:
            move.target.parent.mkdir(exist_ok=True)
            os.rename(aside.get(move.path, move.path), move.target)
    except OSError as error:
        where = os.fspath(error.filename or "a file")
        raise AlignmentsError(f"{where} can't be renamed: {error.strerror}; mend that, {_AGAIN}") from error
