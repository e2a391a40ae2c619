"""S3FD: anchors of one size on six levels of VGG-16, the finest with a max-out background (Zhang et al. 2017)."""

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
from facestream.plugins.detect.cards import S3FD
from facestream.plugins.letterbox import Letterbox
from facestream.plugins.nms import box_iou, suppress_batch
from facestream.plugins.on_device_boxes import Best
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays
from facestream.stream.types import Detections, Floats

STRIDES = (4, 8, 16, 32, 64, 128)
ANCHOR = 4  # strides


class S3fd(TorchDetector):
    """BGR 0–255 less the mean → boxes and scores."""

    card = S3FD
    iou = 0.5

    @staticmethod
    def network() -> nn.Module:
        return S3fdNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        return published_state(files[0], S3fdNetwork())

    def decode(self, raw: Outputs) -> Candidates:
        found = [self._decode_level(level, stride) for level, stride in zip(raw, STRIDES)]
        ids, boxes, scores = ([getattr(each, part) for each in found] for part in ("frame_ids", "boxes", "scores"))
        return Candidates(np.concatenate(ids), np.concatenate(boxes), np.concatenate(scores))

    def _decode_level(self, level: Floats, stride: int) -> Candidates:
        anchors = np.array([ANCHOR * stride], np.float32)
        return decode_level(level[:, :1], level[:, 1:], stride, anchors, self.threshold).candidates

    def post_process(self, raw: Outputs | list[Best], feed: Letterbox) -> list[Detections]:
        """As for every detector, but the boxes that a kept one suppresses take part in it: see :func:`vote`."""
        if isinstance(raw, list) or not raw:
            return super().post_process(raw, feed)
        found = self.decode(raw)
        corners = feed.to_frame(found.boxes.reshape(-1, 2, 2), found.frame_ids).reshape(-1, 4)
        kept = suppress_batch(found.frame_ids, corners, found.scores, self.iou, len(feed))
        result = []
        for frame, rows in enumerate(kept):
            mine = found.frame_ids == frame
            boxes = vote(corners[rows], corners[mine], found.scores[mine], self.iou)
            result.append(Detections(boxes, found.scores[rows]))
        return result


def vote(kept: Floats, boxes: Floats, scores: Floats, iou: float) -> Floats:
    """Each kept box → the score-weighted mean of itself and of those it suppressed (Gidaris, Komodakis 2015).

    Args:
        kept: (K, 4), best first.
        boxes, scores: (N, 4) and (N,), all of the frame, the kept ones among them.
        iou: overlap above which a box belongs to the first kept one that it overlaps so.
    """
    overlaps = box_iou(kept, boxes) > iou  # (K, N)
    first = overlaps & (np.cumsum(overlaps, axis=0) == 1)
    weights = first * scores
    total = weights.sum(axis=1, keepdims=True)
    mean = weights @ boxes / np.where(total > 0, total, 1)
    return np.where(total > 0, mean, kept).astype(np.float32)


_GROUPS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # VGG-16: channels and convolutions before each pooling
_NORMED = ("conv3_3_norm", "conv4_3_norm", "conv5_3_norm")
_SOURCES = {**dict(zip(_NORMED, (256, 512, 512))), "fc7": 1024, "conv6_2": 512, "conv7_2": 256}


class S3fdNetwork(nn.Module):
    """(B, 3, H, W) → six maps (B, 5, h, w): a face's probability and 4 box values. Keys as published (spec §17.6).

    The three finest maps have strides 4, 8 and 16; ``fc6`` pads by 3, so that from stride 32 on the maps are larger
    than the picture.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for group, (width, count) in enumerate(_GROUPS, start=1):
            for index in range(1, count + 1):
                self.add_module(f"conv{group}_{index}", nn.Conv2d(channels, width, 3, padding=1))
                channels = width
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=3)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1, self.conv6_2 = nn.Conv2d(1024, 256, 1), nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv7_1, self.conv7_2 = nn.Conv2d(512, 128, 1), nn.Conv2d(128, 256, 3, stride=2, padding=1)
        for name in _NORMED:
            self.add_module(name, L2Norm(_SOURCES[name]))
        for level, (name, width) in enumerate(_SOURCES.items()):
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(width, 4 if level == 0 else 2, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(width, 4, 3, padding=1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = {}
        for group, (_, count) in enumerate(_GROUPS, start=1):
            for index in range(1, count + 1):
                x = F.relu(self.get_submodule(f"conv{group}_{index}")(x))
            name = f"conv{group}_{count}_norm"
            if name in _NORMED:
                maps[name] = self.get_submodule(name)(x)
            x = F.max_pool2d(x, 2)
        maps["fc7"] = x = F.relu(self.fc7(F.relu(self.fc6(x))))
        maps["conv6_2"] = x = F.relu(self.conv6_2(F.relu(self.conv6_1(x))))
        maps["conv7_2"] = F.relu(self.conv7_2(F.relu(self.conv7_1(x))))
        return tuple(self._heads(name, maps[name]) for name in _SOURCES)

    def _heads(self, name: str, x: Tensor) -> Tensor:
        classes = self.get_submodule(f"{name}_mbox_conf")(x)  # backgrounds, then the face
        background = classes[:, :-1].amax(dim=1, keepdim=True)
        probability = (classes[:, -1:] - background).sigmoid()  # the softmax of two
        return torch.cat((probability, self.get_submodule(f"{name}_mbox_loc")(x)), dim=1)


class L2Norm(nn.Module):
    """Each cell's channels, scaled to unit length and then by a learnt weight each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        length = x.norm(dim=1, keepdim=True) + 1e-10
        y: Tensor = x / length * self.weight[:, None, None]
        return y
