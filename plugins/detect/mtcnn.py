"""MTCNN: three small networks, each looking closer at what the one before let through (Zhang et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from facestream.plugins.base import TorchModel, check_finite
from facestream.plugins.detect.base import Candidates
from facestream.plugins.detect.cards import MTCNN
from facestream.plugins.letterbox import Letterbox, letterbox
from facestream.plugins.nms import suppress_batch
from facestream.plugins.weights import Arrays
from facestream.stream.types import Detections, Floats, Image, Ints

WINDOW, STRIDE = 12, 2  # the proposal network's field and step
PROPOSAL_THRESHOLD, REFINEMENT_THRESHOLD = 0.6, 0.7
PYRAMID_FACTOR = 0.709
LEAST_FACE = 20  # pixels of the canvas


class Mtcnn(TorchModel):
    """RGB −1…1 → boxes, scores and five points. All three steps run in ``infer``, each on the whole batch.

    Args:
        size: pixels of the long side that a frame is scaled to; None means the card's.
        threshold: the least score of a detection; None means the card's.
        batch_size: frames at a time; None means the card's.
    """

    card = MTCNN
    compilable = False  # each level of the pyramid has a size of its own

    def __init__(
        self, *, size: int | None = None, threshold: float | None = None, batch_size: int | None = None
    ) -> None:
        super().__init__(batch_size=batch_size)
        self.size = size or self.card.input_size
        self.threshold = threshold if threshold is not None else (self.card.threshold or 0.7)

    @staticmethod
    def network() -> nn.Module:
        return nn.ModuleDict({"proposal": Proposal(), "refinement": Refinement(), "output": Output()})

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        """Three plain state dicts: loaded as tensors only, nothing else is unpickled."""
        return {
            f"{part}.{key}": tensor.numpy()
            for part, file in zip(("proposal", "refinement", "output"), files)
            for key, tensor in torch.load(file, map_location="cpu", weights_only=True).items()
        }

    def pre_process(self, images: Sequence[Image]) -> Letterbox:
        return letterbox(images, self.size, rgb=True)

    def infer(self, feed: Letterbox) -> Candidates:
        found = self._propose(feed.on_host) if len(feed) else _nothing()
        if len(found.scores):
            found = self._refine(feed.on_host, found)
        return self._finish(feed.on_host, found) if len(found.scores) else _nothing()

    def post_process(self, raw: Candidates, feed: Letterbox) -> list[Detections]:
        corners = feed.to_frame(raw.boxes.reshape(-1, 2, 2), raw.frame_ids).reshape(-1, 4)
        assert raw.points is not None
        points = feed.to_frame(raw.points, raw.frame_ids)
        rows = [np.flatnonzero(raw.frame_ids == frame) for frame in range(len(feed))]
        return [Detections(corners[mine], raw.scores[mine], points[mine]) for mine in rows]

    def _propose(self, canvas: Image) -> Candidates:
        """Every window of a pyramid that may hold a face."""
        levels = [self._propose_at(canvas, scale) for scale in _scales(canvas)]
        if not levels:
            return _nothing()
        frame_ids, boxes, scores = (np.concatenate(parts) for parts in zip(*levels))
        return _squared(_kept(frame_ids, boxes, scores, 0.7, len(canvas)))

    def _propose_at(self, canvas: Image, scale: float) -> tuple[Ints, Floats, Floats]:
        height, width = (max(int(side * scale), WINDOW) for side in canvas.shape[1:3])
        level = np.stack([cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in canvas])
        scores, deltas = self.forward(np.asarray(level, np.uint8), "proposal")
        frame, row, column = np.nonzero(scores[:, 0] >= PROPOSAL_THRESHOLD)
        ratio = np.array([canvas.shape[2] / width, canvas.shape[1] / height] * 2, np.float32)
        corner = np.stack([column, row], 1) * STRIDE
        windows = np.concatenate([corner, corner + WINDOW], 1)
        boxes = ((windows + deltas[frame, :, row, column] * WINDOW) * ratio).astype(np.float32)
        found = _kept(frame.astype(np.int32), boxes, scores[frame, 0, row, column], 0.5, len(canvas))
        return found.frame_ids, found.boxes, found.scores

    def _refine(self, canvas: Image, found: Candidates) -> Candidates:
        scores, deltas = self.forward(_patches(canvas, found, 24), "refinement")
        sure = scores[:, 0] >= REFINEMENT_THRESHOLD
        boxes = _moved(found.boxes[sure], deltas[sure])
        return _squared(_kept(found.frame_ids[sure], boxes, scores[sure, 0], 0.7, len(canvas)))

    def _finish(self, canvas: Image, found: Candidates) -> Candidates:
        scores, deltas, offsets = self.forward(_patches(canvas, found, 48), "output")
        sure = scores[:, 0] >= self.threshold
        frame_ids, squares, scores = found.frame_ids[sure], found.boxes[sure], scores[sure, 0]
        points = squares[:, None, :2] + offsets[sure].reshape(-1, 2, 5).transpose(0, 2, 1) * _sides(squares)[:, None]
        boxes = _moved(squares, deltas[sure])
        rows = np.concatenate(suppress_batch(frame_ids, boxes, scores, 0.7, len(canvas), of_smaller=True))
        return Candidates(frame_ids[rows], boxes[rows], scores[rows], points[rows].astype(np.float32))

    def _warm_up(self) -> None:
        for part, side in (("proposal", WINDOW), ("refinement", 24), ("output", 48)):
            check_finite(self.name, self.forward(np.zeros((1, side, side, 3), np.uint8), part))


class Proposal(nn.Module):
    """(B, 3, H, W) → probability (B, 1, h, w) and box deltas (B, 4, h, w) of each 12 × 12 window, 2 pixels apart."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[:, 1:], self.conv4_2(x)


