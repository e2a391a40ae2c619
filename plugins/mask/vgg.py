"""Fully convolutional VGG-16 that tells a face from what covers it (Nirkin et al. 2018): two sizes, two trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.base import Outputs
from facestream.plugins.mask.base import TorchMasker
from facestream.plugins.mask.cards import VGG_CLEAR, VGG_OBSTRUCTED
from facestream.plugins.mask.storage import STORAGE_SIZE
from facestream.plugins.mask.unet_dfl import Convolutions
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays
from facestream.stream.types import Floats


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs between the published networks.

    Attributes:
        classes: of which the first is the background.
        suffix: of the names of the layers that were trained anew.
        pools: each pooling's padding.
        pool3_end: how many of the third pooling's last rows and columns are left out.
        end: how many of the last output's.
    """

    classes: int
    suffix: str
    pools: tuple[int, int, int, int, int]
    pool3_end: int
    end: int


CLEAR: Final = Layout(classes=2, suffix="_r", pools=(0, 1, 1, 1, 0), pool3_end=8, end=45)
OBSTRUCTED: Final = Layout(classes=21, suffix="", pools=(0, 1, 1, 0, 0), pool3_end=9, end=37)


class VggMasker(TorchMasker):
    """BGR 0–255 less the picture's own mean → how surely each pixel is face. The size can't be chosen."""

    layout: ClassVar[Layout]

    def __init__(self, *, storage_size: int = STORAGE_SIZE, batch_size: int | None = None) -> None:
        """
        Args:
            storage_size, batch_size: see :class:`TorchMasker`.
        """
        super().__init__(storage_size=storage_size, batch_size=batch_size)

    @classmethod
    def network(cls) -> nn.Module:
        return Fcn8s(cls.layout)

    @classmethod
    def convert(cls, files: Sequence[Path]) -> Arrays:
        with torch.device("meta"):  # half a gigabyte that need not be there twice
            net = Fcn8s(cls.layout)
        return published_state(files[0], net)

    def decode(self, raw: Outputs) -> Floats:
        return raw[0]


class VggClear(VggMasker):
    """For faces that little covers."""

    card = VGG_CLEAR
    layout = CLEAR


class VggObstructed(VggMasker):
    """For faces that hands, glasses or hair cover."""

    card = VGG_OBSTRUCTED
    layout = OBSTRUCTED


class Fcn8s(nn.Module):
    """(B, 3, S, S), S being 300 or 500 as ``layout`` says → 1 - the background's probability (B, S, S).

    Keys as published (spec §17.6). It was trained with dropout after fc6 and fc7; there is none here.

    Args:
        layout: which network.
        width: channels of the first level.
        hidden: channels of fc6 and fc7.
    """

    def __init__(self, layout: Layout, width: int = 64, hidden: int = 4096) -> None:
        super().__init__()
        self.layout = layout
        w, classes, suffix = width, layout.classes, layout.suffix
        self.conv1 = Convolutions(3, w, w, padding=0)
        self.conv2 = Convolutions(w, 2 * w, 2 * w)
        self.conv3 = Convolutions(2 * w, 4 * w, 4 * w, 4 * w)
        self.conv4 = Convolutions(4 * w, 8 * w, 8 * w, 8 * w)
        self.conv5 = Convolutions(8 * w, 8 * w, 8 * w, 8 * w)
        self.fc6 = nn.Conv2d(8 * w, hidden, 7)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.score_pool3 = Scaled(4 * w, classes, 0.0001)
        self.score_pool4 = Scaled(8 * w, classes, 0.01)
        self.add_module(f"score_fr{suffix}", nn.Conv2d(hidden, classes, 1))
        self.add_module(f"upscore2{suffix}", _enlarging(classes, 2))
        self.add_module(f"upscore_pool4{suffix}", _enlarging(classes, 2))
        self.add_module(f"upscore8{suffix}", _enlarging(classes, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x - x.mean(dim=(2, 3), keepdim=True), (100, 100, 100, 100))
        pooled = []
        for part, padding in zip((self.conv1, self.conv2, self.conv3, self.conv4, self.conv5), self.layout.pools):
            x = F.max_pool2d(part(x), 2, padding=padding)
            pooled.append(x)
        x = F.relu(self.fc7(F.relu(self.fc6(x))))
        x = self._trained("upscore2", self._trained("score_fr", x))
        x = x + _cropped(self.score_pool4(pooled[3]), 5, 5)
        x = self._trained("upscore_pool4", x)
        x = x + _cropped(self.score_pool3(pooled[2]), 9, self.layout.pool3_end)
        x = _cropped(self._trained("upscore8", x), 31, self.layout.end)
        return 1 - torch.softmax(x, dim=1)[:, 0]

    def _trained(self, name: str, x: Tensor) -> Tensor:
        y: Tensor = self.get_submodule(name + self.layout.suffix)(x)
        return y


class Scaled(nn.Module):
    """What a finer level adds to the score."""

    def __init__(self, inputs: int, classes: int, scale: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, classes, 1)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x * self.scale)
        return y


def _enlarging(classes: int, stride: int) -> nn.Module:
    return nn.ConvTranspose2d(classes, classes, 2 * stride, stride=stride, bias=False)


def _cropped(x: Tensor, start: int, end: int) -> Tensor:
    return x[..., start:-end, start:-end]
