"""What the sorted pictures will be called, and where they go. Pure but for the question whether a name is taken."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from facestream.io.images import natural_key
from facestream.jobs.sort.methods import Kind, Method
from facestream.jobs.sort.order import Group
from facestream.jobs.sort.record import Entry, Record, place

UNDO: Final = "undo"
BACK: Final = "back"
_NAME_BYTES: Final = 240  # of the 255 that file systems take


@dataclass(frozen=True, slots=True)
class Picture:
    """One to be sorted.

    Attributes:
        path: where it is.
        was: where it was before it was ever sorted, as its folder's record has it; None where that doesn't know it.
        name: what it was called then; sorted names are made of it.
    """

    path: Path
    was: Path | None = None
    name: str = ""

    @property
    def former(self) -> Path:
        return self.was or self.path.with_name(self.name or self.path.name)


@dataclass(frozen=True, slots=True)
class Placed:
    """A group as it will lie there: its folder's name (empty: the folder itself) and its pictures' names."""

    folder: str
    names: list[str]


def group_folder(sort: Method, group: Method, number: int) -> str:
    """``_face_000``, ``_face_000_by_yaw``."""
    by = "" if sort.kind is Kind.NONE or sort.name == group.name else f"_by_{sort.name}"
    return f"_{group.name}_{number:03d}{by}"


def places(
    pictures: Sequence[Picture],
    groups: Sequence[Group],
    sort: Method,
    group: Method,
    folder: Path,
    taken: Callable[[Path], bool] = os.path.lexists,
) -> tuple[list[Placed], dict[int, Path]]:
    """Names for all pictures: the groups as they will lie there, and index → path.

    A name is ``<number in its group>_<own name>``, or just its own where nothing is sorted. One that is taken, by
    another picture of the plan or by any other file, gets ``-2``, ``-3``, …: no move is ever in another's way.
    """
    given: set[str] = set()
    placed, targets = [], {}
    for one in groups:
        name = "" if one.number is None else group_folder(sort, group, one.number)
        names = []
        for number, index in enumerate(one.members):
            picture = pictures[index]
            wanted = picture.former.name if sort.kind is Kind.NONE else f"{number:06d}_{picture.former.name}"
            for variant in _variants(_short(wanted)):
                target = folder / name / variant
                key = str(target).casefold()
                if key not in given and (target == picture.path or not taken(target)):
                    break
            given.add(key)
            names.append(target.name)
            targets[index] = target
        placed.append(Placed(name, names))
    return placed, targets


def record_of(
    pictures: Sequence[Picture],
    targets: dict[int, Path],
    folder: Path,
    *,
    how: str,
    copies: bool,
    folders: Collection[str],
) -> Record:
    """All moves, in the order of the pictures.

    Args:
        folders: sub-folders that this run makes or that a former one made.
    """
    entries = tuple(
        Entry(place(pictures[index].former, folder), place(pictures[index].path, folder), place(targets[index], folder))
        for index in sorted(targets)
    )
    return Record(folder, entries, how, copies, folders=tuple(sorted(folders)))


def placed_of(record: Record) -> list[Placed]:
    """The groups as a record's targets have them, by name."""
    folders: dict[str, list[str]] = {}
    for entry in record.entries:
        folder, name = os.path.split(entry.target)
        folders.setdefault(folder, []).append(name)
    return [Placed(folder, sorted(folders[folder], key=natural_key)) for folder in sorted(folders)]


def backwards(record: Record) -> Record:
    """The way back of a run that was interrupted: every picture to where it was when that began."""
    entries = tuple(Entry(entry.was, entry.target, entry.source) for entry in record.entries)
    return Record(record.folder, entries, BACK, folders=record.folders)


def undoing(record: Record, pictures: Sequence[Picture], taken: Callable[[Path], bool] = os.path.lexists) -> Record:
    """The way back: every picture to where it was before it was ever sorted, or beside what has come there since.

    Args:
        pictures: all that are in the record's folders now; those that it doesn't know stay.
    """
    given: set[str] = set()
    entries = []
    for picture in pictures:
        if picture.was is None:
            continue
        here = place(picture.path, record.folder)
        target = here if picture.was == picture.path else free_name(picture.was, given, record.folder, taken)
        given.add(target)
        entries.append(Entry(place(picture.was, record.folder), here, target))
    return Record(record.folder, tuple(entries), UNDO, folders=record.folders)


def free_name(
    wanted: Path, given: Collection[str], folder: Path, taken: Callable[[Path], bool] = os.path.lexists
) -> str:
    """``wanted``, or its first variant that is neither there nor ``given``, as a place of ``folder``'s record."""
    paths = (wanted.with_name(name) for name in _variants(wanted.name))
    return next(place(path, folder) for path in paths if place(path, folder) not in given and not taken(path))


def _variants(name: str) -> Iterator[str]:
    yield name
    path = PurePath(name)
    number = 2
    while True:
        yield f"{path.stem}-{number}{path.suffix}"
        number += 1


def _short(name: str) -> str:
    """A name that file systems take; the record keeps the whole one."""
    path = PurePath(name)
    room = _NAME_BYTES - len(os.fsencode(path.suffix))
    stem = os.fsencode(path.stem)
    if len(stem) <= room:
        return name
    return stem[:room].decode("utf-8", "ignore") + path.suffix
