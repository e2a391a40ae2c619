"""One program that finds faces, in a process of its own; run by its own environment's Python.

python peers_worker.py PROGRAM CORES

Reads lines of JSON from its standard input and answers each with one: ``{"frames": FILE, "batch": B}``, an .npy file of
frames, uint8 BGR (n, h, w, 3), given to the program B at a time → ``{"cpu": SECONDS, "wall": SECONDS, "faces":
[[[left, top, right, bottom, score], …], …]}``, a list of faces a frame. The first answer, before any question, is
``{"ready": ADDRESS OF THE PROGRAM}``.

What is timed is what a user of the program calls, given frames in memory. Programs that want red first get frames
that already are; facestream turns them itself, in its time. Each has the settings that it has by itself.

Imports nothing of facestream but where facestream is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import types
from typing import Any

import numpy as np


class Facestream:
    """A detector of facestream, called frame by frame or batch by batch, in a process set up as its pipelines are."""

    def __init__(self, detector: str, size: int | None = None) -> None:
        from facestream.plugins import registry
        from facestream.stream.allocator import keep_freed_memory
        from facestream.stream.device import available_cores, set_thread_counts

        keep_freed_memory()
        set_thread_counts(available_cores())
        self.detector = registry.create("detect", detector, size=size)
        self.detector.load("cpu")
        self.about = f"{detector}, long side {self.detector.size}"

    def prepare(self, images: np.ndarray) -> list[np.ndarray]:
        return list(images)

    def detect(self, images: list[np.ndarray]) -> list[np.ndarray]:
        feed = self.detector.pre_process(images)
        found = self.detector.post_process(self.detector.infer(feed), feed)
        return [np.column_stack([each.boxes, each.scores]) for each in found]


class FacestreamChain:
    """Detect, align and track as ``facestream extract`` does by itself; all frames at once, batches as they come."""

    def __init__(self) -> None:
        from facestream.jobs.models import ModelOptions, load_stages
        from facestream.stream.device import Bridge

        self.loop = asyncio.Runner()
        options = ModelOptions(device="cpu")
        self.bridge = Bridge("cpu")
        self.loop.run(self.bridge.__aenter__())
        self.stages = self.loop.run(load_stages(options, self.bridge))
        self.about = " + ".join([*(stage.name for stage in self.stages), "track"])

    def prepare(self, images: np.ndarray) -> list[np.ndarray]:
        return list(images)

    def detect(self, images: list[np.ndarray]) -> list[np.ndarray]:
        return self.loop.run(self._run(images))

    async def _run(self, images: list[np.ndarray]) -> list[np.ndarray]:
        from facestream.jobs.extract import BATCHES_PER_STAGE
        from facestream.stream.pipeline import Pipeline, Tracks
        from facestream.stream.types import Frame

        in_flight = BATCHES_PER_STAGE * len(self.stages)
        pipeline = Pipeline(self.stages, self.bridge, in_flight=in_flight, tracks=Tracks())

        async def feed() -> None:
            for index, image in enumerate(images):
                await pipeline.put(Frame("clip", 0, index, index / 25, 0.0, image))
            await pipeline.close()

        async with asyncio.TaskGroup() as tasks, pipeline.running() as results:
            tasks.create_task(feed())
            return [np.column_stack([faces.boxes, faces.scores]) async for faces in results]


class FacenetPytorch:
    """facenet-pytorch's MTCNN with all of its own settings but ``keep_all``."""

    def __init__(self) -> None:
        self.spent_on_stand_in = 0.0
        self._stand_in_for_torchvision()
        import torch
        from facenet_pytorch import MTCNN

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.mtcnn = MTCNN(keep_all=True, device="cpu")
        self.about = "MTCNN, the frame's own size"

    def prepare(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images[..., ::-1])

    def detect(self, images: np.ndarray) -> list[np.ndarray]:
        boxes, scores = self.mtcnn.detect(images)
        return [
            np.zeros((0, 5)) if box is None else np.column_stack([box, score]).astype(np.float32)
            for box, score in zip(boxes, scores)
        ]

    def _stand_in_for_torchvision(self) -> None:
        """There is none that fits a CPU's torch; MTCNN uses only its suppression. The stand-in's time isn't counted."""
        import torch

        def batched_nms(boxes: Any, scores: Any, groups: Any, threshold: float) -> Any:
            started = time.process_time()
            kept = suppressed(boxes.numpy(), scores.numpy(), groups.numpy(), threshold)
            self.spent_on_stand_in += time.process_time() - started
            return torch.as_tensor(kept)

        names = ("torchvision", "torchvision.transforms", "torchvision.ops", "torchvision.ops.boxes")
        modules = {name: types.ModuleType(name) for name in names}
        modules["torchvision.transforms"].functional = types.ModuleType("functional")  # type: ignore[attr-defined]
        modules["torchvision.ops.boxes"].batched_nms = batched_nms  # type: ignore[attr-defined]
        sys.modules.update(modules)


