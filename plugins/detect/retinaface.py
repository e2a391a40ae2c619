"""RetinaFace on ResNet-50: anchors on a three-level feature pyramid with context modules (Deng et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.base import Outputs
from facestream.plugins.detect.anchors import decode_level
from facestream.plugins.detect.base import Candidates, TorchDetector
from facestream.plugins.detect.cards import RETINAFACE
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays

STRIDES = (8, 16, 32)
ANCHORS = np.array([[16, 32], [64, 128], [256, 512]], np.float32)  # two square ones in each cell, pixels


class RetinaFace(TorchDetector):
    """RGB 0–255 less the mean → boxes and scores. The published file's landmark head isn't used."""

    card = RETINAFACE
    iou = 0.4

    @staticmethod
    def network() -> nn.Module:
        return RetinaFaceNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        return published_state(files[0], RetinaFaceNetwork(), unused=("LandmarkHead.", "body.fc."))

    def decode(self, raw: Outputs) -> Candidates:
        found = [
            decode_level(level[:, :2], level[:, 2:], stride, anchors, self.threshold).candidates
            for level, stride, anchors in zip(raw, STRIDES, ANCHORS)
        ]
        ids, boxes, scores = ([getattr(each, part) for each in found] for part in ("frame_ids", "boxes", "scores"))
        return Candidates(np.concatenate(ids), np.concatenate(boxes), np.concatenate(scores))


_WIDTH = 256
_LAYERS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # ResNet-50: inner channels, blocks, stride
_EXPANSION = 4


class RetinaFaceNetwork(nn.Module):
    """(B, 3, H, W) → three maps (B, 10, H/s, W/s): both anchors' probabilities, then 4 box values of each.

    Keys as published (spec §17.6).
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = Trunk()
        self.fpn = Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = Context(), Context(), Context()
        self.ClassHead, self.BboxHead = (nn.ModuleList(Head(2 * values) for _ in STRIDES) for values in (2, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        levels = self.fpn(self.body(x))
        contexts = (self.ssh1, self.ssh2, self.ssh3)
        return tuple(self._heads(index, context(x)) for index, (context, x) in enumerate(zip(contexts, levels)))

    def _heads(self, level: int, x: Tensor) -> Tensor:
        logits = self.ClassHead[level](x)  # (B, 4, h, w): background and face of each anchor
        scores = (logits[:, 1::2] - logits[:, 0::2]).sigmoid()
        return torch.cat((scores, self.BboxHead[level](x)), dim=1)


class Trunk(nn.Module):
    """ResNet-50 (He et al. 2016) without its classifier: the outputs of its last three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for index, (inner, count, stride) in enumerate(_LAYERS, start=1):
            layer = nn.Sequential()
            for block in range(count):
                layer.append(Bottleneck(channels, inner, stride if block == 0 else 1))
                channels = inner * _EXPANSION
            self.add_module(f"layer{index}", layer)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        outputs = []
        for index in range(1, len(_LAYERS) + 1):
            x = self.get_submodule(f"layer{index}")(x)
            outputs.append(x)
        return outputs[1:]


class Bottleneck(nn.Module):
    """Narrow, convolve, widen; added to the input."""

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        outputs = inner * _EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = _convolution(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Pyramid(nn.Module):
    """Top-down: each coarser level is enlarged and added to the next finer one."""

    def __init__(self) -> None:
        super().__init__()
        for index, (inner, _, _) in enumerate(_LAYERS[1:], start=1):
            self.add_module(f"output{index}", _convolution(inner * _EXPANSION, _WIDTH, 1, active=True))
        self.merge1, self.merge2 = (_convolution(_WIDTH, _WIDTH, 3, active=True) for _ in range(2))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        fine, middle, coarse = (self.get_submodule(f"output{i}")(x) for i, x in enumerate(features, start=1))
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[2:]))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[2:]))
        return fine, middle, coarse


class Context(nn.Module):
    """SSH's context module: fields of 3 × 3, 5 × 5 and 7 × 7, the larger ones from stacked 3 × 3 convolutions."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = _WIDTH // 2, _WIDTH // 4
        self.conv3X3 = _convolution(_WIDTH, half, 3)
        self.conv5X5_1 = _convolution(_WIDTH, quarter, 3, active=True)
        self.conv5X5_2 = _convolution(quarter, quarter, 3)
        self.conv7X7_2 = _convolution(quarter, quarter, 3, active=True)
        self.conv7x7_3 = _convolution(quarter, quarter, 3)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.conv5X5_1(x)
        fields = (self.conv3X3(x), self.conv5X5_2(narrow), self.conv7x7_3(self.conv7X7_2(narrow)))
        return F.relu(torch.cat(fields, dim=1))


class Head(nn.Module):
    """A 1 × 1 convolution under its published name."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(_WIDTH, values, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1x1(x)
        return y


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, active: bool = False) -> nn.Sequential:
    layers = nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )
    return layers.append(nn.ReLU()) if active else layers
