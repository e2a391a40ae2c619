"""HRNet-W18: four resolutions side by side, exchanged again and again, then 68 heatmaps (Wang, Sun et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.align.base import TorchAligner
from facestream.plugins.align.cards import HRNET
from facestream.plugins.align.heatmaps import decode_heatmaps
from facestream.plugins.align.roi import Squares
from facestream.plugins.base import Outputs
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays
from facestream.stream.types import ExtractBatch, Floats

CELL = 4  # crop pixels of a heatmap's cell


class HrNet(TorchAligner):
    """RGB 0–1, ImageNet's mean and deviation → 68 points; a face's confidence is the mean height of its peaks."""

    card = HRNET
    roi_scale = 1.25

    @staticmethod
    def network() -> nn.Module:
        return HrNetNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        return published_state(files[0], HrNetNetwork())

    def squares(self, batch: ExtractBatch) -> Squares:
        """Upright (the published weights were trained on faces turned all ways), in whole pixels."""
        low, high = batch.boxes[:, :2], batch.boxes[:, 2:]
        halves = np.rint((high - low).max(axis=1, initial=0) * self.roi_scale / 2)
        centres = np.rint((low + high) / 2).astype(np.float32)
        return Squares(centres, np.maximum(2 * halves, 1).astype(np.float32), np.zeros(len(centres), np.float32))

    def decode(self, raw: Outputs) -> tuple[Floats, Floats]:
        points, peaks = decode_heatmaps(raw[0])
        return points * CELL, peaks.mean(axis=1).clip(0, 1)


_WIDTHS = (18, 36, 72, 144)  # channels of each resolution, the finest first
_STAGES = ((2, 1), (3, 4), (4, 3))  # stages 2 to 4: resolutions and modules
_POINTS = 68


class HrNetNetwork(nn.Module):
    """(B, 3, 256, 256) → heatmaps (B, 68, 64, 64). Keys as published (spec §17.6)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Bottleneck(64), *(Bottleneck(256) for _ in range(3)))
        self.transition1 = nn.ModuleList(
            (_convolution(256, _WIDTHS[0], active=True), nn.Sequential(_convolution(256, _WIDTHS[1], 2, active=True)))
        )
        for stage, (count, modules) in enumerate(_STAGES, start=2):
            blocks = BasicBlock if stage == 2 else AttentionBlock
            self.add_module(f"stage{stage}", nn.Sequential(*(Exchange(count, blocks) for _ in range(modules))))
            if stage < 4:
                new = nn.Sequential(_convolution(_WIDTHS[count - 1], _WIDTHS[count], 2, active=True))
                old = (nn.Identity() for _ in range(count))
                self.add_module(f"transition{stage}", nn.ModuleList((*old, new)))
        total = sum(_WIDTHS)
        self.head = nn.Sequential(
            nn.Conv2d(total, total, 1), nn.BatchNorm2d(total), nn.ReLU(), nn.Conv2d(total, _POINTS, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        x = self.layer1(x)  # 64²
        levels = [transition(x) for transition in self.transition1]
        for stage in (2, 3, 4):
            if stage > 2:
                coarser = self.get_submodule(f"transition{stage - 1}.{len(levels)}")
                levels.append(coarser(levels[-1]))
            levels = self.get_submodule(f"stage{stage}")(levels)
        y: Tensor = self.head(torch.cat([_resized(level, levels[0]) for level in levels], dim=1))
        return y


class Exchange(nn.Module):
    """Four blocks at each resolution, then every resolution gets the sum of all, resized."""

    def __init__(self, count: int, block: type[BasicBlock]) -> None:
        super().__init__()
        widths = _WIDTHS[:count]
        self.branches = nn.ModuleList(nn.Sequential(*(block(width) for _ in range(4))) for width in widths)
        self.fuse_layers = nn.ModuleList(nn.ModuleList(_bridge(j, i) for j in range(count)) for i in range(count))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        levels = [branch(level) for branch, level in zip(self.branches, levels)]
        return [F.relu(self._sum(i, levels)) for i in range(len(levels))]

    def _sum(self, i: int, levels: Sequence[Tensor]) -> Tensor:
        total = levels[i]
        for j, level in enumerate(levels):
            if j != i:
                total = total + _resized(self.get_submodule(f"fuse_layers.{i}.{j}")(level), levels[i])
        return total


def _bridge(source: int, target: int) -> nn.Module:
    """From one resolution to another: halved step by step, or its channels matched and then resized."""
    if source == target:
        return nn.Identity()
    inputs, outputs = _WIDTHS[source], _WIDTHS[target]
    if source > target:
        return _convolution(inputs, outputs, kernel=1)
    steps = [_convolution(inputs, inputs, 2, active=True) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, _convolution(inputs, outputs, 2))


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.change(x) + x)

    def change(self, x: Tensor) -> Tensor:
        """What is added to the input."""
        y: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return y


class AttentionBlock(BasicBlock):
    """The same; what is added is first gated, cell by cell and channel by channel, by a squeezed look at itself."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        squeezed = width // 4
        self.att1 = _convolution(width, squeezed, kernel=1, active=True)
        self.att2, self.att_bn1 = nn.Conv2d(squeezed, squeezed, 3, padding=1, bias=False), nn.BatchNorm2d(squeezed)
        self.att3, self.att_bn2 = nn.Conv2d(squeezed, width, 1, bias=False), nn.BatchNorm2d(width)

    def change(self, x: Tensor) -> Tensor:
        y = super().change(x)
        squeezed = F.relu(self.att_bn1(self.att2(self.att1(y))))
        gate: Tensor = self.att_bn2(self.att3(squeezed)).sigmoid()
        return y * gate


class Bottleneck(nn.Module):
    """Narrow to 64, convolve, widen to 256; added to the input."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, 64, 1, bias=False), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        self.conv3, self.bn3 = nn.Conv2d(64, 256, 1, bias=False), nn.BatchNorm2d(256)
        self.downsample = _convolution(inputs, 256, kernel=1) if inputs != 256 else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def _convolution(inputs: int, outputs: int, stride: int = 1, *, kernel: int = 3, active: bool = False) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    layers = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
    return layers.append(nn.ReLU()) if active else layers


def _resized(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
