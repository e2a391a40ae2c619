"""Where each picture of a sorted folder was and goes to: written before the first one moves, kept afterwards.

The record lies in the folder that holds the sorted pictures. While it says that it isn't done, it is a journal: who
finds it finishes the moves, and the file system itself tells which of them are made. Done, it is the memory of what
pictures were called before, for sorting again and for undoing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Final

from facestream.errors import FileFormatError, OutputError
from facestream.io.atomic import replacing

NAME: Final = ".facestream-sort.json"

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture's way. Paths are relative to the record's folder, or absolute.

    Attributes:
        was: where it was before anything was sorted.
        source: where it is when the moves begin.
        target: where it is when they are done.
    """

    was: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Record:
    """All that one run of the job moves.

    Attributes:
        folder: where it lies; not part of the file.
        how: the run in words, ``face by yaw`` or ``undo``.
        copies: the sources stay.
        done: every picture is at its target.
        folders: sub-folders that the job made, now or before.
    """

    folder: Path
    entries: tuple[Entry, ...]
    how: str
    copies: bool = False
    done: bool = False
    folders: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.folder / NAME

    def at(self, place: str) -> Path:
        """An entry's path as one that can be opened."""
        return self.folder / place

    def save(self, *, done: bool = False) -> Record:
        """Write it, durably and whole; returns what is written.

        Raises:
            OutputError: the folder can't be written to.
        """
        saved = replace(self, done=done)
        fields = {key: value for key, value in asdict(saved).items() if key not in ("folder", "entries")}
        moves = [[entry.was, entry.source, entry.target] for entry in self.entries]
        text = json.dumps({"facestream_sort": _VERSION, **fields, "moves": moves}, indent=0)
        try:
            with replacing(self.path, self.path.with_name(f"{NAME}.part")) as file:
                file.write(text.encode("ascii"))
        except OSError as error:
            raise OutputError(
                f"can't write in {self.folder}: {error.strerror}; nothing was moved by it: "
                "make room or mend the folder's rights, or give another folder with -o"
            ) from error
        return saved

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def read_record(folder: Path) -> Record | None:
    """The folder's record; None where nothing was ever sorted.

    Raises:
        FileFormatError: there's one that can't be read.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_bytes())
        return _parsed(folder, content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileFormatError(f"can't read {path}: {error.strerror}; mend its rights") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"{path} isn't what facestream sort wrote ({error}); remove it: only former names are lost"
        ) from error


def _parsed(folder: Path, content: dict[str, Any]) -> Record:
    if content["facestream_sort"] != _VERSION:
        raise ValueError(f"version {content['facestream_sort']!r}")
    entries = tuple(Entry(*_three_texts(row)) for row in content["moves"])
    folders = tuple(_texts(content["folders"]))
    return Record(folder, entries, str(content["how"]), bool(content["copies"]), bool(content["done"]), folders)


def _three_texts(row: Any) -> list[str]:
    texts = _texts(row)
    if len(texts) != 3:
        raise ValueError("a move isn't three paths")
    return texts


def _texts(row: Any) -> list[str]:
    if not isinstance(row, list) or not all(isinstance(text, str) and text and "\0" not in text for text in row):
        raise ValueError("something isn't a list of paths")
    return row


def place(path: Path, folder: Path) -> str:
    """How an entry of ``folder``'s record calls ``path``: relatively, where it lies in the folder."""
    return os.path.relpath(path, folder) if path.is_relative_to(folder) else os.path.abspath(path)


def former_places(record: Record, found: Iterable[str]) -> dict[str, str]:
    """Where each of the pictures ``found`` was before anything was sorted, for those that the record knows. Pure.

    A picture is known by its place, or, where somebody has moved it to another group's folder since, by its name.
    """
    there = set(found)
    was = {entry.target: entry.was for entry in record.entries if entry.target in there}
    lost: dict[str, list[str]] = {}
    for entry in record.entries:
        if entry.target not in there:
            lost.setdefault(PurePath(entry.target).name, []).append(entry.was)
    for place in there - was.keys():
        candidates = lost.get(PurePath(place).name, [])
        if len(candidates) == 1:
            was[place] = candidates.pop()
    return was


def log_of(entries: Sequence[Entry]) -> dict[str, str]:
    """The change log: where each picture was → where it is."""
    return {entry.source: entry.target for entry in entries if entry.source != entry.target}
