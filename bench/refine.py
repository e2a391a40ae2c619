"""What re-feed and re-align bring: landmark error on 300-W photos, landmark jitter on a talking head.

NME: mean point error over the distance between the outer eye corners; faces are matched with detections as in
``accuracy.py``. Jitter: a talking head keeps the corners of its eyes and the bridge of its nose still. From each frame
to the next these eight points are laid onto one another by the best similarity, which takes the head's own motion
away; the mean distance that remains, in percent of the outer-eye distance, is jitter. Shake: how far each of them is
from the middle between its neighbours in time, in percent, too. It also sees the whole face tremble, and holds what
the head accelerates, the same in every row.

Skips without the data. python bench/refine.py [ALIGNER …]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from accuracy import detect, matched
from data import Floats, Image, data_folder, ibug68, read_bgr
from report import report

from facestream.faces.umeyama import umeyama
from facestream.plugins import registry
from facestream.plugins.align.looks import SquareAligner
from facestream.plugins.align.refeed import Refeed
from facestream.plugins.align.refined import RefinedAligner
from facestream.stream.types import Detections, Detector, ExtractBatch, FacePlugin, Frame

STILL = [36, 39, 42, 45, 27, 28, 29, 30]  # eye corners, bridge of the nose


@dataclass(frozen=True, slots=True)
class Refinement:
    name: str
    re_feed: int = 0
    re_align: bool = False

    def around(self, aligner: SquareAligner, seed: int) -> FacePlugin:
        if not (self.re_feed or self.re_align):
            return aligner
        return RefinedAligner(aligner, refeed=Refeed.drawn(self.re_feed, seed), re_align=self.re_align)


REFINEMENTS = (
    Refinement("none"),
    Refinement("re-feed 4", re_feed=4),
    Refinement("re-align", re_align=True),
    Refinement("both", re_feed=4, re_align=True),
)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Faces found beforehand, so that every refinement sees the same ones."""

    photos: list[ExtractBatch]
    truth: list[Floats]  # (N, 68, 2) of each photo
    clip: list[ExtractBatch]  # some consecutive frames each, one face in each frame

    @classmethod
    def of(cls, folder: Path, detector: Detector, batch_size: int) -> Material:
        photos = ibug68(folder / "landmarks" / "300w_dev")
        images = [read_bgr(photo.path) for photo in photos]
        batches = [matched(photo.points, detect(detector, image), image)[0] for photo, image in zip(photos, images)]
        frames = list(enumerate(frames_of(folder / "video" / "franck_dev" / "franck.mp4")))
        found = [detect(detector, image) for _, image in frames]
        clip = [
            one_face_a_frame(frames[start : start + batch_size], found[start : start + batch_size])
            for start in range(0, len(frames), batch_size)
        ]
        return cls(batches, [photo.points for photo in photos], clip)


def frames_of(path: Path) -> Iterator[Image]:
    video = cv2.VideoCapture(str(path))
    while True:
        there, image = video.read()
        if not there:
            return
        yield np.asarray(image, np.uint8)


def one_face_a_frame(frames: Sequence[tuple[int, Image]], found: Sequence[Detections]) -> ExtractBatch:
    """The surest face of each frame."""
    assert all(len(each.boxes) and each.points is not None for each in found), "the clip shows a face in every frame"
    return ExtractBatch(
        frames=[Frame("clip", 0, seq, seq / 25, 0.0, image) for seq, image in frames],
        boxes=np.stack([each.boxes[0] for each in found]),
        scores=np.stack([each.scores[0] for each in found]),
        points=np.stack([each.points[0] for each in found if each.points is not None]),
        frame_ids=np.arange(len(frames), dtype=np.int32),
    )


def rows(name: str, aligner: SquareAligner, material: Material, seeds: int) -> Iterator[dict[str, Any]]:
    for refinement in REFINEMENTS:
        measured = []
        start = time.perf_counter()
        for seed in range(seeds if refinement.re_feed else 1):
            plugin = refinement.around(aligner, seed)
            errors = np.concatenate([nme(plugin, *each) for each in zip(material.photos, material.truth)])
            points = np.concatenate([landmarks(plugin, batch) for batch in material.clip])
            measured.append((errors.mean(), errors[:, 17:].mean(), jitter(points), shake(points)))
        seconds = (time.perf_counter() - start) / len(measured)
        faces = sum(map(len, material.photos)) + sum(map(len, material.clip))
        nme_all, nme_core, trembling, shaking = np.mean(measured, axis=0)
        yield {
            "aligner": name,
            "refinement": refinement.name,
            "NME": float(nme_all),
            "NME core": float(nme_core),
            "jitter %": float(trembling),
            "shake %": float(shaking),
            "ms a face": 1000 * seconds / faces,
        }


def landmarks(plugin: FacePlugin, batch: ExtractBatch) -> Floats:
    feed = plugin.pre_process(batch)
    plugin.post_process(plugin.infer(feed), feed, batch)
    assert batch.landmarks is not None
    return batch.landmarks


def nme(plugin: FacePlugin, batch: ExtractBatch, truth: Floats) -> Floats:
    """Each face's errors in outer-eye distances (N, 68)."""
    eyes = np.linalg.norm(truth[:, 45] - truth[:, 36], axis=1)
    errors: Floats = np.linalg.norm(landmarks(plugin, batch) - truth, axis=2) / eyes[:, None]
    return errors


def jitter(points: Floats) -> float:
    """Percent of the eye distance, of a clip's landmarks (T, 68, 2)."""
    still = points[:, STILL].astype(np.float64)
    remaining = []
    for before, after in itertools.pairwise(still):
        (matrix,), _ = umeyama(before[None], after)
        moved = before @ matrix[:2, :2].T + matrix[:2, 2]
        remaining.append(np.linalg.norm(after - moved, axis=1).mean())
    return float(100 * np.mean(remaining) / eye_distance(points))


def shake(points: Floats) -> float:
    """Percent of the eye distance, of a clip's landmarks (T, 68, 2)."""
    still = points[:, STILL].astype(np.float64)
    away = np.linalg.norm(still[1:-1] - (still[:-2] + still[2:]) / 2, axis=2)
    return float(100 * away.mean() / eye_distance(points))


def eye_distance(points: Floats) -> float:
    return float(np.linalg.norm(points[:, 45] - points[:, 36], axis=1).mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("aligners", nargs="*", default=["mesh"])
    parser.add_argument("--detector", default="yunet")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, default=3, help="re-feed is measured with so many seeds, and averaged")
    arguments = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("refine: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    detector = registry.create("detect", arguments.detector)
    detector.load(arguments.device)
    material = Material.of(folder, detector, 16)
    measured = []
    for name in arguments.aligners:
        aligner = registry.create("align", name)
        aligner.load(arguments.device)
        measured += rows(name, aligner, material, arguments.seeds)
    faces, frames = sum(map(len, material.photos)), sum(map(len, material.clip))
    report("refine", measured, f"{faces} faces of 300-W photos, {frames} frames of a talking head")
    return 0


if __name__ == "__main__":
    sys.exit(main())
