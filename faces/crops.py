"""Square crops of aligned faces: their geometry, the crops themselves, and crops out of crops (spec §8.4,
§8.5).

Matrices map pixel centres at whole numbers, as OpenCV and faceswap do.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import cv2
import numpy as np

from facestream.stream.types import Aligned, Doubles, Floats, Image, Ints

RATIOS: Final[dict[str, float]] = {"legacy": 0.375, "face": 0.5, "head": 0.625}
"""Centering → the share of a crop that is padding, both sides together."""


class Resampling(Enum):
    """How a crop is sampled."""

    BEST = "best"  # cubic up, linear a little down, the average over the area far down
    FACESWAP = "faceswap"  # linear up, cubic down, whatever the scale: faceswap's pixels (spec D21)


def padding(size: int, centering: str, coverage: float = 1.0) -> int:
    """Pixels between a crop's edge and the normalised square inside it.

    Args:
        coverage: the share of the centering's full square to show, > 0; 0.5 shows the middle half, enlarged.
    """
    return round(size * (RATIOS[centering] + coverage - 1) / (2 * coverage))


def crop_matrices(
    aligned: Aligned, size: int, centering: str = "head", *, coverage: float = 1.0, y_offset: float = 0.0
) -> Floats:
    """float32 (N, 3, 3), frame pixels → pixels of each face's crop.

    Args:
        size: the crop's edge in pixels.
        centering: "legacy" (the nose in the middle), "face" or "head" (the skull's middle).
        y_offset: moves the content, in normalised units (-1..1), down the crop.
    """
    margin = padding(size, centering, coverage)
    inner = size - 2 * margin
    matrices = aligned.matrices.astype(np.float64)
    matrices[:, :2, 2] -= aligned.offsets[centering]
    matrices[:, 1, 2] += y_offset
    matrices[:, :2] *= inner
    matrices[:, :2, 2] += margin
    return matrices.astype(np.float32)


def normalised_matrices(matrices: Floats, size: int, centering: str = "head", *, coverage: float = 1.0) -> Floats:
    """The reverse of :func:`crop_matrices`, but for the offset: frame pixels → the normalised square."""
    margin = padding(size, centering, coverage)
    result = matrices.astype(np.float64)
    result[:, :2, 2] -= margin
    result[:, :2] /= size - 2 * margin
    return result.astype(np.float32)


def enlarged(matrices: Floats, factor: float) -> Floats:
    """Frame pixels → pixels of a crop → pixels of the same crop at ``factor`` its size, edge on edge."""
    result = matrices.astype(np.float64)
    result[:, :2] *= factor
    result[:, :2, 2] += (factor - 1) / 2  # a pixel's centre is at a whole number
    return result.astype(np.float32)


def crop(image: Image, matrix: Floats, size: int, resampling: Resampling = Resampling.BEST) -> Image:
    """One crop, (size, size) with the image's channels; black outside the image.

    Args:
        image: uint8 (h, w) or (h, w, C), C at most 4.
        matrix: (3, 3), image pixels → crop pixels, one of :func:`crop_matrices`.

    Raises:
        ValueError: the matrix isn't finite.
    """
    if not np.isfinite(matrix).all():
        raise ValueError("a crop's matrix must be finite")
    if image.size == 0:
        return np.zeros((size, size, *image.shape[2:]), np.uint8)
    transform = matrix.astype(np.float64)
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    if resampling is Resampling.FACESWAP:
        return _warp(image, transform, size, cv2.INTER_LINEAR if scale > 1 else cv2.INTER_CUBIC)
    if scale >= 1:
        return _warp(image, transform, size, cv2.INTER_CUBIC)
    if scale > 0.5:
        return _warp(image, transform, size, cv2.INTER_LINEAR)
    return _warp_reduced(image, transform, size, int(min(1 / max(scale, 1e-9), *image.shape[:2])))


def _warp(image: Image, transform: Doubles, size: int, interpolation: int) -> Image:
    return np.asarray(cv2.warpAffine(image, transform[:2], (size, size), flags=interpolation), np.uint8)


def _warp_reduced(image: Image, transform: Doubles, size: int, factor: int) -> Image:
    """Average blocks of ``factor``² pixels, then warp what remains of the scale.

    warpAffine looks at 4 pixels whatever the scale (INTER_AREA means INTER_LINEAR to it), so fine detail
    aliases.
    """
    height, width = image.shape[:2]
    corners = _corners(transform, size)
    left, top = np.clip(np.floor(corners.min(axis=0)) - factor, 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + factor + 1, 0, (width, height)).astype(int)
    part = image[top:bottom, left:right]
    if part.size == 0 or factor < 2:
        return _warp(image, transform, size, cv2.INTER_LINEAR)
    missing = (-part.shape[0] % factor, -part.shape[1] % factor)
    whole = cv2.copyMakeBorder(part, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT)
    blocks = (whole.shape[1] // factor, whole.shape[0] // factor)
    reduced = np.asarray(cv2.resize(whole, blocks, interpolation=cv2.INTER_AREA), np.uint8)
    middle = (factor - 1) / 2  # of the first block, in pixels of the part
    enlarge = np.array([[factor, 0, left + middle], [0, factor, top + middle], [0, 0, 1]])
    return _warp(reduced, transform @ enlarge, size, cv2.INTER_LINEAR)


def _corners(transform: Doubles, size: int) -> Doubles:
    edge = size - 1
    corners = np.array([(0, 0, 1), (0, edge, 1), (edge, edge, 1), (edge, 0, 1)], np.float64)
    return (corners @ np.linalg.inv(transform).T)[:, :2]


def original_roi(matrix: Floats, size: int) -> Ints:
    """int32 (4, 2): the crop's corners in the frame: top left, bottom left, bottom right, top right."""
    return np.rint(_corners(matrix.astype(np.float64), size)).astype(np.int32)


def sub_crop_size(size: int, source: str, target: str, coverage: float = 1.0) -> int:
    """The edge of the square that ``target`` centering shows, in a crop of ``size`` in ``source``'s."""
    return 2 * round(size * (1 - RATIOS[source]) / (1 - RATIOS[target]) * coverage / 2)


def sub_crop(
    image: Image,
    offsets: dict[str, Floats],
    size: int,
    *,
    source: str = "head",
    target: str = "face",
    coverage: float = 1.0,
    y_offset: float = 0.0,
) -> Image:
    """A crop in another centering out of a crop, (size, size) with the image's channels; black outside the
    image.

    Args:
        image: uint8 (s, s) or (s, s, C), a face crop in ``source`` centering with full coverage.
        offsets: centering → (2,), this face's offsets.
    """
    edge = image.shape[0]
    wanted = sub_crop_size(edge, source, target, coverage)
    base = 2 * round(edge * (1 - RATIOS[source]) / 2)
    shift = np.asarray(offsets[target], np.float64) - offsets[source] - (0.0, y_offset)
    left, top = np.rint(shift * base + (edge - wanted) / 2).astype(int)
    cut = np.zeros((wanted, wanted, *image.shape[2:]), np.uint8)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + wanted, edge), min(top + wanted, edge)
    if x1 > x0 and y1 > y0:
        cut[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    if wanted == size:
        return cut
    interpolation = cv2.INTER_CUBIC if size > wanted else cv2.INTER_AREA
    return np.asarray(cv2.resize(cut, (size, size), interpolation=interpolation), np.uint8)
