"""Face pictures as frames of their own, and back.

A picture that extraction wrote goes into a chain as a frame that shows one face, its landmarks in the picture's own
pixels. Models that look at faces then see no difference: the matrices that landmarks imply take care of the rest, and
the crop out of the crop (spec §4.4) is a crop like any other. What was found is put back into the pixels of the frame
that the picture was cut from with :func:`restored`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from facestream.faces.aligned import align, transform
from facestream.faces.crops import crop_matrices
from facestream.stream.types import Doubles, Extracted, Faces, Floats, Frame, FrameFaces, Masks


def picture_matrix(landmarks: Floats, size: int, centering: str = "head") -> Doubles:
    """float64 (3, 3), pixels of the frame → pixels of the picture that extraction cuts for a face.

    Args:
        landmarks: (M, 2), frame pixels.
        size: the picture's edge.
        centering: of the picture; "legacy" for those of faceswap before 2.0.
    """
    return np.asarray(crop_matrices(align(landmarks[None]), size, centering)[0], np.float64)


def extracted_face(
    frame: Frame,
    known: Faces,
    frame_size: tuple[int, int],
    *,
    source: dict[str, Any] | None = None,
    centering: str = "head",
) -> FrameFaces:
    """A face picture with what its header knows, ready for a chain that begins with a mask or identity model.

    Args:
        frame: its image is the whole picture, square.
        known: the one face, in pixels of the frame that the picture was cut from: box, landmarks, perhaps masks and
            identities.
        frame_size: (width, height) of that frame.
        source: the header's account of that frame; comes along unchanged.
        centering: of the picture.

    Raises:
        ValueError: the picture isn't square, there isn't one face, or it has no landmarks.
    """
    width, height = frame.size
    if width != height or not width:
        raise ValueError(f"{frame.name or frame.source} isn't a face picture: {width}x{height} isn't square")
    if len(known) != 1 or known.landmarks is None:
        raise ValueError(f"{frame.name or frame.source}: a face picture has one face with landmarks")
    matrix = picture_matrix(known.landmarks[0], width, centering)
    origin = Extracted(matrix, frame_size, known.boxes[0], source or {})
    return FrameFaces(frame=replace(frame, extracted=origin), **moved(known, matrix).face_fields(slice(None)))


def restored(faces: FrameFaces) -> Faces:
    """What is known of a face picture's face, in pixels of the frame that the picture was cut from.

    Raises:
        ValueError: the frame isn't a face picture.
    """
    origin = faces.frame.extracted
    if origin is None:
        raise ValueError(f"{faces.frame} isn't a face picture")
    back = moved(faces, np.asarray(np.linalg.inv(origin.matrix), np.float64))
    back.boxes = np.repeat(origin.box[None], len(back), axis=0)
    return back


def moved(faces: Faces, matrix: Doubles) -> Faces:
    """The same faces in other pixels. A box becomes the level box around its turned corners; what landmarks imply is
    left out, to be derived anew.

    Args:
        matrix: (3, 3), the pixels that ``faces`` are in → the others.
    """
    fields = faces.face_fields(slice(None))
    corners = _through(matrix, faces.boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
    fields["boxes"] = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    for name in ("points", "landmarks"):
        if fields[name] is not None:
            fields[name] = _through(matrix, fields[name])
    inverse = np.linalg.inv(matrix)
    fields["masks"] = {
        name: Masks(masks.centering, (masks.matrices @ inverse).astype(np.float32), masks.masks)
        for name, masks in faces.masks.items()
    }
    fields["aligned"] = None
    return Faces(**fields)


def _through(matrix: Doubles, points: Floats) -> Floats:
    return transform(np.broadcast_to(matrix, (len(points), 3, 3)), points).astype(np.float32)
