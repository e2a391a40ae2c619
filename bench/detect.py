"""facestream's detectors beside other programs' of the same kind: CPU a frame, and whether they find the same.

(a) ``mtcnn`` against facenet-pytorch's MTCNN: the same weights and frames of the same size, one or eight at a time.
(b) ``yunet``, as it is by default (long side 640) and at 320, against mediapipe's full-range BlazeFace (192 × 192), and
    what each finds on WIDER FACE photos.

Each program runs in a process and an environment of its own (``peers_environments.py``; made on first use, some 400 MB
on disk), on the same single core, in turns of a few frames. CPU is that of the process while it detects.

python bench/detect.py [mtcnn] [yunet]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from peers_clips import Clip, crowd, demo, matched, photos
from peers_environments import FACENET, MEDIAPIPE
from peers_processes import Faces, Program, Turn, started, take_turns
from report import report

FRAMES = 24
BATCH = 8
MOST_TO_FACENET = 0.5
LEAST_IOU = 0.9
MOST_TO_MEDIAPIPE = 1.5


def core() -> list[int]:
    return [max(os.sched_getaffinity(0))]


def against_facenet() -> None:
    clip = crowd(FRAMES, 960) or demo(FRAMES)
    frames = np.concatenate(clip.parts)
    parts = [frames[first : first + BATCH] for first in range(0, len(frames), BATCH)]
    ours = Program("mtcnn", f"facestream-detect:mtcnn@{frames.shape[2]}")
    theirs = Program("facenet-pytorch 2.6.0 MTCNN", "facenet-pytorch", FACENET)
    with started((ours, theirs), core()) as workers:
        if len(workers) < 2:
            return
        a, b = workers
        turns = take_turns((a, b, a, b), parts, (1, 1, BATCH, BATCH))
    if any(turn.ended for turn in turns):
        return
    labels = ((ours.label, 1), (theirs.label, 1), (ours.label, BATCH), (theirs.label, BATCH))
    rows = [
        {
            "program": label,
            "frames at a time": batch,
            "CPU ms a frame": round(turn.cpu_ms, 1),
            "faces a frame": round(float(np.mean([len(faces) for faces in turn.faces])), 3),
            "to facenet-pytorch, one by one": round(turn.cpu / turns[1].cpu, 3),
            "to itself, one by one": round(turn.cpu / turns[place % 2].cpu, 3),
        }
        for place, ((label, batch), turn) in enumerate(zip(labels, turns))
    ]
    report("detect-mtcnn", rows, f"{clip.name}, {len(frames)} frames, one core, the same weights and pyramid")
    overlap, only_ours, only_theirs = agreement(turns[0].faces, turns[1].faces)
    as_edges, *_ = agreement(turns[0].faces, [edges(faces) for faces in turns[1].faces])
    judge("mtcnn's CPU to facenet-pytorch's, one by one", turns[0].cpu / turns[1].cpu, most=MOST_TO_FACENET)
    judge(f"the same in batches of {BATCH}", turns[2].cpu / turns[3].cpu, most=MOST_TO_FACENET)
    judge(f"mtcnn's batches of {BATCH} to one by one", turns[2].cpu / turns[0].cpu, most=1.0)
    judge("mean IoU of the boxes that both found, between edges", as_edges, least=LEAST_IOU)
    print(f"the same with facenet-pytorch's as given, whose left and top are numbers of pixels from 1: {overlap:.3f}")
    print(f"found by one only: mtcnn {only_ours}, facenet-pytorch {only_theirs}")


def edges(faces: Faces) -> Faces:
    """facenet-pytorch counts pixels from 1 (its ``pad`` cuts ``x - 1:ex``); here a box ends between pixels."""
    return faces - np.array([1, 1, 0, 0, 0], np.float32)


def agreement(ours: Sequence[Faces], theirs: Sequence[Faces]) -> tuple[float, int, int]:
    """Mean IoU of the matched boxes (IoU at least 0.5), and how many of each have no match."""
    overlaps: list[float] = []
    only_ours = only_theirs = 0
    for mine, other in zip(ours, theirs):
        pairs = matched(mine[:, :4], other[:, :4], 0.5)
        overlaps += [iou for _, _, iou in pairs]
        only_ours += len(mine) - len(pairs)
        only_theirs += len(other) - len(pairs)
    return float(np.mean(overlaps)) if overlaps else 0.0, only_ours, only_theirs


def against_mediapipe() -> None:
    programs = (
        Program("yunet", "facestream-detect:yunet"),
        Program("yunet at 320", "facestream-detect:yunet@320"),
        Program("mediapipe 0.10.14 full-range", "mediapipe", MEDIAPIPE),
    )
    clips: list[Clip] = [clip for clip in (demo(2 * FRAMES), crowd(FRAMES), photos()) if clip is not None]
    with started(programs, core()) as workers:
        if len(workers) < len(programs):
            return
        turns = {clip.name: take_turns(workers, clip.parts) for clip in clips}
    if any(turn.ended for of_clip in turns.values() for turn in of_clip):
        return
    rows = [
        {
            "clip": clip.name,
            "program": program.label,
            "CPU ms a frame": round(turn.cpu_ms, 2),
            "to mediapipe": round(turn.cpu / turns[clip.name][-1].cpu, 3),
            "faces": sum(map(len, turn.faces)),
            **recalls(clip, turn),
        }
        for clip in clips
        for program, turn in zip(programs, turns[clip.name])
    ]
    report("detect-yunet", rows, "one core; recall of faces of 20 px and more at two least overlaps (IoU)")
    for clip in clips:
        *ours, theirs = turns[clip.name]
        for program, turn in zip(programs, ours):
            judge(f"{clip.name}: {program.label}'s CPU to mediapipe's", turn.cpu / theirs.cpu, most=MOST_TO_MEDIAPIPE)
            for iou in (0.5, 0.3) if clip.photos else ():
                least = clip.recall(theirs.faces, iou) or 0.0
                judge(f"{clip.name}: its recall at IoU {iou}", clip.recall(turn.faces, iou) or 0.0, least=least)


def recalls(clip: Clip, turn: Turn) -> dict[str, Any]:
    return {
        f"{what} at {iou}": _short(judged(turn.faces, iou) if clip.photos else None)
        for iou in (0.5, 0.3)
        for what, judged in (("recall", clip.recall), ("wrong", clip.wrong))
    }


def judge(what: str, value: float, *, most: float | None = None, least: float | None = None) -> None:
    met = (most is None or value <= most) and (least is None or value >= least)
    wanted = f"at most {most:.3g}" if most is not None else f"at least {least:.3g}"
    print(f"{what}: {value:.3f}; wanted: {wanted}{'' if met else ' — NOT MET'}")


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


PARTS: dict[str, Callable[[], None]] = {"mtcnn": against_facenet, "yunet": against_mediapipe}


if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
