"""A folder's pictures, and what a former sort of it knows of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from facestream.errors import OutputError, SourceUnavailable
from facestream.io.folder_lock import changing
from facestream.io.images import natural_key
from facestream.io.urls import IMAGE_SUFFIXES
from facestream.jobs.sort.moves import remove_empty
from facestream.jobs.sort.plan import Picture
from facestream.jobs.sort.record import NAME, Record, former_places


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else changes the faces in ``folder`` meanwhile; it is made if need be, and goes again if it stays empty.

    Raises:
        OutputError: somebody does, or the folder can't be written to.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"can't make {folder}: {error.strerror}; choose another with -o") from error
    try:
        with changing(folder):
            yield
    finally:
        if made:
            remove_empty([folder])


@contextmanager
def source_locked(folder: Path, *, copies: bool) -> Iterator[None]:
    """Nobody else changes the faces in ``folder`` while they are moved or copied out of it. One that can't be written
    to may be copied from all the same; what is wrong with one that isn't there is told by whoever lists it.

    Raises:
        OutputError: somebody does; or the faces are to be moved, and the folder can't be written to.
    """
    free = not folder.is_dir() or (copies and not os.access(folder, os.W_OK))
    with nullcontext() if free else changing(folder):
        yield


def list_pictures(folder: Path, record: Record | None) -> list[Picture]:
    """The pictures in ``folder``, and those in the sub-folders of groups that a former sort of it made; in natural
    order of where they were before that.

    Raises:
        SourceUnavailable: the folder can't be read.
    """
    places = _names(folder, optional=False)
    for group in record.folders if record is not None else ():
        places += [os.path.join(group, name) for name in _names(folder / group, optional=True)]
    was = {} if record is None else former_places(record, places)
    pictures = [Picture(folder / place, folder / was[place] if place in was else None) for place in places]
    return sorted(pictures, key=lambda each: (natural_key((each.was or each.path).name), str(each.path)))


def list_links(folder: Path) -> list[str]:
    """Names in ``folder`` of links that would be pictures if they were files: nobody moves or copies those.

    Raises:
        SourceUnavailable: the folder can't be read.
    """
    return sorted(
        (name for name in _names(folder, optional=False, links=True) if (folder / name).is_symlink()), key=natural_key
    )


def _names(folder: Path, *, optional: bool, links: bool = False) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                and Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
                and entry.is_file(follow_symlinks=links)
            ]
    except OSError as error:
        if optional and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return []
        raise SourceUnavailable(
            f"can't read the folder {folder}: {error.strerror}; check the path and its rights"
        ) from error


def subfolders(folder: Path) -> list[Path]:
    """The folders in ``folder`` that hold pictures directly or were sorted before, by name.

    Raises:
        SourceUnavailable: the folder can't be read.
    """
    try:
        names = sorted(os.listdir(folder), key=natural_key)
    except OSError as error:
        raise SourceUnavailable(
            f"can't read the folder {folder}: {error.strerror}; check the path and its rights"
        ) from error
    return [
        folder / name
        for name in names
        if not name.startswith(".") and (folder / name).is_dir() and _is_input(folder / name)
    ]


def _is_input(folder: Path) -> bool:
    return (folder / NAME).exists() or bool(_names(folder, optional=True))
