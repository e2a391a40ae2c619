"""Re-extraction against seeking each frame, and against decoding and encoding alone; one process, alternating runs.

(a) ``facestream reextract``: decode in order, crop, encode, add the header, write.
(b) what a tool does that fetches each frame by its number: seek to the key frame before it, decode up to it, crop,
    encode, write; then the next. On some frames only: it is slow.
(c) decode every frame to BGR and encode pictures like the crops with the same encoder, by as many threads as there are
    cores. It crops nothing and writes nothing: no re-extraction can do less.
(d) the same threads, but doing all that (a) does with each frame: what (a) costs beyond its work shows here.

Faces are made up: one in each frame, upright to a few degrees, its head box as large as the clip allows or ``--head``
pixels. The clip that is made here, with a key frame every 250, is always measured and decides the exit code; the
private clips where they are there.

python bench/reextract.py [--head PIXELS] [CLIP …]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
from data import data_folder
from report import report

from facestream.faces.crops import RATIOS
from facestream.faces.meanface import MEAN_FACE
from facestream.io.alignments import Alignments
from facestream.io.face_record import FaceAlignment, FrameEntry
from facestream.io.faces import write_atomically
from facestream.io.frame_index import index_frames
from facestream.jobs.recrop import face_matrix, face_picture, header_source
from facestream.jobs.reextract import ReextractOptions, reextract
from facestream.stream.device import available_cores
from facestream.testing.sources import make_clip, make_picture

RUNS = 3
SIZE = 512
SOUGHT = 25  # frames that (b) fetches
LEAST_TO_SEEKING, LEAST_TO_PLAIN = 5.0, 0.9
CLIPS = ("video/WolfgangLanger_Pexels.mp4", "video/facenet_crowd_1080p.mp4")


def face(number: int, size: tuple[int, int], head: float) -> FaceAlignment:
    """A made-up face whose head box is ``head`` pixels wide, in the middle of the frame, swaying a little."""
    width, height = size
    edge, angle = head * (1 - RATIOS["head"]), 0.1 * np.sin(number / 20)
    jaw = np.stack([np.linspace(-0.1, 1.1, 17), 0.5 + 0.7 * np.sin(np.linspace(0, np.pi, 17))], axis=1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (np.concatenate([jaw, MEAN_FACE]) - 0.5) @ turn.T * edge + (width / 2, height / 2)
    left, top = points.min(axis=0).astype(int).tolist()
    return FaceAlignment(left, top, int(edge), int(edge), points)


def alignments_of(clip: Path, folder: Path, head: float | None) -> tuple[Alignments, float]:
    """A face in every frame of ``clip``, saved, and the edge of its head box in pixels."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        size = stream.width, stream.height
    edge = head or 0.9 * min(size)
    frames = {
        f"{clip.stem}_{number + 1:06d}{clip.suffix}": FrameEntry([face(number, size, edge)])
        for number in range(len(index_frames(clip)))
    }
    alignments = Alignments(folder / f"{clip.stem}.fsa", frames)
    alignments.save(None)
    return alignments, edge


def ours(clip: Path, alignments: Path, folder: Path) -> float:
    """Frames a second of (a)."""
    options = ReextractOptions(input=str(clip), alignments=alignments, output=folder, size=SIZE)
    start = time.perf_counter()
    summary = asyncio.run(reextract(options))
    seconds = time.perf_counter() - start
    assert summary.written == summary.frames, f"{summary.written} of {summary.frames}"
    return summary.frames / seconds


def seeking(clip: Path, alignments: Alignments, folder: Path) -> float:
    """Frames a second of (b)."""
    times = index_frames(clip).pts
    assert times is not None
    names = list(alignments.frames)
    chosen = np.linspace(0, len(times) - 1, min(SOUGHT, len(times))).astype(int).tolist()
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        start = time.perf_counter()
        for index in chosen:
            container.seek(int(times[index]), stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.pts >= times[index])
            save(names[index], frame.to_ndarray(format="bgr24"), alignments, folder)
        return len(chosen) / (time.perf_counter() - start)