class Refinement(nn.Module):
    """(N, 3, 24, 24) → probability (N, 1) and box deltas (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.prelu3(self.conv3(x))
        x = self.prelu4(self.dense4(_flat(x)))
        return self.dense5_1(x).softmax(1)[:, 1:], self.dense5_2(x)


class Output(nn.Module):
    """(N, 3, 48, 48) → probability (N, 1), box deltas (N, 4) and points (N, 10): five x, then five y."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu4(self.conv4(x))
        x = self.prelu5(self.dense5(_flat(x)))
        return self.dense6_1(x).softmax(1)[:, 1:], self.dense6_2(x), self.dense6_3(x)


def _flat(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, W·H·C): the order of the framework that the weights come from."""
    return x.permute(0, 3, 2, 1).flatten(1)


def _scales(canvas: Image) -> Iterator[float]:
    """Down from where the least face fills the window until the window fills the canvas."""
    scale = WINDOW / LEAST_FACE
    while min(canvas.shape[1:3]) * scale >= WINDOW:
        yield scale
        scale *= PYRAMID_FACTOR


def _patches(canvas: Image, found: Candidates, size: int) -> Image:
    """Each candidate's box, cut out of its canvas and scaled: uint8 (N, size, size, 3). Boxes end at the canvas."""
    height, width = canvas.shape[1:3]
    boxes = np.rint(found.boxes).astype(int)
    low = np.clip(boxes[:, :2], 0, (width - 1, height - 1))
    high = np.clip(boxes[:, 2:], low + 1, (width, height))
    patches = np.empty((len(boxes), size, size, 3), np.uint8)
    for patch, frame, (left, top), (right, bottom) in zip(patches, found.frame_ids, low, high):
        shrinks = right - left > size
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        cv2.resize(canvas[frame, top:bottom, left:right], (size, size), dst=patch, interpolation=way)
    return patches


def _kept(frame_ids: Ints, boxes: Floats, scores: Floats, threshold: float, frames: int) -> Candidates:
    rows = np.concatenate(suppress_batch(frame_ids, boxes, scores, threshold, frames))
    return Candidates(frame_ids[rows], boxes[rows], scores[rows])


def _moved(boxes: Floats, deltas: Floats) -> Floats:
    return np.asarray(boxes + deltas * np.tile(_sides(boxes), 2), np.float32)


def _squared(found: Candidates) -> Candidates:
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    half = _sides(found.boxes).max(axis=1, keepdims=True, initial=0) / 2
    return Candidates(found.frame_ids, np.concatenate([centres - half, centres + half], 1), found.scores)


def _sides(boxes: Floats) -> Floats:
    return np.asarray(boxes[:, 2:] - boxes[:, :2], np.float32)


def _nothing() -> Candidates:
    empty = np.zeros((0,), np.float32)
    return Candidates(np.zeros(0, np.int32), empty.reshape(0, 4), empty, empty.reshape(0, 5, 2))
