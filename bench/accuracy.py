"""How good the models are: AP on WIDER FACE photos, landmark error on 300-W photos. Skips without the data.

Detection: IoU 0.5, WIDER FACE's protocol (Yang et al. 2016): a detection whose best match is a face that
doesn't count (invalid, or below 20 px of height) is left out, a second one on the same face is wrong. AP is
the area under the precision envelope.

Landmarks: mean point error over the distance between the outer eye corners (NME). Each annotated face is
matched with the detection whose box overlaps the box of its points most; one without a detection at IoU 0.2
counts as missed, and is given to the aligner with the box of its points, so that every face is measured.

``python bench/run.py accuracy`` runs this and what measures masks, identities, clustering, covered faces and tracking.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from data import FacesPhoto, Floats, PointsPhoto, data_folder, ibug68, read_bgr, wider
from report import report

from facestream.plugins import registry
from facestream.plugins.nms import box_iou
from facestream.stream.types import Detections, Detector, ExtractBatch, FacePlugin, Frame

LEAST_HEIGHT = 20  # px: smaller faces don't count, as the figures to compare with were measured
PARTS = {
    "jaw": range(17),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "eyes": range(36, 48),
    "mouth": range(48, 68),
    "core 51": range(17, 68),
    "all 68": range(68),
}


def detection_rows(photos: Sequence[FacesPhoto], device: str) -> Iterator[dict[str, Any]]:
    for name in registry.names("detect"):
        for size in (640, 1024):
            detector = registry.create("detect", name, size=size, threshold=0.02)
            detector.load(device)
            found = [detect(detector, read_bgr(photo.path)) for photo in photos]
            yield {"detector": name, "long side": size, "AP": average_precision(photos, found)}


def detect(detector: Detector, image: np.ndarray) -> Detections:
    feed = detector.pre_process([image])
    return detector.post_process(detector.infer(feed), feed)[0]


def average_precision(photos: Sequence[FacesPhoto], found: Sequence[Detections]) -> float:
    """AP at IoU 0.5 over all photos together."""
    judged = [judge(photo, detections) for photo, detections in zip(photos, found)]
    scores, right = (np.concatenate(parts) for parts in zip(*judged))
    right = right[np.argsort(-scores, kind="stable")]
    faces = sum(int(counted(photo).sum()) for photo in photos)
    recall = np.cumsum(right) / faces
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def judge(photo: FacesPhoto, found: Detections) -> tuple[Floats, Floats]:
    """Score and 1 or 0 of every detection that counts, best first."""
    if not len(found.boxes) or not len(photo.boxes):
        return found.scores, np.zeros(len(found.scores), np.float32)
    iou = box_iou(found.boxes, photo.boxes)
    best = iou.argmax(axis=1)
    hit = iou.max(axis=1) >= 0.5
    ignored = hit & ~counted(photo)[best]
    first = np.zeros(len(best), bool)
    hits = np.flatnonzero(hit)
    first[hits[np.unique(best[hits], return_index=True)[1]]] = True  # of several on one face, the best
    return found.scores[~ignored], (hit & first)[~ignored].astype(np.float32)


def counted(photo: FacesPhoto) -> np.ndarray:
    return photo.valid & (photo.boxes[:, 3] - photo.boxes[:, 1] >= LEAST_HEIGHT)


def landmark_rows(photos: Sequence[PointsPhoto], device: str) -> Iterator[dict[str, Any]]:
    for detector_name in registry.names("detect"):
        detector = registry.create("detect", detector_name)
        detector.load(device)
        for name in registry.names("align"):
            aligner = registry.create("align", name)
            aligner.load(device)
            measured = [face_errors(detector, aligner, photo) for photo in photos]
            errors = np.concatenate([errors for errors, _ in measured])  # (N, 68)
            parts = {part: float(errors[:, list(points)].mean()) for part, points in PARTS.items()}
            missed = sum(missed for _, missed in measured)
            yield {
                "aligner": name,
                "detector": detector_name,
                "faces": len(errors),
                "missed": missed,
                **parts,
            }


def face_errors(detector: Detector, aligner: FacePlugin, photo: PointsPhoto) -> tuple[Floats, int]:
    """Each annotated face's errors in outer-eye distances (N, 68), and how many faces weren't detected."""
    image = read_bgr(photo.path)
    batch, missed = matched(photo.points, detect(detector, image), image)
    feed = aligner.pre_process(batch)
    aligner.post_process(aligner.infer(feed), feed, batch)
    assert batch.landmarks is not None
    eyes = np.linalg.norm(photo.points[:, 45] - photo.points[:, 36], axis=1)
    return np.linalg.norm(batch.landmarks - photo.points, axis=2) / eyes[:, None], missed


def matched(truth: Floats, found: Detections, image: np.ndarray) -> tuple[ExtractBatch, int]:
    boxes = np.concatenate([truth.min(axis=1), truth.max(axis=1)], 1)
    points = np.stack([truth[:, i].mean(axis=1) for i in (range(36, 42), range(42, 48), [30], [48], [54])], 1)
    iou = box_iou(boxes, found.boxes) if len(found.boxes) else np.zeros((len(boxes), 1), np.float32)
    seen = iou.max(axis=1) >= 0.2
    if seen.any():
        assert found.points is not None
        boxes[seen] = found.boxes[iou.argmax(axis=1)[seen]]
        points[seen] = found.points[iou.argmax(axis=1)[seen]]
    batch = ExtractBatch(
        frames=[Frame("photo", 0, 0, 0.0, 0.0, image)],
        boxes=boxes,
        scores=np.ones(len(boxes), np.float32),
        points=points,
        frame_ids=np.zeros(len(boxes), np.int32),
    )
    return batch, int((~seen).sum())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=("detection", "landmarks"))
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("accuracy: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    if options.only != "landmarks":
        photos = wider(folder / "detection" / "wider_val" / "dev")
        report("accuracy-detection", list(detection_rows(photos, options.device)), f"{len(photos)} WIDER FACE photos")
    if options.only != "detection":
        points = ibug68(folder / "landmarks" / "300w_dev")
        notes = f"NME over the outer-eye distance, {len(points)} 300-W photos"
        report("accuracy-landmarks", list(landmark_rows(points, options.device)), notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
