"""Folders that hold what jobs have made, so that nobody takes it for something to read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from facestream.io.face_folder import holds_faces
from facestream.io.urls import IMAGE_SUFFIXES

_DRAWN: Final = re.compile(r"drawn_landmarks_\d{4}-.*")  # what the draw job makes


def is_drawn(name: str) -> bool:
    """A file or folder of this name is what ``alignments draw`` makes."""
    return _DRAWN.fullmatch(name) is not None


def holds_extracted_faces(folder: str | os.PathLike[str]) -> bool:
    """The folder's pictures are faces that were extracted. Looks into a few of them; False if they can't be read."""
    try:
        names = [name for name in os.listdir(folder) if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    except OSError:
        return False
    return holds_faces(Path(folder), names)


def is_result(path: str | os.PathLike[str]) -> bool:
    """It is drawn frames or a folder of extracted faces."""
    return is_drawn(os.path.basename(path)) or (os.path.isdir(path) and holds_extracted_faces(path))
