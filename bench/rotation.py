"""Faces in photos turned by 90, 180 and 270°, with and without the rotation search. Skips without the data.

A face counts as found when a box overlaps the box of its 68 points by an IoU of 0.2 or more and the detector's five
points lie on average within a quarter of the outer-eye distance of their places: a box around a face whose eyes were
taken for its mouth is no detection.

python bench/rotation.py [DETECTOR …]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from data import PointsPhoto, data_folder, ibug68, read_bgr
from report import report

from facestream.plugins import registry
from facestream.plugins.detect.rotation import RotatingDetector, parse_angles
from facestream.plugins.detect.turn import Turn
from facestream.plugins.nms import box_iou
from facestream.stream.types import Detections, Detector

TURNS = (0, 90, 180, 270)
MOST_LOST = 0.05


def rows(photos: Sequence[PointsPhoto], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        detector = registry.create("detect", name)
        detector.load("cpu")
        upright = sum(found(detector, photo, 0) for photo in photos)
        for degrees in TURNS:
            rotating = RotatingDetector(detector, parse_angles("90"))
            plain = sum(found(detector, photo, degrees) for photo in photos)
            searched = sum(found(rotating, photo, degrees) for photo in photos)
            yield {
                "detector": name,
                "turned by": degrees,
                "faces": sum(len(photo.points) for photo in photos),
                "upright": upright,
                "turned": plain,
                "with --rotate-images 90": searched,
                "lost": round(1 - searched / upright, 4),
                "photos searched": rotating.statistics().searched,
            }


def found(detector: Detector, photo: PointsPhoto, degrees: int) -> int:
    """How many of the photo's faces ``detector`` finds in it when it is turned."""
    image = read_bgr(photo.path)
    turn = Turn.of(image, degrees)
    truth = (photo.points @ turn.linear.T + turn.matrix[:, 2]).astype(np.float32)
    feed = detector.pre_process([turn.image(image)])
    (seen,) = detector.post_process(detector.infer(feed), feed)
    return int(hits(truth, seen).sum())


def hits(truth: np.ndarray, seen: Detections) -> np.ndarray:
    if not len(seen.boxes):
        return np.zeros(len(truth), bool)
    iou = box_iou(np.concatenate([truth.min(axis=1), truth.max(axis=1)], 1), seen.boxes)
    close = iou.max(axis=1) >= 0.2
    if seen.points is None:
        return close
    five = np.stack([truth[:, i].mean(axis=1) for i in (range(36, 42), range(42, 48), [30], [48], [54])], 1)
    eyes = np.linalg.norm(truth[:, 45] - truth[:, 36], axis=1)
    error = np.linalg.norm(seen.points[iou.argmax(axis=1)] - five, axis=2).mean(axis=1)
    return close & (error < 0.25 * eyes)


def main(names: Sequence[str]) -> int:
    folder = data_folder()
    if folder is None:
        print("rotation: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    photos = ibug68(folder / "landmarks" / "300w_dev")
    measured = list(rows(photos, names or ("yunet", "centerface", "retinaface-mnet", "mtcnn")))
    report("rotation", measured, f"{len(photos)} 300-W photos, turned")
    return int(any(row["lost"] > MOST_LOST for row in measured))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
