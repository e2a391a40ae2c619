"""What mask and identity models see: each face of a batch, cut out in the model's own centering (spec §4.4, §9.1)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facestream.faces.crops import Resampling, crop, crop_matrices, original_roi
from facestream.stream.types import Doubles, ExtractBatch, Floats, Frame, Image


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """N faces.

    Attributes:
        pixels: uint8 BGR (N, size, size, 3).
        matrices: float32 (N, 3, 3), frame pixels → patch pixels.
        inside: uint8 (N, size, size), 255 where a patch shows the frame and 0 where that has ended, soft in between.
            Of a face picture: of the frame that it was cut from.
    """

    pixels: Image
    matrices: Floats
    inside: Image


def cut_patches(
    batch: ExtractBatch, size: int, centering: str = "face", *, resampling: Resampling = Resampling.BEST
) -> Patches:
    """Every face of ``batch``. Black outside a frame; a face picture goes on as its edge is (spec §4.4).

    Args:
        batch: with its aligned view.
        size: the patches' edge in pixels.
        centering: "legacy", "face" or "head".

    Raises:
        ValueError: the faces have no landmarks.
    """
    if not len(batch):
        return patches_at(batch, np.zeros((0, 3, 3), np.float32), size)
    if batch.aligned is None:
        raise ValueError("faces are cut out by their landmarks, and these have none: run an aligner first")
    return patches_at(batch, crop_matrices(batch.aligned, size, centering), size, resampling=resampling)


def patches_at(
    batch: ExtractBatch, matrices: Floats, size: int, *, resampling: Resampling = Resampling.BEST
) -> Patches:
    """The same, cut out by any matrices, for models that place faces in a way of their own.

    Args:
        matrices: float32 (N, 3, 3), frame pixels → patch pixels.
    """
    if not len(batch):
        return Patches(np.zeros((0, size, size, 3), np.uint8), matrices, np.zeros((0, size, size), np.uint8))
    owners = [batch.frames[i] for i in batch.frame_ids]
    pixels = np.stack([_pixels(frame, matrix, size, resampling) for frame, matrix in zip(owners, matrices)])
    return Patches(pixels, matrices, inside_at(batch, matrices, size))


def inside_at(batch: ExtractBatch, matrices: Floats, size: int) -> Image:
    """:class:`Patches`' ``inside`` alone: uint8 (N, size, size)."""
    found = np.zeros((len(batch), size, size), np.uint8)
    for index, (owner, matrix) in enumerate(zip(batch.frame_ids, matrices)):
        found[index] = _inside(batch.frames[owner], matrix, size)
    return found


def _pixels(frame: Frame, matrix: Floats, size: int, resampling: Resampling) -> Image:
    image = frame.image
    margin = _overlap(matrix, size, frame.size) if frame.extracted is not None else 0
    if not margin:
        return crop(image, matrix, size, resampling)
    image = np.asarray(cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE), np.uint8)
    shift = np.array([[1, 0, -margin], [0, 1, -margin], [0, 0, 1]], np.float64)
    return crop(image, (matrix @ shift).astype(np.float32), size, resampling)


def _inside(frame: Frame, matrix: Floats, size: int) -> Image:
    whole, edges = matrix.astype(np.float64), frame.size
    if frame.extracted is not None:
        whole, edges = whole @ frame.extracted.matrix, frame.extracted.size
    if not _overlap(whole, size, edges):
        return np.full((size, size), 255, np.uint8)
    return crop(np.full(edges[::-1], 255, np.uint8), whole.astype(np.float32), size)


def _overlap(matrix: Floats | Doubles, size: int, edges: tuple[int, int]) -> int:
    """Pixels by which the patch reaches over an image of ``edges`` (w, h), and two for the kernel; 0 if it doesn't.

    At most the image's longer edge: what lies further out is far from any face.
    """
    corners = original_roi(np.asarray(matrix, np.float32), size)
    over = max(0, *(-corners).max(axis=0), *(corners - np.array(edges) + 1).max(axis=0))
    return min(int(over) + 2, max(edges)) if over else 0
