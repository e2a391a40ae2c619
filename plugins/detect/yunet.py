"""YuNet: a 53-thousand-parameter face detector (Wu, Peng, Yu 2023). The default on a CPU."""

from __future__ import annotations

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
from facestream.plugins.torch_state import in_order
from facestream.plugins.weights import Arrays

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
        found = [self._sure_cells(level, stride) for level, stride in zip(raw, STRIDES)]
        frame_ids, scores, corners, strides, cells = (np.concatenate(parts) for parts in zip(*found))
        centre = corners + cells[:, 2:4]
        half = np.exp(cells[:, 4:6]) / 2
        boxes = np.concatenate([centre - half, centre + half], 1) * strides
        points = (corners[:, None] + cells[:, 6:].reshape(-1, 5, 2)) * strides[:, None]
        return Candidates(frame_ids, boxes, scores, points)

    def _sure_cells(self, level: np.ndarray, stride: int) -> tuple[np.ndarray, ...]:
        """Of N cells: frame (N,), score (N,), corner (N, 2) in strides, stride (N, 1), values (N, 16)."""
        places = np.nonzero(np.minimum(level[:, 0], level[:, 1]) >= self._least_logit)  # frame, row, column
        scores = _score(level[:, 0][places], level[:, 1][places])
        frame, row, column = (place[scores >= self.threshold] for place in places)
        corner = np.stack([column, row], 1).astype(np.float32)
        strides = np.full((len(frame), 1), stride, np.float32)
        values = level[frame, :, row, column]
        return frame.astype(np.int32), scores[scores >= self.threshold], corner, strides, values

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


def _score(class_: np.ndarray, objectness: np.ndarray) -> np.ndarray:
    return np.asarray(1 / np.sqrt((1 + np.exp(-class_)) * (1 + np.exp(-objectness))), np.float32)


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
        heads = [part[level] for part in (self.classes, self.objects, self.boxes, self.points)]
        pointwise, depthwise = ([head[step] for head in heads] for step in (0, 1))
        x = F.conv2d(x, *_together(pointwise))
        return F.conv2d(x, *_together(depthwise), padding=1, groups=VALUES)


def _together(convolutions: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Weights and bias of one convolution that gives the outputs of all of them."""
    weights, biases = zip(*((each.weight, each.bias) for each in convolutions))
    return torch.cat(weights), torch.cat(biases)
