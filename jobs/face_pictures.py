"""Extracted face pictures as frames for a chain that begins with a mask or identity model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facestream.errors import AlignmentsError, FaceHeaderError
from facestream.faces.extracted import extracted_face
from facestream.io.face_arrays import whole_faces_of
from facestream.io.face_record import FaceAlignment
from facestream.io.faces import read_header
from facestream.io.images import read_image
from facestream.stream.types import Frame, FrameFaces

_LEGACY_UNTIL = 2.0  # pictures of older files have the nose in the middle


def read_face_picture(path: Path, *, source: str, seq: int, whole: bool = True) -> FrameFaces:
    """One picture with all that its header knows, in the picture's own pixels; see :mod:`facestream.faces.extracted`.

    Blocks: for a CPU worker.

    Args:
        source: the name of the folder's source.
        seq: the picture's number in it.
        whole: with masks and embeddings; without, those that are damaged don't matter.

    Raises:
        FaceHeaderError: there is no header that can be trusted, or it and the picture don't fit; names the file.
        SourceFormatError: the picture can't be decoded.
        OSError: the file can't be read.
    """
    header = read_header(path)
    origin: dict[str, Any] = header["source"]
    height, width = origin["source_frame_dims"]
    image = read_image(path)
    frame = Frame(source, 0, seq, float(seq), path.stat().st_mtime, image, name=path.name)
    centering = "legacy" if origin["alignments_version"] < _LEGACY_UNTIL else "head"
    try:
        fields = header["alignments"] | ({} if whole else {"mask": {}, "identity": {}})
        known = whole_faces_of([FaceAlignment.from_dict(fields)])
        return extracted_face(frame, known, (width, height), source=origin, centering=centering)
    except (AlignmentsError, ValueError) as error:
        raise FaceHeaderError(f"{path}: {error}") from error
