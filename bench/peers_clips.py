"""The frames that programs are compared on, and how right what they find is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from accuracy import counted
from data import FacesPhoto, data_folder, read_bgr, wider
from peers_processes import Faces, Frames

from facestream.jobs.demo import demo_video
from facestream.plugins.nms import box_iou

PART = 6  # frames of a clip that a program gets in its turn


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Frames in parts of one size each.

    Attributes:
        name: for tables.
        parts: frames (n, h, w, 3).
        people: how many are in every frame, where nobody drew boxes; None where there is no truth or a better one.
        photos: each frame's boxes, where somebody drew them.
    """

    name: str
    parts: Sequence[Frames]
    people: int | None = None
    photos: Sequence[FacesPhoto] = ()

    def recall(self, faces: Sequence[Faces], least_iou: float = 0.5) -> float | None:
        """The share of the faces that were found. With a number of people only, how many are found, up to that."""
        if self.photos:
            found, _ = self._judged(faces, least_iou)
            return found / sum(int(counted(photo).sum()) for photo in self.photos)
        if self.people is None:
            return None
        return sum(min(len(each), self.people) for each in faces) / (self.people * len(faces))

    def wrong(self, faces: Sequence[Faces], least_iou: float = 0.5) -> int | None:
        """Boxes on no face; None without drawn boxes."""
        return self._judged(faces, least_iou)[1] if self.photos else None

    def _judged(self, faces: Sequence[Faces], least_iou: float) -> tuple[int, int]:
        found = wrong = 0
        for photo, each in zip(self.photos, faces):
            pairs = matched(photo.boxes, each[:, :4], least_iou)
            found += sum(bool(counted(photo)[truth]) for truth, _, _ in pairs)
            wrong += len(each) - len(pairs)
        return found, wrong


def matched(ours: Faces, theirs: Faces, least_iou: float) -> list[tuple[int, int, float]]:
    """Pairs of boxes, each in one pair at most, the best overlap first: index, index, IoU."""
    if not len(ours) or not len(theirs):
        return []
    iou = box_iou(np.asarray(ours, np.float32), np.asarray(theirs, np.float32))
    pairs = []
    while iou.max() >= least_iou:
        row, column = np.unravel_index(iou.argmax(), iou.shape)
        pairs.append((int(row), int(column), float(iou[row, column])))
        iou[row], iou[:, column] = -1, -1
    return pairs


def demo(frames: int) -> Clip:
    return Clip("demo, 640×360", parts_of(demo_video(), frames), people=1)


def three_people(frames: int) -> Clip | None:
    """One of whom hides behind another for half a dozen of its 702 frames."""
    path = _video("multi_face.avi")
    return path and Clip("multi_face, 640×480", parts_of(path, frames), people=3)


def crowd(frames: int, width: int = 1920) -> Clip | None:
    path = _video("facenet_crowd_1080p.mp4")
    return path and Clip(f"crowd, {width}×{width * 9 // 16}", parts_of(path, frames, width))


def photos(count: int | None = None) -> Clip | None:
    """WIDER FACE's. Faces of at least 20 pixels count."""
    folder = data_folder()
    if folder is None:
        return None
    chosen = wider(folder / "detection" / "wider_val" / "dev")[:count]
    return Clip(f"{len(chosen)} WIDER photos", [read_bgr(photo.path)[None] for photo in chosen], photos=chosen)


def parts_of(path: Path, frames: int, width: int | None = None) -> list[Frames]:
    """``frames`` of a video from all over it, in parts of :data:`PART`; scaled to ``width`` where that is given."""
    chosen = list(_spread(path, frames))
    if width is not None and width != chosen[0].shape[1]:
        size = (width, chosen[0].shape[0] * width // chosen[0].shape[1])
        chosen = [np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8) for image in chosen]
    return [np.stack(chosen[first : first + PART]) for first in range(0, len(chosen), PART)]


def _spread(path: Path, frames: int) -> Iterator[Frames]:
    """Runs of :data:`PART` frames that follow one another, the runs evenly apart: a tracker sees motion, not jumps."""
    with av.open(str(path)) as container:
        images = [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]
    runs = max(1, min(frames, len(images)) // PART)
    for run in range(runs):
        first = run * (len(images) - PART) // max(1, runs - 1)
        yield from images[first : first + PART]


def _video(name: str) -> Path | None:
    folder = data_folder()
    return folder / "video" / name if folder else None
