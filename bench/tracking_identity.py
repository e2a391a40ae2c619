"""What embeddings add to tracking: ids, id switches and IDF1 with and without. Skips without the private data.

The same detections of ``multi_face.avi`` and of the six scenes of ``crossings.py``, followed in the same run

* by motion alone;
* live: by motion and the embeddings of the pictures that the chooser wants, as ``facestream serve`` does;
* with every face's embedding, as jobs on files have them.

Made of yunet's boxes, mesh's landmarks and sface's embeddings. IDF1 (Ristani et al. 2016) in the made scenes is over
everybody of whose face at least half can be seen, found or not, and a track on no face counts as wrong; in
``multi_face.avi`` it is over the detections that the rule of ``tracking_accuracy.py`` names. ``embedded`` is the share
of the faces that an embedding was made of. The other columns are that benchmark's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from crossings import Truth, scenes
from data import data_folder
from report import report
from scipy.optimize import linear_sum_assignment
from tracking_accuracy import (
    FOLLOWED,
    NOBODY,
    RATE,
    WRONG,
    Image,
    People,
    Seen,
    batches,
    by_place,
    follow,
    found_in,
    judged,
    video,
)

from facestream.faces.aligned import align
from facestream.faces.quality import picture_quality
from facestream.plugins import registry
from facestream.plugins.nms import box_iou
from facestream.stream.choosing import Chooser
from facestream.stream.following import Following, Tracks
from facestream.stream.tracking import Tracker
from facestream.stream.types import Detections, ExtractBatch, FacePlugin, Frame, FrameFaces

SEEN = 0.5  # share of a face that makes it one to follow
TRULY = 0.5  # IoU of a detection with the true box


@dataclass(slots=True)
class Models:
    detector: Any
    aligner: FacePlugin
    identity: FacePlugin

    @classmethod
    def load(cls, device: str) -> Models:
        chosen = [registry.create(*model) for model in (("detect", "yunet"), ("align", "mesh"), ("identity", "sface"))]
        for model in chosen:
            model.load(device)
        return cls(*chosen)


class ByMotion:
    """What tracking was before it knew people."""

    embedded = 0

    def __init__(self) -> None:
        ids = count(1)
        self._tracker = Tracker(lambda: next(ids))

    def __call__(self, seen: Seen, pts: float) -> People:
        return self._tracker.update(seen.boxes, seen.scores, pts)


class ByLooks:
    """The pipeline's own way, on what the models have found before.

    Args:
        chooser: chooses whom to embed; None: everybody.
    """

    def __init__(self, chooser: Chooser | None = None) -> None:
        self._following = Following(Tracks(), chooser)
        self._chosen = chooser is not None
        self._seq = count()
        self.embedded = 0

    def __call__(self, seen: Seen, pts: float) -> People:
        assert seen.faces is not None
        frame = replace(seen.faces.frame, pts=pts, seq=next(self._seq))
        known = replace(seen.faces, frame=frame)
        asked = replace(known, identities={}) if self._chosen else known
        wanted = self._following.before(asked, seen.qualities)
        rows = _rows_of(wanted, known)
        self.embedded += len(rows)
        wanted.identities = {name: looks[rows] for name, looks in known.identities.items()}
        tracks = self._following.after(wanted).tracks
        assert tracks is not None
        return tracks


def _rows_of(wanted: FrameFaces, known: FrameFaces) -> list[int]:
    """Where those faces are among all of the frame."""
    return [int(np.flatnonzero((known.boxes == box).all(axis=1))[0]) for box in wanted.boxes]


WAYS: dict[str, Callable[[], ByMotion | ByLooks]] = {
    "motion": ByMotion,
    "live": lambda: ByLooks(Chooser()),
    "every face": ByLooks,
}


def rows_of(data_dir: Path, seed: int, device: str) -> Iterator[dict[str, Any]]:
    """One row a clip and way of following."""
    models = Models.load(device)
    frames = ((image, None) for image in video(data_dir / "video" / "multi_face.avi"))
    yield from clip_rows("multi_face", RATE, list(watch(frames, models)))
    for scene in scenes(data_dir, seed):
        yield from clip_rows(scene.name, scene.rate, list(watch(scene, models)))


def clip_rows(clip: str, rate: float, seen: list[Seen]) -> Iterator[dict[str, Any]]:
    faces = sum(len(one.people) for one in seen)
    for name, make in WAYS.items():
        way = make()
        row = judged(follow(way, seen, rate))
        yield {"clip": clip, "following": name, "embedded": way.embedded / max(1, faces), **row}


def watch(frames: Iterable[tuple[Image, Truth | None]], models: Models) -> Iterator[Seen]:
    """What the models see in each frame, and who it is."""
    for batch in batches(frames):
        for (image, truth), found in zip(batch, found_in(models.detector, [image for image, _ in batch])):
            faces = looked_at(image, found, models)
            qualities = picture_quality(faces)
            faces = replace(faces, frame=replace(faces.frame, image=np.zeros((1, 1, 3), np.uint8)))
            if truth is None:
                yield Seen(found.boxes, found.scores, by_place(found), None, faces, qualities)
            else:
                there = truth.people[truth.visible >= SEEN]
                yield Seen(found.boxes, found.scores, by_truth(found, truth), there, faces, qualities)


def looked_at(image: Image, found: Detections, models: Models) -> FrameFaces:
    """The frame's faces with landmarks and embeddings."""
    batch = ExtractBatch(
        frames=[Frame("clip", 0, 0, 0.0, 0.0, image)],
        boxes=found.boxes,
        scores=found.scores,
        points=found.points,
        frame_ids=np.zeros(len(found.boxes), np.int32),
    )
    if len(batch):
        for model in (models.aligner, models.identity):
            feed = model.pre_process(batch)
            model.post_process(model.infer(feed), feed, batch)
            if batch.aligned is None and batch.landmarks is not None:
                batch.aligned = align(batch.landmarks)
    return next(batch.per_frame())


def by_truth(found: Detections, truth: Truth) -> People:
    """Who each face is, -1 for somebody hardly visible, -2 for no face."""
    people = np.full(len(found.boxes), WRONG)
    overlap = box_iou(found.boxes, truth.boxes)
    for face, who in zip(*linear_sum_assignment(np.where(overlap >= TRULY, overlap, 0.0), maximize=True)):
        if overlap[face, who] >= TRULY:
            people[face] = truth.people[who] if truth.visible[who] >= SEEN else NOBODY
    return people


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0, help="of the made scenes")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("tracking_identity: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    rows = list(rows_of(folder, options.seed, options.device))
    made = [row for row in rows if row["clip"] != "multi_face"]
    means = {way: np.mean([row["IDF1"] for row in made if row["following"] == way]) for way in WAYS}
    mean = ", ".join(f"{way} {value:.3f}" for way, value in means.items())
    notes = f"followed: one id for at least {FOLLOWED:.0%} of a person; mean IDF1 of the made scenes: {mean}"
    report("tracking_identity", rows, notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
