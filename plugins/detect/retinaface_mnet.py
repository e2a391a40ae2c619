"""RetinaFace on MobileNet × 0.25: anchors on a three-level feature pyramid with context modules (Deng et al. 2020)."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.base import Outputs
from facestream.plugins.detect.anchors import CENTRE_VARIANCE, decode_level
from facestream.plugins.detect.base import Candidates, TorchDetector
from facestream.plugins.detect.cards import RETINAFACE_MNET
from facestream.plugins.onnx_file import read_convolutions
from facestream.plugins.torch_state import in_order
from facestream.plugins.weights import Arrays
from facestream.stream.types import Floats, Ints

STRIDES = (8, 16, 32)
ANCHORS = np.array([[16, 32], [64, 128], [256, 512]], np.float32)  # two square ones in each cell, pixels


class RetinaFaceMnet(TorchDetector):
    """BGR 0–255 less the mean → boxes, scores and five points."""

    card = RETINAFACE_MNET
    iou = 0.4
    sure = 0.999

    @staticmethod
    def network() -> nn.Module:
        return RetinaFaceMnetNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        """The published file is Python text, one line ``WEIGHTS = b'…'`` holding an ONNX: parsed, never run."""
        (assignment,) = ast.parse(files[0].read_bytes()).body
        if not isinstance(assignment, ast.Assign):
            raise ValueError(f"{files[0].name} isn't an assignment")
        return in_order(RetinaFaceMnetNetwork(), read_convolutions(ast.literal_eval(assignment.value)))

    def decode(self, raw: Outputs) -> Candidates:
        """See :func:`decode_level`; points are offsets like the centre's."""
        found = [self._decode_level(*level) for level in zip(raw, STRIDES, ANCHORS)]
        return Candidates(*(np.concatenate(parts) for parts in zip(*found)))

    def _decode_level(self, level: Floats, stride: int, anchors: Floats) -> tuple[Ints, Floats, Floats, Floats]:
        batch, _, height, width = level.shape
        found = decode_level(level[:, :2], level[:, 2:10], stride, anchors, self.threshold)
        offsets = level[:, 10:].reshape(batch, 2, 10, height, width)[found.cells].reshape(-1, 5, 2)
        points = found.priors[:, None] + offsets * CENTRE_VARIANCE * found.sides[:, None]
        return found.candidates.frame_ids, found.candidates.boxes, found.candidates.scores, points


# MobileNet × 0.25: output channels and stride of each separable block, in the three stages whose outputs are used.
_STAGES = (
    ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1)),
    ((128, 2), (128, 1), (128, 1), (128, 1), (128, 1), (128, 1)),
    ((256, 2), (256, 1)),
)
_WIDTH = 64


class RetinaFaceMnetNetwork(nn.Module):
    """(B, 3, H, W) → three maps (B, 30, H/s, W/s): for both anchors the probability, then 4 box and 10 point values.

    The convolutions are declared in the order of the published file's graph, which is how their weights find them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 8, 3, stride=2)
        self.stages = nn.ModuleList()
        channels = 8
        for table in _STAGES:
            stage = nn.Sequential()
            for outputs, stride in table:
                stage.append(_convolution(channels, channels, 3, stride=stride, groups=channels))
                stage.append(_convolution(channels, outputs, 1))
                channels = outputs
            self.stages.append(stage)
        self.lateral = nn.ModuleList(_convolution(table[-1][0], _WIDTH, 1) for table in _STAGES)
        self.merge_middle = _convolution(_WIDTH, _WIDTH, 3)
        self.merge_fine = _convolution(_WIDTH, _WIDTH, 3)
        self.context = nn.ModuleList(Context() for _ in STRIDES)
        self.classes, self.boxes, self.points = (
            nn.ModuleList(nn.Conv2d(_WIDTH, 2 * values, 1) for _ in STRIDES) for values in (2, 4, 10)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        features = []
        for stage, lateral in zip(self.stages, self.lateral):
            x = stage(x)
            features.append(lateral(x))
        return tuple(self._heads(level, x) for level, x in enumerate(self._pyramid(features)))

    def _pyramid(self, features: list[Tensor]) -> list[Tensor]:
        """Top-down: each coarser level is doubled and added to the next finer one."""
        fine, middle, coarse = features
        middle = self.merge_middle(middle + F.interpolate(coarse, scale_factor=2.0))
        fine = self.merge_fine(fine + F.interpolate(middle, scale_factor=2.0))
        return [fine, middle, coarse]

    def _heads(self, level: int, x: Tensor) -> Tensor:
        x = self.context[level](x)
        logits = self.classes[level](x)  # (B, 4, h, w): background and face of each anchor
        scores = (logits[:, 1::2] - logits[:, 0::2]).sigmoid()
        return torch.cat((scores, self.boxes[level](x), self.points[level](x)), dim=1)


class Context(nn.Module):
    """SSH's context module: fields of 3 × 3, 5 × 5 and 7 × 7, the larger ones from stacked 3 × 3 convolutions."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = _WIDTH // 2, _WIDTH // 4
        self.field3 = nn.Conv2d(_WIDTH, half, 3, padding=1)
        self.narrow = _convolution(_WIDTH, quarter, 3)
        self.field5 = nn.Conv2d(quarter, quarter, 3, padding=1)
        self.field7 = nn.Sequential(_convolution(quarter, quarter, 3), nn.Conv2d(quarter, quarter, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.narrow(x)
        return F.relu(torch.cat((self.field3(x), self.field5(narrow), self.field7(narrow)), dim=1))


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups),
        nn.LeakyReLU(0.1, inplace=True),
    )
