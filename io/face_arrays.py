"""All that a frame's records know, as the dense arrays that models and sinks take.

A frame of an alignments file may hold faces with different masks and embeddings: a user removed one, or a tool ran over
some. They become one array a name in which the others' rows say that there is nothing (spec D6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from facestream.io.face_record import FaceAlignment, StoredMask, faces_of
from facestream.stream.joining import join_fields
from facestream.stream.types import Faces, Image, Masks

_LARGEST: Final = 256 << 20  # bytes of a frame's masks: 100 faces with 40 masks of 256 pixels


def whole_faces_of(records: Sequence[FaceAlignment]) -> Faces:
    """Boxes, landmarks, masks and embeddings of a frame's records, in their order; scores are 1.

    Masks of one name that were stored with different sizes all get the largest.

    Raises:
        ValueError: the faces' landmarks are of different layouts, a mask is damaged, masks of one name differ in
            their centering or embeddings of one name in their length, or the masks unfold to more than 256 MB.
    """
    sizes: dict[str, int] = {}
    for record in records:
        for name, mask in record.mask.items():
            sizes[name] = max(sizes.get(name, 0), mask.stored_size)
    if len(records) * sum(size**2 for size in sizes.values()) > _LARGEST:
        raise ValueError(f"its masks unfold to more than {_LARGEST >> 20} MB; store them smaller")
    plain = faces_of(records)
    if not records:
        return plain
    return Faces(**join_fields([_whole(plain, index, record, sizes) for index, record in enumerate(records)]))


def _whole(plain: Faces, index: int, record: FaceAlignment, sizes: dict[str, int]) -> Faces:
    face = Faces(**plain.face_fields(slice(index, index + 1)))
    face.masks = {name: _masks(mask, sizes[name]) for name, mask in record.mask.items()}
    face.identities = {name: row.astype(np.float32)[None] for name, row in record.identity.items()}
    return face


def _masks(stored: StoredMask, size: int) -> Masks:
    pixels: Image = stored.pixels()
    matrix = stored.matrix().copy()
    if stored.stored_size != size:
        pixels = np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
        matrix[:2] *= size / stored.stored_size
    return Masks(stored.stored_centering, matrix.astype(np.float32)[None], pixels[None])
