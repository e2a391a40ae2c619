"""Bringing pictures to where a record says: each is in exactly one place at any time, and none is ever overwritten.

Within a file system a move is a rename. Across two it is a copy that reaches the disk, takes its name and only then
lets the source go; killed in between, both are there and equal, and the next run removes the source. What was moved
can be seen, so nothing is written while moving.
"""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from facestream.errors import OutputError
from facestream.io.atomic import replacing, sync_folder
from facestream.jobs.sort.record import Record

TEMPORARY: Final = ".facestream-sort.part"
"""A copy that isn't whole yet; there's one at a time."""

_AGAIN: Final = "then run the same command again, it goes on where it stopped"


@dataclass(slots=True)
class Moved:
    """What became of a record's pictures.

    Attributes:
        arrived: pictures at their targets.
        gone: sources that somebody else has taken away meanwhile.
        complete: no picture is left to move; False when ``stopped`` said so before.
    """

    arrived: int = 0
    gone: list[str] = field(default_factory=list)
    complete: bool = True


def carry_out(
    record: Record,
    *,
    stopped: Callable[[], bool] = lambda: False,
    advanced: Callable[[int, int], None] = lambda done, total: None,
) -> Moved:
    """Make those moves of the record that aren't made yet. Blocks.

    Args:
        stopped: asked before each of them; what is begun is finished.
        advanced: called with the pictures that are done with, and all of them.

    Raises:
        OutputError: a file can't be moved, or another one has taken its place. What was moved stays.
    """
    moved = Moved()
    for number, entry in enumerate(record.entries):
        if stopped():
            moved.complete = False
            break
        source, target = record.at(entry.source), record.at(entry.target)
        try:
            if _bring(source, target, copy=record.copies):
                moved.arrived += 1
            else:
                moved.gone.append(entry.source)
        except OSError as error:
            verb = "copied" if record.copies else "moved"
            raise OutputError(f"{source} can't be {verb} to {target}: {error.strerror}; mend that, {_AGAIN}") from error
        advanced(number + 1, len(record.entries))
    _settle(record)
    return moved


def _bring(source: Path, target: Path, *, copy: bool) -> bool:
    """Whether the picture is at its target now; False where it's nowhere.

    Raises:
        OSError, OutputError: it can't be brought there; it is where it was.
    """
    if source == target:
        return os.path.lexists(target)
    if not os.path.lexists(source):
        return os.path.lexists(target)
    if os.path.lexists(target) and not _only_spelling(source, target):
        if not filecmp.cmp(source, target, shallow=False):
            raise OutputError(f"{target} is in the way of {source}; move it away, {_AGAIN}")
        if not copy:
            source.unlink()  # killed after it was copied
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    if copy:
        _copy(source, target)
        return True
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)
        source.unlink()
    return True


def _only_spelling(source: Path, target: Path) -> bool:
    """One file under two names: only upper and lower case differ, and the file system doesn't mind."""
    return source.name.casefold() == target.name.casefold() and os.path.samefile(source, target)


def _copy(source: Path, target: Path) -> None:
    with open(source, "rb") as original, replacing(target, target.with_name(TEMPORARY)) as file:
        shutil.copyfileobj(original, file, 1 << 20)
    shutil.copystat(source, target)


def _settle(record: Record) -> None:
    """Names reach the disk; half copies of a killed run and folders that have become empty go."""
    places = [entry.target for entry in record.entries]
    places += [] if record.copies else [entry.source for entry in record.entries]
    for folder in {record.at(place).parent for place in places}:
        if folder.is_dir():
            (folder / TEMPORARY).unlink(missing_ok=True)
            sync_folder(folder)
    remove_empty(record.at(name) for name in record.folders)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those that hold nothing."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST, errno.ENOTDIR):
                raise OutputError(f"{folder} can't be removed: {error.strerror}; mend that, {_AGAIN}") from error