def plain(clip: Path, work: Callable[[int, np.ndarray], object]) -> float:
    """Frames a second of a decoding loop and a pool that does ``work`` with each frame's number and picture."""
    cores = available_cores()
    slots = threading.BoundedSemaphore(8)  # as many frames on their way as in (a)
    start = time.perf_counter()
    with av.open(str(clip)) as container, ThreadPoolExecutor(cores) as pool:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            image = frame.to_ndarray(format="bgr24")
            slots.acquire()
            pool.submit(work, number, image).add_done_callback(lambda _: slots.release())
    return (number + 1) / (time.perf_counter() - start)


def encoding(clip: Path, pictures: Sequence[np.ndarray], count: int) -> float:
    """Frames a second of (c). ``pictures`` are the crops of some frames, spread over the clip."""
    return plain(clip, lambda number, image: cv2.imencode(".png", pictures[number * len(pictures) // count]))


def same_work(clip: Path, alignments: Alignments, folder: Path) -> float:
    """Frames a second of (d)."""
    names = list(alignments.frames)

    def work(number: int, image: np.ndarray) -> None:
        save(names[number], image, alignments, folder)

    return plain(clip, work)


def save(name: str, image: np.ndarray, alignments: Alignments, folder: Path) -> None:
    stem, found = Path(name).stem, alignments.faces(name)[0]
    source = header_source(name, stem, 0, video=True, size=(image.shape[1], image.shape[0]))
    write_atomically(folder / f"{stem}_0.png", face_picture(image, face_matrix(found, SIZE), found, source, SIZE))


def measure(clip: Path, head: float | None, folder: Path) -> dict[str, object]:
    alignments, edge = alignments_of(clip, folder, head)
    ours(clip, alignments.path, folder / "warm")
    crops = sorted((folder / "warm").iterdir())
    pictures = [cv2.imread(str(path)) for path in crops[:: max(1, len(crops) // 50)]]
    ratios: dict[str, list[float]] = {"to seeking (b)": [], "to decode + encode (c)": [], "to the same work (d)": []}
    rates = []
    for run in range(RUNS):
        out = folder / f"{run}"
        rate = ours(clip, alignments.path, out)
        rates.append(rate)
        others = (
            seeking(clip, alignments, out),
            encoding(clip, pictures, len(alignments)),
            same_work(clip, alignments, out),
        )
        for name, other in zip(ratios, others):
            ratios[name].append(rate / other)
        shutil.rmtree(out)
    return {
        "clip": clip.name,
        "head box": f"{edge:.0f} px",
        "frames": len(alignments),
        "frames/s": round(median(rates), 1),
        **{name: round(median(values), 3) for name, values in ratios.items()},
    }


def made_clip(folder: Path) -> Path:
    """1080p with a key frame every 250 frames, somewhat noisy as films are."""
    noise = np.random.default_rng(0).integers(0, 24, (1100, 1950, 3), dtype=np.uint8)

    def picture(number: int) -> np.ndarray:
        x, y = number * 7 % 30, number * 5 % 20
        moved = cv2.GaussianBlur(make_picture(number * 4, (1920, 1080)), (0, 0), 3)
        return cv2.add(moved, noise[y : y + 1080, x : x + 1920])

    pictures = [picture(number) for number in range(120)]
    return make_clip(folder / "made_1080p.mp4", frames=pictures, keyframe_every=250, b_frames=3)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--head", type=float)
    parser.add_argument("clips", nargs="*", type=Path)
    chosen = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = chosen.clips or [made_clip(folder), *_private_clips()]
        for clip in clips:
            place = folder / clip.stem
            place.mkdir()
            rows.append(measure(clip, chosen.head, place))
    report("reextract", rows, f"{SIZE}-px heads, one a frame, {available_cores()} cores, median of {RUNS} runs")
    first = rows[0]
    return int(first["to seeking (b)"] < LEAST_TO_SEEKING or first["to decode + encode (c)"] < LEAST_TO_PLAIN)


def _private_clips() -> list[Path]:
    data = data_folder()
    if data is None:
        print("reextract: the private clips aren't here (see FACESTREAM_DATA in bench/data.py)")
        return []
    return [data / clip for clip in CLIPS]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
