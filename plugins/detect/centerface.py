"""CenterFace: faces as points of a heat map, on MobileNetV2 (Xu et al. 2019). The default on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facestream.plugins.base import Outputs
from facestream.plugins.detect.base import Candidates, TorchDetector
from facestream.plugins.detect.cards import CENTERFACE
from facestream.plugins.on_device_boxes import Cells, grid
from facestream.plugins.onnx_file import read_convolutions
from facestream.plugins.torch_state import in_order
from facestream.plugins.weights import Arrays

STRIDE = 4


class CenterFace(TorchDetector):
    """RGB 0–255 → boxes, scores and five points."""

    card = CENTERFACE
    sure = 0.85

    @staticmethod
    def network() -> nn.Module:
        return CenterFaceNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        return in_order(CenterFaceNetwork(), read_convolutions(files[0].read_bytes()))

    def decode(self, raw: Outputs) -> Candidates:
        """A cell is a face's centre; points are in box sizes from its corner. Maps are y before x."""
        heat, size, offset, points = raw
        frame, row, column = np.nonzero(heat[:, 0] >= self.threshold)
        cells = (frame, slice(None), row, column)
        centre = np.stack([column, row], 1) + offset[cells][:, ::-1] + 0.5  # (N, 2) x, y
        extent = np.exp(size[cells][:, ::-1])  # (N, 2) w, h
        corner = (centre - extent / 2) * STRIDE
        extent *= STRIDE
        inside = points[cells].reshape(-1, 5, 2)[:, :, ::-1]
        return Candidates(
            frame_ids=frame.astype(np.int32),
            boxes=np.concatenate([corner, corner + extent], 1).astype(np.float32),
            scores=heat[frame, 0, row, column],
            points=(corner[:, None] + inside * extent[:, None]).astype(np.float32),
        )

    def cells(self, raw: tuple[Tensor, ...]) -> Cells:
        """The same of every cell, as torch does it."""
        heat, size, offset, points = (values.flatten(2).transpose(1, 2) for values in raw)  # (B, cells, values)
        extent = size.flip(-1).exp()
        corner = (grid(raw[0]) + offset.flip(-1) + 0.5 - extent / 2) * STRIDE
        extent = extent * STRIDE
        inside = points.reshape(len(points), -1, 5, 2).flip(-1)
        placed = corner[:, :, None] + inside * extent[:, :, None]
        return Cells(torch.cat([corner, corner + extent], 2), heat[..., 0], placed.flatten(2))


# MobileNetV2's table (Sandler et al. 2018): expansion, channels, blocks, stride of the first.
_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_TAPS = (1, 2, 4, 6)  # rows of the table whose outputs feed the neck, at strides 4, 8, 16 and 32
_TAPPED = (24, 32, 96, 320)
_NECK = 24


class CenterFaceNetwork(nn.Module):
    """(B, 3, H, W) → heat (B, 1, H/4, W/4), log size (2: h, w), offset (2: y, x), points (10: y, x pairs).

    The convolutions are declared in the order of the published file's graph, which is how their weights find
    them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 32, 3, stride=2)
        self.rows = nn.ModuleList()
        channels = 32
        for expansion, width, count, stride in _BLOCKS:
            row = nn.Sequential()
            for index in range(count):
                row.append(InvertedResidual(channels, width, expansion, stride if index == 0 else 1))
                channels = width
            self.rows.append(row)
        self.top = _convolution(_TAPPED[-1], _NECK, 1)
        self.merges = nn.ModuleList(Merge(width) for width in _TAPPED[-2::-1])  # coarse to fine
        self.feature = _convolution(_NECK, _NECK, 3)
        self.heads = nn.ModuleList(nn.Conv2d(_NECK, values, 1) for values in (1, 2, 2, 10))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        taps = []
        for index, row in enumerate(self.rows):
            x = row(x)
            if index in _TAPS:
                taps.append(x)
        x = self.top(taps.pop())
        for merge in self.merges:
            x = merge(x, taps.pop())
        x = self.feature(x)
        heat, size, offset, points = (head(x) for head in self.heads)
        return heat.sigmoid(), size, offset, points


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, project; added to its input where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.layers = nn.Sequential() if expansion == 1 else _convolution(inputs, hidden, 1)
        self.layers.extend(_convolution(hidden, hidden, 3, stride=stride, groups=hidden))
        self.layers.append(nn.Conv2d(hidden, outputs, 1))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class Merge(nn.Module):
    """The coarser map, doubled, plus the finer one's projection."""

    def __init__(self, finer: int) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.ConvTranspose2d(_NECK, _NECK, 2, stride=2), nn.ReLU(inplace=True))
        self.lateral = _convolution(finer, _NECK, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        merged: Tensor = self.up(coarse) + self.lateral(fine)
        return merged


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups),
        nn.ReLU(inplace=True),
    )