class Mediapipe:
    """BlazeFace, the full-range model."""

    about = "BlazeFace full-range"

    def __init__(self) -> None:
        import mediapipe

        self.detector = mediapipe.solutions.face_detection.FaceDetection(model_selection=1)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images[..., ::-1])

    def detect(self, images: np.ndarray) -> list[np.ndarray]:
        return [self._boxes(image) for image in images]

    def _boxes(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        rows = []
        for found in self.detector.process(image).detections or ():
            box = found.location_data.relative_bounding_box
            corners = (box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height)
            rows.append([*(part * side for part, side in zip(corners, (width, height) * 2)), found.score[0]])
        return np.array(rows).reshape(-1, 5)


class Dlib:
    """The HOG detector; its example and face_recognition look at frames twice as large, which finds smaller faces."""

    def __init__(self, upsample: int) -> None:
        import dlib

        self.upsample = upsample
        self.detector = dlib.get_frontal_face_detector()
        self.about = f"HOG, {'frames doubled' if upsample else 'frames as they are'}"

    def prepare(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images[..., ::-1])

    def detect(self, images: np.ndarray) -> list[np.ndarray]:
        return [self._boxes(image) for image in images]

    def _boxes(self, image: np.ndarray) -> np.ndarray:
        boxes, scores, _ = self.detector.run(image, self.upsample, 0.0)
        rows = [(b.left(), b.top(), b.right() + 1, b.bottom() + 1, score) for b, score in zip(boxes, scores)]
        return np.array(rows, np.float32).reshape(-1, 5)


class Haar:
    """OpenCV's cascade of frontal faces; it gives no scores."""

    about = "haarcascade_frontalface_default"

    def __init__(self) -> None:
        import cv2

        cv2.setNumThreads(len(os.sched_getaffinity(0)))
        self.cascade = cv2.CascadeClassifier(cv2.data.haarcascades + f"{self.about}.xml")
        self.grey = cv2.COLOR_BGR2GRAY
        self.cv2 = cv2

    def prepare(self, images: np.ndarray) -> np.ndarray:
        return images

    def detect(self, images: np.ndarray) -> list[np.ndarray]:
        found = [self.cascade.detectMultiScale(self.cv2.cvtColor(image, self.grey)) for image in images]
        return [
            np.array([(x, y, x + w, y + h, 1) for x, y, w, h in boxes], np.float32).reshape(-1, 5) for boxes in found
        ]


def suppressed(boxes: np.ndarray, scores: np.ndarray, groups: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy suppression within each group, as torchvision's: indices of the kept, best first."""
    moved = boxes + (groups * (boxes.max(initial=0) + 1))[:, None]  # no two groups overlap
    left, top, right, bottom = moved.T
    areas = (right - left) * (bottom - top)
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        shared = width.clip(0) * height.clip(0)
        order = rest[shared <= threshold * (areas[best] + areas[rest] - shared)]
    return np.array(kept, np.int64)


def program(name: str) -> Any:
    if name == "facestream":
        return FacestreamChain()
    kind, _, setting = name.partition(":")
    if kind == "facestream-detect":
        detector, _, size = setting.partition("@")
        return Facestream(detector, int(size) if size else None)
    if kind == "dlib":
        return Dlib(int(setting or 0))
    return {"facenet-pytorch": FacenetPytorch, "mediapipe": Mediapipe, "opencv-haar": Haar}[kind]()


def measured(finder: Any, path: str, batch: int) -> dict[str, Any]:
    frames = finder.prepare(np.load(path))
    before = getattr(finder, "spent_on_stand_in", 0.0)
    faces: list[np.ndarray] = []
    cpu, wall = time.process_time(), time.perf_counter()
    for first in range(0, len(frames), batch):
        faces += finder.detect(frames[first : first + batch])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    aside = getattr(finder, "spent_on_stand_in", 0.0) - before
    return {"cpu": cpu - aside, "wall": wall - aside, "faces": [np.asarray(each).tolist() for each in faces]}


def main(name: str, cores: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the program prints doesn't mix with the answers
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})  # before it counts them
    finder = program(name)
    print(json.dumps({"ready": finder.about}), file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(measured(finder, question["frames"], question["batch"])), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
