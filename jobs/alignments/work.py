"""What an alignments job works on: a file, perhaps with its frames and its folder of faces; one, or a batch of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facestream.errors import ConfigError
from facestream.io.alignments import alignments_beside, alignments_path, alignments_paths, has_alignments
from facestream.io.fsa import SUFFIX
from facestream.io.images import holds, natural_key
from facestream.io.urls import IMAGE_SUFFIXES, VIDEO_SUFFIXES, SourceKind, default_name
from facestream.jobs.result_folders import is_result

_BACKUP: Final = re.compile(r".*_bk_\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d(\(\d+\))?")


@dataclass(frozen=True, slots=True)
class Work:
    """One input of a job.

    Attributes:
        given: the alignments file; None where none was asked for and there are no frames to find it by.
        faces: a folder of face pictures.
        frames: a video, a picture or a folder of pictures.
    """

    given: Path | None = None
    faces: Path | None = None
    frames: Path | None = None

    @property
    def alignments(self) -> Path:
        """The alignments file.

        Raises:
            ConfigError: nothing tells where it is.
        """
        if self.given is None:
            raise ConfigError("no alignments file: give it with -a, or with -r the frames that it lies beside")
        return self.given

    @property
    def needed_frames(self) -> Path:
        """The frames.

        Raises:
            ConfigError: none were given.
        """
        if self.frames is None:
            raise ConfigError("no frames: give the video or the folder of pictures with -r")
        return self.frames

    @property
    def needed_faces(self) -> Path:
        """The folder of faces.

        Raises:
            ConfigError: none was given.
        """
        if self.faces is None:
            raise ConfigError("no faces: give the folder of face pictures with -c")
        return self.faces

    def __str__(self) -> str:
        return str(self.frames or self.given or self.faces)


def one_work(alignments: Path | None, faces: Path | None, frames: Path | None) -> Work:
    """The work that the options name; a file that isn't named lies beside the frames, as faceswap has it."""
    if alignments is None and frames is not None:
        alignments = alignments_beside(frames)
    elif alignments is not None and not alignments.is_dir():  # from-faces takes a folder
        alignments = alignments_path(alignments, alignments, folder=False)
    return Work(alignments, faces, frames)


def batch_of_works(alignments: Path | None, faces: Path | None, frames: Path | None) -> list[Work]:
    """The works in the folders that the options name, by name.

    ``frames`` holds videos and folders of pictures; each has its file in ``alignments``, or where faceswap puts it,
    and its faces in a folder of its own name in ``faces``. Without ``frames`` there's a work for each file in
    ``alignments``, or else for each folder in ``faces``.

    Raises:
        ConfigError: an option isn't a folder, or there's nothing in it.
    """
    for option, folder in (("-a", alignments), ("-c", faces), ("-r", frames)):
        if folder is not None and not folder.is_dir():
            raise ConfigError(
                f"{option} {folder} isn't a folder; with --batch-mode give the folder that holds them all"
            )
    if frames is not None:
        works = _works_of_frames(frames, alignments, faces)
    elif alignments is not None:
        works = [
            Work(file, _folder_of(file.stem.removesuffix("_alignments"), faces))
            for file in _entries(alignments)
            if file.suffix == SUFFIX and not is_backup(file)
        ]
    elif faces is not None:
        works = [Work(None, folder) for folder in _entries(faces) if folder.is_dir() and _faces_in(folder)]
    else:
        raise ConfigError("--batch-mode needs the folder that holds the inputs: give -a, -c or -r")
    if not works:
        raise ConfigError(f"there's no input in {frames or alignments or faces}; check the folder")
    return works


def _works_of_frames(frames: Path, alignments: Path | None, faces: Path | None) -> list[Work]:
    inputs = inputs_in(frames)
    beside = alignments_paths([(path, path.is_dir()) for path in inputs])
    works = []
    for path, file in zip(inputs, beside):
        name = path.name if path.is_dir() else path.stem
        if alignments is not None:
            here = [alignments / f"{stem}{SUFFIX}" for stem in (f"{name}_alignments", f"{path.name}_alignments", name)]
            file = next(filter(has_alignments, here), here[0])
        works.append(Work(file, _folder_of(name, faces), path))
    return works


def _folder_of(name: str, faces: Path | None) -> Path | None:
    """An input's folder of faces: of its name, or of the one that a source of that name gets."""
    if faces is None:
        return None
    safe = faces / default_name(name, SourceKind.FOLDER)
    return safe if safe.is_dir() and not (faces / name).is_dir() else faces / name


def is_backup(file: Path) -> bool:
    """The file is what a job has kept of a former alignments file."""
    return _BACKUP.fullmatch(file.stem) is not None


def inputs_in(folder: Path) -> list[Path]:
    """The videos in a folder and the folders in it that hold a picture, by name."""
    return [
        path
        for path in _entries(folder)
        if not is_result(path)
        and (path.suffix.lower() in VIDEO_SUFFIXES or (path.is_dir() and holds(path, IMAGE_SUFFIXES)))
    ]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
    except OSError as error:
        raise ConfigError(f"can't read the folder {folder}: {error.strerror}; check its rights") from error


def _faces_in(folder: Path) -> bool:
    return holds(folder, {".png"})
