"""The face pictures in a folder, as their headers tell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any, Final

from facestream.errors import AlignmentsError, FaceHeaderError
from facestream.io.face_record import FaceAlignment
from facestream.io.faces import read_header
from facestream.io.fsa import check_name
from facestream.io.images import natural_key

_INDEXED: Final = re.compile(r"(?s)(.+)_\d+\.png")
_FIRST_CENTERED: Final = 2.2  # the version from which on masks say their centering


@dataclass(frozen=True, slots=True, eq=False)
class FacePicture:
    """One face on disk.

    Attributes:
        path: the file; users and the sort job may have given it any name.
        frame: the name of the frame that it was cut from.
        index: the face's place in that frame, by the header.
        original: the name that it was written under.
        is_video: the frame is a video's.
        version: of the alignments that it belongs to.
        face: box and landmarks; masks and identities only where they were asked for.
    """

    path: Path
    frame: str
    index: int
    original: str
    is_video: bool
    version: float
    face: FaceAlignment

    def name_at(self, index: int) -> str:
        """The name that it should have at a place in its frame: what stood before the index stays."""
        indexed = _INDEXED.fullmatch(self.original)
        return f"{indexed[1] if indexed else PurePath(self.frame).stem}_{index}.png"


def list_pictures(folder: Path) -> list[Path]:
    """The PNG files directly in a folder, in natural order.

    Raises:
        AlignmentsError: the folder can't be read.
    """
    try:
        names = [path for path in folder.iterdir() if path.suffix.lower() == ".png" and path.is_file()]
    except OSError as error:
        raise AlignmentsError(f"can't read the faces in {folder}: {error.strerror}; check -c") from error
    return sorted(names, key=lambda path: natural_key(path.name))


def read_pictures(paths: Iterable[Path], *, whole: bool = False) -> tuple[list[FacePicture], list[str]]:
    """The faces among the files, and a line for each file that is none.

    Args:
        whole: with masks and identities, which take most of the memory.
    """
    pictures: list[FacePicture] = []
    unreadable: list[str] = []
    for path in paths:
        try:
            pictures.append(read_picture(path, whole=whole))
        except FaceHeaderError as error:
            unreadable.append(str(error))
        except OSError as error:
            unreadable.append(f"{path}: can't be read: {error.strerror}")
    return pictures, unreadable


def read_picture(path: Path, *, whole: bool = False) -> FacePicture:
    """One face.

    Raises:
        FaceHeaderError: it has no header that can be trusted; names the file.
        OSError: the file can't be read.
    """
    header = read_header(path)
    source: dict[str, Any] = header["source"]
    try:
        for name in (source["source_filename"], source["original_filename"]):
            _check_file_name(name)
        if source["face_index"] < 0:
            raise ValueError("the header's face_index is negative")
        fields = _upgraded(header["alignments"], source["alignments_version"])
        face = FaceAlignment.from_dict(fields if whole else fields | {"mask": {}, "identity": {}})
    except (AlignmentsError, ValueError) as error:
        raise FaceHeaderError(f"{path}: {error}") from None
    return FacePicture(
        path,
        source["source_filename"],
        source["face_index"],
        source["original_filename"],
        source["source_is_video"],
        float(source["alignments_version"]),
        face,
    )


def _check_file_name(name: str) -> None:
    """The text is untrusted, and jobs make paths of it."""
    check_name(name)
    if PureWindowsPath(name).name != name:
        raise ValueError(f"the header has the impossible file name {name[:60]!a}")


def _upgraded(fields: dict[str, Any], version: float) -> dict[str, Any]:
    if version < _FIRST_CENTERED:
        for mask in fields["mask"].values():
            if isinstance(mask, dict):
                mask.setdefault("stored_centering", "face")
    return fields
