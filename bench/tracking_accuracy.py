"""Do track ids stay with their people, by motion alone? IDF1, id switches and ids on two clips. Skips without the data.

``multi_face.avi`` (702 frames at 30/s) shows three people, one of whom passes behind another; nobody
annotated it. Its truth is made here by a rule that holds in every frame, as watching it showed: the largest
face is the man in front (at least 1.8 times the area of any other), and of the other two the left one stays
left (never nearer than 100 px). The rule needs all three faces; in the half dozen frames where one is hidden
nobody is named. ``otb_Girl`` (500 frames) has its girl's box by hand in every frame, from behind too; a man
passes in front of her. Faces that don't overlap her box by an IoU of 0.4 are nobody, and where she turns her
back for two seconds no tracker without a memory of looks can follow.

The columns: ids given in all; people of whom one id covers at least 80 % of their detections; how often a
person's id changed; IDF1 (Ristani et al. 2016) over the named detections, since detecting is measured
elsewhere. Slower rows leave out frames, as a live source does; "misses" leaves out that share of the
detections.

``tracking_identity.py`` measures what embeddings add, in scenes where people hide, leave and come back.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from data import data_folder, read_bgr
from report import report
from scipy.optimize import linear_sum_assignment

from facestream.plugins import registry
from facestream.plugins.nms import box_iou
from facestream.stream.tracking import Tracker
from facestream.stream.types import Detections, Floats, FrameFaces

NOBODY = -1
WRONG = -2  # no face at all
RATE = 30.0  # frames/s
CASES = ((1, 0.0), (3, 0.0), (6, 0.0), (1, 0.3), (3, 0.3))  # every n-th frame, share of missed detections
FOLLOWED = 0.8
SAME_FACE = 0.4  # IoU with her box; the man passing before her reaches 0.34
BATCH = 4

Image = npt.NDArray[np.uint8]
People = npt.NDArray[np.int64]
T = TypeVar("T")


class Seen(NamedTuple):
    """One frame's faces.

    Attributes:
        boxes: (N, 4).
        scores: (N,).
        people: (N,) who they are, -1 for somebody who doesn't count.
        truths: who should have been found; None for those who were.
        faces: the same, with their embeddings, where there are any; without pixels.
        qualities: (N,), how much their pictures tell; see :mod:`facestream.faces.quality`.
    """

    boxes: Floats
    scores: Floats
    people: People
    truths: People | None = None
    faces: FrameFaces | None = None
    qualities: Floats | None = None


Follow = Callable[[Seen, float], People]
"""A frame's faces and its time → the track id of each, -1 for none."""


def by_motion() -> Follow:
    ids = count(1)
    tracker = Tracker(lambda: next(ids))
    return lambda seen, pts: tracker.update(seen.boxes, seen.scores, pts)


def run(
    data_dir: Path, detectors: Sequence[str] = ("yunet", "centerface"), device: str = "cpu"
) -> list[dict[str, Any]]:
    """One row a clip, detector and case."""
    girl = data_dir / "video" / "otb_Girl"
    truth = np.loadtxt(girl / "groundtruth_rect.txt").astype(np.float32)
    truth[:, 2:] += truth[:, :2]
    clips: dict[str, tuple[Callable[[], Iterator[npt.NDArray[Any]]], Callable[[int, Detections], People]]] = {
        "multi_face": (lambda: video(data_dir / "video" / "multi_face.avi"), lambda index, found: by_place(found)),
        "otb_Girl": (
            lambda: (read_bgr(path) for path in sorted((girl / "img").glob("*.jpg"))),
            lambda index, found: by_box(found, truth[index]),
        ),
    }
    rows = []
    for name in detectors:
        detector = registry.create("detect", name)
        detector.load(device)
        for clip, (frames, who) in clips.items():
            seen = [
                Seen(found.boxes, found.scores, who(index, found))
                for index, found in enumerate(detect(detector, frames()))
            ]
            rows += [measure(clip, name, seen, *case) for case in CASES]
    return rows


def video(path: Path) -> Iterator[npt.NDArray[Any]]:
    capture = cv2.VideoCapture(str(path))
    while (grabbed := capture.read())[0]:
        yield np.asarray(grabbed[1])
    capture.release()


def detect(detector: Any, frames: Iterable[Image]) -> Iterator[Detections]:
    for batch in batches(frames):
        yield from found_in(detector, batch)


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch


