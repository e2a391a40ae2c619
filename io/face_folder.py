"""A folder of face pictures that were there before: whose they are, and how they make way for others.

Only what was cut from the very frame gives way to its new pictures. All else is somebody's, and stays as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from facestream.errors import OutputError
from facestream.io.origin import Origin, is_unwritten, read_origin

FORMER: Final = "_former"
"""The sub-folder for pictures of faces that a new run hasn't found any more."""

_FACE_FILE: Final = re.compile(r"(?s)(.+)_([0-9]{1,3})\.png")


def face_file(stem: str, index: int) -> str:
    """The name of a frame's face picture."""
    return f"{stem}_{index}.png"


def parse_face_file(name: str) -> tuple[str, int] | None:
    """``clip_000001_2.png`` → ``clip_000001`` and 2; None for other names."""
    parts = _FACE_FILE.fullmatch(name)
    return None if parts is None else (parts[1], int(parts[2]))


def is_of(path: Path, origin: Origin) -> bool:
    """The picture may be replaced by a new one of that frame. Blocks.

    Raises:
        OutputError: it can't be read.
    """
    try:
        found = read_origin(path)
        return is_unwritten(path) if found is None else found.may_be(origin)
    except FileNotFoundError:
        return True  # nothing is in the way any more
    except OSError as error:
        raise OutputError(f"can't read {path}: {error.strerror}; choose another folder") from error


def refusal(path: Path, origin: Origin, others: int = 0) -> OutputError:
    """What to say of a picture that is in the way of one of ``origin``, and of so many others."""
    try:
        found = read_origin(path)
    except OSError:
        found = None
    more = f" (like {others} more)" if others else ""
    if found is None:
        why = f"is in the way and isn't a face of {origin.frame}"
    elif found.frame == origin.frame:
        why = f"is of another {origin.frame}, or of one that has changed since"
    else:
        why = f"is in the way and of another frame, {found.frame}"
    return OutputError(f"{path}{more} {why}; choose another output folder, or move it away")


def set_aside(folder: Path, names: Sequence[str]) -> int:
    """Move pictures into the folder's ``_former``, where none is overwritten; those that have gone needn't be moved.

    Returns:
        how many were moved.

    Raises:
        OutputError: one can't be moved.
    """
    moved = 0
    for name in names:
        try:
            os.makedirs(folder / FORMER, exist_ok=True)
            os.rename(folder / name, _free(folder / FORMER / name))
            moved += 1
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OutputError(f"can't move {folder / name} to {FORMER}: {error.strerror}; move it away") from error
    return moved


def _free(wanted: Path) -> Path:
    path, number = wanted, 2
    while os.path.lexists(path):
        path, number = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}"), number + 1
    return path


def holds_faces(folder: Path, names: Iterable[str]) -> bool:
    """The pictures called ``names``, or the first few of them, are faces that were extracted. Blocks."""
    looked = 0
    for name in sorted(names)[:3]:
        try:
            if not name.lower().endswith(".png") or read_origin(folder / name) is None:
                return False
        except OSError:
            return False
        looked += 1
    return looked > 0
