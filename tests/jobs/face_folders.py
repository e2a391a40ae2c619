"""Folders of extracted face pictures, small and made in no time, with the frames and alignments that they are of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facestream.faces.aligned import align
from facestream.faces.crops import crop, crop_matrices
from facestream.io.alignments import Alignments
from facestream.io.face_record import FrameEntry, records_of
from facestream.io.faces import face_header, with_header
from facestream.stream.types import Frame, FrameFaces, Image
from facestream.testing.plugins import FACE_68, in_boxes

SIZE = (160, 120)
EDGE = 64


def picture(number: int) -> Image:
    return np.random.default_rng(number).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)


def frame_with_faces(number: int, faces: int = 1, *, name: str | None = None) -> FrameFaces:
    """A frame's faces, each frame's a pixel further to the right than the one's before."""
    boxes = np.array([(20 + number + 60 * i, 30, 60 + number + 60 * i, 80) for i in range(faces)], np.float32)
    frame = Frame("clip", 0, number, number / 25, 0.0, picture(number), name=name)
    return FrameFaces(
        frame=frame,
        boxes=boxes.reshape(-1, 4),
        scores=np.ones(faces, np.float32),
        landmarks=in_boxes(FACE_68, boxes.reshape(-1, 4)) if faces else None,
    )


def save_faces(folder: Path, faces: FrameFaces, stem: str) -> list[Path]:
    """The frame's face pictures, as extract writes them."""
    paths = []
    for index in range(len(faces)):
        assert faces.landmarks is not None
        matrix = crop_matrices(align(faces.landmarks), EDGE)[index]
        _, png = cv2.imencode(".png", crop(faces.frame.image, matrix, EDGE))
        paths.append(folder / f"{stem}_{index}.png")
        paths[-1].write_bytes(with_header(png.tobytes(), face_header(faces, index, stem)))
    return paths


def folder_of_faces(folder: Path, counts: list[int]) -> list[Path]:
    """Face pictures of frames of a folder of pictures, which have so many faces each: ``img00_0.png``, …"""
    folder.mkdir(parents=True, exist_ok=True)
    frames = [frame_with_faces(number, count, name=f"img{number:02}.png") for number, count in enumerate(counts)]
    return [path for number, faces in enumerate(frames) for path in save_faces(folder, faces, f"img{number:02}")]


def folder_of_frames(folder: Path, counts: list[int]) -> Path:
    """The frames of :func:`folder_of_faces` themselves; returns their alignments file."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for number, count in enumerate(counts):
        faces = frame_with_faces(number, count, name=f"img{number:02}.png")
        cv2.imwrite(str(folder / f"img{number:02}.png"), faces.frame.image)
        entries[f"img{number:02}.png"] = FrameEntry(records_of(faces))
    file = folder / "alignments.fsa"
    Alignments(file, entries).save(None)
    return file
