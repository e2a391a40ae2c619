"""facestream beside other programs that find faces: CPU a frame, frames/s, faces found and recall, on the same frames.

The others are those whose packages carry their weights: facenet-pytorch's MTCNN, mediapipe's full-range BlazeFace,
dlib's HOG, OpenCV's Haar cascade. Each is installed, pinned, into an environment of its own in the user's cache on
first use (some 700 MB in all; ``peers_environments.py``) and runs in a process of its own (``peers_worker.py``) with
its own settings; one that can't be installed is left out, and told. All of them take turns of a few frames on the same
cores; one works while the others wait. "to yunet" is a program's CPU by that of facestream's default detector, called
frame by frame as all the others are; the row "facestream" is what ``facestream extract`` does by default with frames:
detect + align + track, in its pipeline.

Recall is that of faces of 20 pixels and more at IoU 0.5 where boxes were drawn (WIDER FACE photos; "wrong" are boxes on
no face); in clips it is how many faces were found, up to the number of people in them. CPU time is that of the process
while it detects, decoding and handing over not counted. Each sees a frame of each size once before it counts.

python bench/peers.py [--clips demo three-people crowd photos] [--frames N] [--photos N] [--cores N]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

import peers_clips
from peers_clips import Clip
from peers_environments import DLIB, FACENET, HAAR, MEDIAPIPE
from peers_processes import Program, Turn, Worker, started, take_turns
from report import report

PROGRAMS = (
    Program("yunet", "facestream-detect:yunet"),
    Program("yunet at 320", "facestream-detect:yunet@320"),
    Program("facestream", "facestream"),
    Program("mediapipe 0.10.14", "mediapipe", MEDIAPIPE),
    Program("facenet-pytorch 2.6.0", "facenet-pytorch", FACENET),
    Program("dlib 20.0", "dlib:0", DLIB),
    Program("dlib 20.0, doubled", "dlib:1", DLIB),
    Program("OpenCV 4.11 Haar", "opencv-haar", HAAR),
)
CLIPS: dict[str, Callable[[argparse.Namespace], Clip | None]] = {
    "demo": lambda options: peers_clips.demo(options.frames),
    "three-people": lambda options: peers_clips.three_people(options.frames),
    "crowd": lambda options: peers_clips.crowd(options.frames // 2),
    "photos": lambda options: peers_clips.photos(options.photos),
}


def row(worker: Worker, turn: Turn, yunet: Turn | None, clip: Clip) -> dict[str, Any]:
    recall, wrong = clip.recall(turn.faces), clip.wrong(turn.faces)
    return {
        "program": worker.program.label,
        "what": worker.about,
        "CPU ms a frame": round(turn.cpu_ms, 1),
        "to yunet": "" if yunet is None else round(turn.cpu / yunet.cpu, 2),
        "frames/s": round(len(turn.faces) / turn.wall, 1),
        "faces a frame": round(sum(map(len, turn.faces)) / len(turn.faces), 2),
        "recall": "" if recall is None else f"{recall:.3f}",
        "wrong": "" if wrong is None else wrong,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--frames", type=int, default=24, help="of each clip, half as many at 1080p (default: 24)")
    parser.add_argument("--photos", type=int, help="how many of the photos (default: all 38)")
    parser.add_argument("--cores", type=int, default=1, help="how many each program may use (default: 1)")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[-options.cores :]
    with started(PROGRAMS, cores) as workers:
        for name in options.clips:
            clip = CLIPS[name](options)
            if clip is None:
                print(f"{name}: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
                continue
            turns = take_turns(workers, clip.parts)
            whole = [(worker, turn) for worker, turn in zip(workers, turns) if not turn.ended]
            yunet = next((turn for worker, turn in whole if worker.program is PROGRAMS[0]), None)
            frames = sum(map(len, clip.parts))
            rows = [row(worker, turn, yunet, clip) for worker, turn in whole]
            report(f"peers-{name}", rows, f"{clip.name}, {frames} frames; cores: {len(cores)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
