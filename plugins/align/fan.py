"""FAN: four stacked hourglasses that draw a heatmap for each of 68 points (Bulat, Tzimiropoulos 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.align.base import TorchAligner
from facestream.plugins.align.cards import FAN
from facestream.plugins.align.heatmaps import decode_heatmaps
from facestream.plugins.align.roi import Squares
from facestream.plugins.base import Outputs
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays
from facestream.stream.types import ExtractBatch, Floats

CELL = 4  # crop pixels of a heatmap's cell


class Fan(TorchAligner):
    """RGB 0–1 → 68 points; a face's confidence is the mean height of its peaks."""

    card = FAN

    @staticmethod
    def network() -> nn.Module:
        return FanNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        return published_state(files[0], FanNetwork())

    def squares(self, batch: ExtractBatch) -> Squares:
        """Upright, 0.8 × width and height together, in whole pixels; the corner at the top left is moved inwards."""
        left, top, right, bottom = batch.boxes.T
        centres = np.rint(np.stack([left + right, top + bottom], -1) / 2)
        sizes = (right - left + bottom - top) * 0.8
        halves, inset = np.rint(sizes / 2), np.rint(sizes / self.card.input_size)
        return Squares(
            np.asarray(centres + inset[:, None] / 2, np.float32),
            np.maximum(2 * halves - inset, 1).astype(np.float32),
            np.zeros(len(centres), np.float32),
        )

    def decode(self, raw: Outputs) -> tuple[Floats, Floats]:
        points, peaks = decode_heatmaps(raw[0])
        return points * CELL, peaks.mean(axis=1).clip(0, 1)


_STACKS = 4
_DEPTH = 4
_WIDTH = 256
_POINTS = 68


class FanNetwork(nn.Module):
    """(B, 3, 256, 256) → the last hourglass's heatmaps (B, 68, 64, 64). Keys as published (spec §17.6)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.BatchNorm2d(64)
        self.conv2, self.conv3, self.conv4 = Block(64, 128), Block(128, 128), Block(128, _WIDTH)
        for i in range(_STACKS):
            self.add_module(f"m{i}", Hourglass())
            self.add_module(f"top_m0_{i}", Block(_WIDTH, _WIDTH))
            self.add_module(f"conv_last{i}", nn.Conv2d(_WIDTH, _WIDTH, 1))
            self.add_module(f"bn_end{i}", nn.BatchNorm2d(_WIDTH))
            self.add_module(f"l{i}", nn.Conv2d(_WIDTH, _POINTS, 1))
            if i < _STACKS - 1:
                self.add_module(f"bl{i}", nn.Conv2d(_WIDTH, _WIDTH, 1))
                self.add_module(f"al{i}", nn.Conv2d(_POINTS, _WIDTH, 1))

    def forward(self, x: Tensor) -> Tensor:
        part = self.get_submodule
        x = F.relu(self.bn1(self.conv1(x)))  # 128²
        x = self.conv4(self.conv3(F.avg_pool2d(self.conv2(x), 2)))  # 64²
        for i in range(_STACKS):
            features = part(f"conv_last{i}")(part(f"top_m0_{i}")(part(f"m{i}")(x)))
            features = F.relu(part(f"bn_end{i}")(features))
            maps: Tensor = part(f"l{i}")(features)
            if i < _STACKS - 1:  # the next hourglass sees what this one saw, felt and said
                x = x + part(f"bl{i}")(features) + part(f"al{i}")(maps)
        return maps


class Hourglass(nn.Module):
    """Four levels, each a way past it at its own size, and a way down through half the size and up again."""

    def __init__(self) -> None:
        super().__init__()
        for level in range(_DEPTH, 0, -1):
            for name in ("b1", "b2", "b3"):
                self.add_module(f"{name}_{level}_0", Block(_WIDTH, _WIDTH))
        self.b2_plus_1_0 = Block(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self._level(_DEPTH, x)

    def _level(self, level: int, x: Tensor) -> Tensor:
        past, before, after = (self.get_submodule(f"{name}_{level}_0") for name in ("b1", "b2", "b3"))
        low = before(F.avg_pool2d(x, 2))
        low = after(self._level(level - 1, low) if level > 1 else self.b2_plus_1_0(low))
        y: Tensor = past(x) + F.interpolate(low, scale_factor=2.0, mode="nearest")
        return y


class Block(nn.Module):
    """Three convolutions in a row, of a half, a quarter and a quarter of the channels; all kept, plus the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, half, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        self.downsample: nn.Sequential | None = None
        if inputs != outputs:
            self.downsample = nn.Sequential(
                nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False)
            )

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(F.relu(self.bn1(x)))
        second = self.conv2(F.relu(self.bn2(first)))
        third = self.conv3(F.relu(self.bn3(second)))
        return torch.cat((first, second, third), dim=1) + (x if self.downsample is None else self.downsample(x))
