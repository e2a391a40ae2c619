"""YuNet: a 53-thousand-parameter face detector (Wu, Peng, Yu 2023). The default on a CPU."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.base import Outputs
from facestream.plugins.detect.base import Candidates, TorchDetector
from facestream.plugins.detect.cards import YUNET
from facestream.plugins.on_device_boxes import Cells, grid
from facestream.plugins.onnx_file import read_convolutions
from facestream.plugins.openvino_network import SHAPES
from facestream.plugins.torch_state import in_order
from facestream.plugins.weights import Arrays
from facestream.stream.types import Floats

STRIDES = (8, 16, 32)
VALUES = 16  # of a cell


class YuNet(TorchDetector):
    """BGR 0–255 → boxes, scores and five points, anchor-free at strides 8, 16 and 32."""

    card = YUNET
    sure = 0.92

    @staticmethod
    def network() -> nn.Module:
        return YuNetNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        return in_order(YuNetNetwork(), read_convolutions(files[0].read_bytes()))

    def decode(self, raw: Outputs) -> Candidates:
        """Score = √(class · objectness), both given as logits; offsets in strides from the cell's corner, sizes as
        logarithms.
        """
        # All levels in one: after a network nothing is left in the caches, and each call of numpy's takes a while.
        values = np.concatenate([level.transpose(0, 2, 3, 1).reshape(len(level), -1, VALUES) for level in raw], 1)
        places = _grid(tuple(level.shape[2:] for level in raw))
        sure = np.flatnonzero(np.minimum(values[..., 0], values[..., 1]) >= self._least_logit)
        values, (frame_ids, cells) = values.reshape(-1, VALUES)[sure], np.divmod(sure, len(places))
        scores = _score(values)
        if not (scores >= self.threshold).all():
            sure = np.flatnonzero(scores >= self.threshold)
            values, frame_ids, cells, scores = values[sure], frame_ids[sure], cells[sure], scores[sure]
        corners, strides = places[cells, None, :2], places[cells, None, 2:]
        half = np.exp(values[:, 4:6]) / 2
        values[:, 4:6] = values[:, 2:4] + half
        values[:, 2:4] -= half
        xy = (values[:, 2:].reshape(-1, 7, 2) + corners) * strides
        return Candidates(frame_ids.astype(np.int32), xy[:, :2].reshape(-1, 4), scores, xy[:, 2:])

    @property
    def _least_logit(self) -> float:
        """Below it neither of the two is in a cell whose score reaches the threshold: most cells end here."""
        least = min(max(self.threshold, 1e-6), 1 - 1e-6) ** 2
        return math.log(least / (1 - least)) - 1e-3

    def cells(self, raw: tuple[Tensor, ...]) -> Cells:
        """The same of every cell, as torch does it."""
        levels = [_level_cells(level, stride) for level, stride in zip(raw, STRIDES)]
        return Cells(*(torch.cat(parts, 1) for parts in zip(*levels)))


def _level_cells(level: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    values = level.flatten(2).transpose(1, 2)  # (B, cells, 16)
    corner = grid(level)
    centre, half = corner + values[..., 2:4], values[..., 4:6].exp() / 2
    boxes = torch.cat([centre - half, centre + half], 2) * stride
    points = (corner[:, :, None] + values[..., 6:].reshape(len(values), -1, 5, 2)) * stride
    return boxes, values[..., :2].sigmoid().prod(2).sqrt(), points.flatten(2)


@functools.lru_cache(maxsize=SHAPES)
def _grid(shapes: tuple[tuple[int, int], ...]) -> Floats:
    """Of each cell of the three maps, (h, w) each, row after row: its corner's x and y in strides, and the stride."""
    levels = []
    for (height, width), stride in zip(shapes, STRIDES, strict=True):
        y, x = np.divmod(np.arange(height * width), width)
        levels.append(np.stack([x, y, np.full(len(x), stride)], 1))
    return np.concatenate(levels).astype(np.float32)


def _score(values: Floats) -> Floats:
    inverse = np.exp(-values[:, :2])
    inverse += 1
    return np.asarray(1 / np.sqrt(inverse[:, 0] * inverse[:, 1]), np.float32)


class Separable(nn.Sequential):
    """A pointwise then a depthwise convolution, without anything between."""

    def __init__(self, inputs: int, outputs: int, *, active: bool = True) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 1),
            nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs),
        )
        if active:
            self.append(nn.ReLU(inplace=True))


class YuNetNetwork(nn.Module):
    """(B, 3, H, W) → three maps (B, 16, H/s, W/s): logits of class and objectness, 4 box and 10 point values.

    The convolutions are declared in the order of the published file's graph, which is how their weights find
    them.
    """

    def __init__(self) -> None:
        super().__init__()
        pool = nn.MaxPool2d(2)
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(inplace=True), Separable(16, 16))
        self.shallow = nn.Sequential(pool, Separable(16, 16), Separable(16, 32), Separable(32, 32), Separable(32, 64))
        self.stages = nn.ModuleList(nn.Sequential(pool, Separable(64, 64), Separable(64, 64)) for _ in STRIDES)
        self.lateral = nn.ModuleList(Separable(64, 64) for _ in STRIDES)  # coarse to fine
        self.classes, self.boxes, self.objects, self.points = (
            nn.ModuleList(Separable(64, values, active=False) for _ in STRIDES) for values in (1, 4, 1, 10)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.shallow(self.stem(x))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(self._heads(level, x) for level, x in enumerate(self._pyramid(features)))

    def _pyramid(self, features: list[Tensor]) -> list[Tensor]:
        """Top-down: each coarser level is doubled and added to the next finer one."""
        fine, middle, coarse = features
        coarse = self.lateral[0](coarse)
        middle = self.lateral[1](middle + F.interpolate(coarse, scale_factor=2.0))
        fine = self.lateral[2](fine + F.interpolate(middle, scale_factor=2.0))
        return [fine, middle, coarse]

    def _heads(self, level: int, x: Tensor) -> Tensor:
        """All four at once: what has one weight for each output channel can share a convolution."""
        heads = [part[level].children() for part in (self.classes, self.objects, self.boxes, self.points)]
        pointwise, depthwise = zip(*heads)
        x = F.conv2d(x, *_together(pointwise))
        return F.conv2d(x, *_together(depthwise), padding=1, groups=VALUES)


def _together(convolutions: Sequence[nn.Module]) -> tuple[Tensor, Tensor]:
    """Weights and bias of one convolution that gives the outputs of all of them."""
    weights, biases = zip(*((each.weight, each.bias) for each in convolutions))
    return torch.cat(weights), torch.cat(biases)
