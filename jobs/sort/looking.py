"""What is known of one picture: read from its header and measured on its pixels. Blocks: for CPU workers."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from facestream.errors import FaceHeaderError, SourceError
from facestream.faces import picture_measures as measures
from facestream.faces.aligned import align, average_distances, face_sizes, normalised, solved, transform
from facestream.faces.extracted import picture_matrix
from facestream.faces.landmarks import to_68
from facestream.io.faces import read_header
from facestream.io.images import read_image
from facestream.jobs.sort.methods import Method, Need
from facestream.jobs.sort.plan import Picture
from facestream.stream.types import Bools, Floats, Image

Measure: TypeAlias = "float | Floats"

NOT_EXTRACTED: Final = "has no header of an extracted face"

_NUMBERED: Final = re.compile(r"(?s)[0-9]{6,}_(.+)")  # how sorting names a picture
_LEGACY_UNTIL: Final = 2.0  # pictures of older files have the nose in the middle
_POSE: Final = ("pitch", "yaw", "roll")


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A picture that can be sorted.

    Attributes:
        picture: with the name it had before it was sorted, as far as it tells that itself.
        measures: measure → number or vector; "face" is missing where the embedding has to be computed.
    """

    picture: Picture
    measures: dict[str, Measure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Left:
    """A picture that stays where it is; the reason is one line without its name."""

    picture: Picture
    reason: str


def look(picture: Picture, methods: Collection[Method], embedding: str) -> Looked | Left:
    """Measure what ``methods`` need.

    Args:
        embedding: the name under which the identity model's embeddings are stored.
    """
    path = picture.path
    try:
        header = _header(path)
        found = Looked(replace(picture, name=_own_name(path, header)))
        needs = {method.need for method in methods}
        if header is None and needs & {Need.LANDMARKS, Need.EMBEDDING}:
            return Left(picture, NOT_EXTRACTED)
        points = None if header is None else np.array(header["alignments"]["landmarks_xy"], np.float32)
        wanted = {method.measure for method in methods}
        if Need.LANDMARKS in needs:
            assert points is not None
            found.measures.update(_of_landmarks(points, wanted))
        if Need.EMBEDDING in needs and header is not None and embedding in header["alignments"]["identity"]:
            found.measures["face"] = _embedding(header["alignments"]["identity"][embedding])
        if Need.PIXELS in needs:
            image = read_image(path)
            mask = None if header is None or points is None else _face_pixels(image, points, header)
            found.measures.update(_of_pixels(image, mask, wanted))
    except (OSError, SourceError) as error:
        return Left(picture, f"can't be read: {getattr(error, 'strerror', None) or 'it is damaged or no picture'}")
    except ValueError as error:
        return Left(picture, str(error))
    return found


def _header(path: Path) -> dict[str, Any] | None:
    try:
        return read_header(path)
    except FaceHeaderError:
        return None


def _own_name(path: Path, header: dict[str, Any] | None) -> str:
    """Without the number that a sort put before it: faceswap's, or ours in a folder that has lost its record."""
    numbered = _NUMBERED.fullmatch(path.name)
    if numbered is not None and header is not None and header["source"]["original_filename"] == numbered[1]:
        return numbered[1]
    return path.name


def _of_landmarks(points: Floats, wanted: set[str]) -> dict[str, Measure]:
    aligned = align(points[None])
    if len(points) not in (68, 98) or not solved(aligned)[0]:
        raise ValueError("has no 68 landmarks that make a face")
    core = to_68(points)[None]
    values: dict[str, Measure] = dict(zip(_POSE, map(float, aligned.pose[0])))
    values["distance"] = float(average_distances(aligned.matrices, core)[0])
    values["size"] = float(face_sizes(aligned.matrices)[0])
    values["face-cnn"] = normalised(aligned, points[None])[0].ravel().astype(np.float32)
    return {name: value for name, value in values.items() if name in wanted}


def _face_pixels(image: Image, points: Floats, header: dict[str, Any]) -> Bools | None:
    """The face's own pixels; None where picture and landmarks don't fit together."""
    height, width = image.shape[:2]
    if height != width or len(points) < 51:
        return None
    centering = "legacy" if header["source"]["alignments_version"] < _LEGACY_UNTIL else "head"
    placed = transform(picture_matrix(points, width, centering)[None], points[None])[0]
    return measures.face_pixels(placed.astype(np.float32), height, width)


def _of_pixels(image: Image, mask: Bools | None, wanted: set[str]) -> dict[str, Measure]:
    values: dict[str, Measure] = {}
    if "blur" in wanted:
        values["blur"] = measures.sharpness(image, mask)
    if "blur-fft" in wanted:
        values["blur-fft"] = measures.fft_sharpness(image)
    if "hist" in wanted:
        values["hist"] = measures.histogram(image, mask)
    if "color-black" in wanted:
        values["color-black"] = measures.black_share(image)
    if "color-gray" in wanted:
        values["color-gray"] = measures.grey_level(image, mask)
    if wanted & {"color-luma", "color-green", "color-orange"}:
        luma, green, orange = map(float, measures.ycgco(image, mask))
        values |= {"color-luma": luma, "color-green": green, "color-orange": orange}
    return {name: value for name, value in values.items() if name in wanted}


def _embedding(stored: Any) -> Floats:
    """The header's numbers.

    Raises:
        ValueError: they aren't one row of finite numbers.
    """
    row = np.asarray(stored, np.float32)
    if row.ndim != 1 or not len(row) or not np.isfinite(row).all():
        raise ValueError("has a damaged embedding in its header")
    return row
