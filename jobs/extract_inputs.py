"""Which inputs a user means by the paths and addresses of an extract job. Looks at the disk only to list folders."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from facestream.errors import ConfigError, SourceFormatError, SourceUnavailable
from facestream.io.images import holds, natural_key
from facestream.io.urls import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    SourceKind,
    SourceSpec,
    parse_source,
    redact_url,
)
from facestream.jobs.extract import unique_name
from facestream.jobs.result_folders import holds_extracted_faces, is_result
from facestream.jobs.wording import counted


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is to be read.

    Attributes:
        specs: their names are unique.
        only: folder, as its spec's URL → the file names of those of its pictures that were asked for.
        notes: what is left out, for the user.
    """

    specs: tuple[SourceSpec, ...]
    only: dict[str, frozenset[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def chosen_inputs(texts: Sequence[str], *, batch: bool) -> Inputs:
    """
    Args:
        batch: folders hold the inputs.

    Raises:
        ConfigError: one isn't a source, or is given twice.
        SourceError: a batch's folder can't be listed, or holds nothing to read.
    """
    notes = []
    if batch:
        notes = [note for text in texts if (note := _loose_pictures(text))]
        found = [text for parent in texts for text in _batch(parent)]
        texts = [text for text in found if text in texts or not is_result(text)]
        if results := [os.path.basename(text) for text in found if text not in texts]:
            notes.append(f"not looked at, as extracted or drawn faces: {', '.join(results)}")
        if not texts:
            raise SourceFormatError(f"{found[0]} holds what was extracted or drawn; choose the folder of the originals")
    texts, only = _together(texts)
    specs: list[SourceSpec] = []
    taken: set[str] = set()
    places: set[str] = set()
    for text in texts:
        spec = parse_source(text)
        if (place := location(spec)) in places:
            raise ConfigError(f"{redact_url(spec.url)} is given twice; leave one out")
        places.add(place)
        name = unique_name(spec.name, taken)
        taken.add(name)
        specs.append(replace(spec, name=name))
        if not batch and spec.kind is SourceKind.FOLDER and spec.url not in only and (note := _videos_beside(spec.url)):
            notes.append(note)
        if not batch and spec.kind is SourceKind.FOLDER and holds_extracted_faces(spec.url):
            notes.append(
                f"{spec.url} holds faces that were extracted already, not photos: to crop them anew give the original "
                "to `facestream reextract`; `facestream alignments from-faces` makes alignments of them"
            )
    return Inputs(tuple(specs), only, tuple(notes))


def location(spec: SourceSpec) -> str:
    """A file's or folder's absolute path; a camera's URL without credentials."""
    return os.path.abspath(spec.url) if spec.kind.finite else redact_url(spec.url)


def _together(texts: Sequence[str]) -> tuple[list[str], dict[str, frozenset[str]]]:
    """Several pictures of one folder, as a shell makes of ``photos/*.jpg``, are that folder with these alone."""
    pictures: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        if _is_picture(text):
            pictures[os.path.dirname(text) or "."].add(os.path.basename(text))
    only = {folder: frozenset(names) for folder, names in pictures.items() if len(names) > 1}
    folders = [os.path.dirname(text) or "." if _is_picture(text) else None for text in texts]
    joined = [folder if folder in only else text for text, folder in zip(texts, folders)]
    first = [
        text
        for index, text in enumerate(joined)
        if folders[index] not in only or folders.index(folders[index]) == index
    ]
    return [text for text in first if text is not None], only


def _is_picture(text: str) -> bool:
    return Path(text).suffix.lower() in IMAGE_SUFFIXES and os.path.isfile(text)


def _batch(parent: str) -> list[str]:
    """The videos and the folders with pictures that ``parent`` holds, in natural order; a file is itself."""
    if not os.path.isdir(parent):
        return [parent]
    try:
        with os.scandir(parent) as entries:
            names = [entry.name for entry in entries if _is_input(entry)]
    except OSError as error:
        raise SourceUnavailable(
            f"can't read the folder {parent}: {error.strerror}; check the path and its rights"
        ) from error
    if not names:
        raise SourceFormatError(f"{parent} holds no videos and no folders with pictures; choose their parent folder")
    return [os.path.join(parent, name) for name in sorted(names, key=natural_key)]


def _is_input(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir():
        return holds(entry.path, IMAGE_SUFFIXES)
    return Path(entry.name).suffix.lower() in VIDEO_SUFFIXES


def _loose_pictures(parent: str) -> str | None:
    number = _number(parent, IMAGE_SUFFIXES)
    if not number:
        return None
    return f"{counted(number, 'picture')} in {parent} itself not looked at: give that folder without --batch-mode (-b)"


def _videos_beside(folder: str) -> str | None:
    videos = _number(folder, VIDEO_SUFFIXES)
    if not videos or not _number(folder, IMAGE_SUFFIXES):
        return None
    return f"{counted(videos, 'video')} in {folder} not looked at: add --batch-mode (-b), or name the video"


def _number(folder: str, suffixes: frozenset[str]) -> int:
    """How many of a folder's files have one of the suffixes; none where it can't be listed."""
    try:
        with os.scandir(folder) as entries:
            return sum(Path(entry.name).suffix.lower() in suffixes and entry.is_file() for entry in entries)
    except OSError:
        return 0


def instead_of_pictures(folder: str | Path) -> str:
    """What a folder without pictures holds, and how to have that read; "" where it holds nothing either."""
    videos = _number(os.fspath(folder), VIDEO_SUFFIXES)
    if videos:
        return f"{folder} holds {counted(videos, 'video')} and no pictures: add --batch-mode (-b)"
    try:
        with os.scandir(folder) as entries:
            nested = any(entry.is_dir() and _is_input(entry) for entry in entries)
    except OSError:
        return ""
    return f"{folder} holds folders of pictures, none itself: add --batch-mode (-b)" * nested