def found_in(detector: Any, batch: list[npt.NDArray[Any]]) -> list[Detections]:
    feed = detector.pre_process(batch)
    found: list[Detections] = detector.post_process(detector.infer(feed), feed)
    return found


def by_place(found: Detections) -> People:
    """0 in front, 1 left, 2 right; nobody unless there are exactly three faces."""
    people = np.full(len(found.boxes), NOBODY)
    if len(people) == 3:
        front = np.argmax((found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1))
        left, right = sorted({0, 1, 2} - {int(front)}, key=lambda face: float(found.boxes[face, 0]))
        people[[front, left, right]] = 0, 1, 2
    return people


def by_box(found: Detections, box: Floats) -> People:
    """0 for the face that overlaps ``box`` most, if by enough."""
    people = np.full(len(found.boxes), NOBODY)
    if len(people):
        overlap = box_iou(found.boxes, box[None])[:, 0]
        if overlap.max() >= SAME_FACE:
            people[overlap.argmax()] = 0
    return people


def measure(clip: str, detector: str, seen: list[Seen], step: int, misses: float) -> dict[str, Any]:
    noise = np.random.default_rng(0)
    kept = [without_some(one, misses, noise) for one in seen[::step]]
    row = {"clip": clip, "detector": detector, "frames/s": RATE / step, "misses": misses}
    return {**row, **judged(follow(by_motion(), kept, RATE / step))}


def without_some(seen: Seen, misses: float, noise: np.random.Generator) -> Seen:
    kept = noise.random(len(seen.people)) >= misses
    return Seen(seen.boxes[kept], seen.scores[kept], seen.people[kept])


class Followed(NamedTuple):
    """What a tracker has made of a clip.

    Attributes:
        given: every id.
        pairs: who and which id, for each face of somebody who counts and for each false alarm with an id.
        truths: faces that should have an id.
    """

    given: set[int]
    pairs: list[tuple[int, int]]
    truths: int


def follow(tracker: Follow, seen: Sequence[Seen], rate: float) -> Followed:
    followed, truths = Followed(set(), [], 0), 0
    for index, one in enumerate(seen):
        tracks = tracker(one, index / rate).tolist()
        followed.given.update(track for track in tracks if track >= 0)
        named = list(zip(one.people.tolist(), tracks))
        followed.pairs.extend((who, id_) for who, id_ in named if who >= 0 or (who == WRONG and id_ >= 0))
        truths += sum(who >= 0 for who, _ in named) if one.truths is None else len(one.truths)
    return followed._replace(truths=truths)


def judged(followed: Followed) -> dict[str, Any]:
    """The columns that every table has."""
    pairs = [(who, id_) for who, id_ in followed.pairs if who >= 0]
    table = contingency(pairs)
    matched = table[linear_sum_assignment(table, maximize=True)].sum() if table.size else 0
    tracked = sum(id_ >= 0 for _, id_ in followed.pairs)
    named = np.unique([who for who, _ in pairs], return_counts=True)[1]
    return {
        "ids": len(followed.given),
        "people": len(table),
        "followed": int((table.max(axis=1, initial=0) >= FOLLOWED * named).sum()),
        "switches": switches(pairs),
        "IDF1": float(2 * matched / max(followed.truths + tracked, 1)),
    }


def contingency(pairs: list[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """(people, ids): how often each person had each id."""
    people = sorted({who for who, _ in pairs})
    ids = sorted({id_ for _, id_ in pairs if id_ >= 0})
    table = np.zeros((len(people), len(ids)), np.int64)
    for who, id_ in pairs:
        if id_ >= 0:
            table[people.index(who), ids.index(id_)] += 1
    return table


def switches(pairs: list[tuple[int, int]]) -> int:
    """How often a person's id isn't the one it had before."""
    last: dict[int, int] = {}
    changes = 0
    for who, id_ in pairs:
        if id_ >= 0:
            changes += last.get(who, id_) != id_
            last[who] = id_
    return changes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    folder = data_folder()
    if folder is None:
        print("tracking_accuracy: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    rows = run(folder, device=device)
    report("tracking_accuracy", rows, f"followed: one id for at least {FOLLOWED:.0%} of a person's detections")
    return 0


if __name__ == "__main__":
    sys.exit(main())
