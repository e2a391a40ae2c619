"""T-Face: a ResNet of improved residual units, 512 numbers a face (Deng et al. 2019; Tencent's T-Face)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from facestream.plugins.base import Outputs
from facestream.plugins.folding import folded
from facestream.plugins.identity.cards import T_FACE, T_FACE_IR50
from facestream.plugins.identity.legacy import LegacyIdentity
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays
from facestream.stream.types import Floats

IR_50 = (3, 4, 14, 3)
IR_101 = (3, 13, 30, 3)
"""Residual units at each width."""

_WIDTHS = (64, 128, 256, 512)


class TFace(LegacyIdentity):
    """RGB 0–1 → 512 numbers of any length, as faceswap stores them.

    Args:
        bgr: show the network blue first. It was trained on red first, but faceswap feeds it so (spec D3): embeddings
            compare with those in faceswap's files only this way. The two kinds don't compare with one another.
        batch_size: faces at a time; None means the card's.
    """

    card = T_FACE
    comparable = False  # nobody can tell whether red or blue came first
    units: ClassVar[tuple[int, ...]] = IR_101
    backbone: ClassVar[str] = "ir-101"

    def __init__(self, *, bgr: bool = False, batch_size: int | None = None) -> None:
        super().__init__(batch_size=batch_size)
        self._bgr = bgr

    @property
    def storage_name(self) -> str:
        """``t-face_ir-101`` or ``t-face_ir-50``, as faceswap calls them."""
        return f"t-face_{self.backbone}"

    @property
    def colour(self) -> str:
        return "bgr" if self._bgr else self.card.colour

    @classmethod
    def network(cls) -> nn.Module:
        return folded(TFaceNetwork(cls.units))

    @classmethod
    def convert(cls, files: Sequence[Path]) -> Arrays:
        net = TFaceNetwork(cls.units)
        net.load_state_dict({key: torch.from_numpy(rows) for key, rows in published_state(files[0], net).items()})
        return {key: value.numpy() for key, value in folded(net).state_dict().items()}

    def embeddings(self, raw: Outputs) -> Floats:
        return raw[0]


class TFaceIr50(TFace):
    """The smaller one."""

    card = T_FACE_IR50
    units = IR_50
    backbone = "ir-50"


class TFaceNetwork(nn.Module):
    """(B, 3, 112, 112) → (B, 512). Keys as published (spec §17.6).

    Args:
        units: residual units at 64, 128, 256 and 512 channels; the first of each halves the picture.
    """

    def __init__(self, units: Sequence[int]) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(_convolution(3, 64), nn.BatchNorm2d(64), nn.PReLU(64))
        blocks: list[nn.Module] = []
        inputs = 64
        for width, count in zip(_WIDTHS, units):
            blocks += [Unit(inputs, width, 2), *(Unit(width, width, 1) for _ in range(count - 1))]
            inputs = width
        self.body = nn.Sequential(*blocks)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, 512),
            nn.BatchNorm1d(512, affine=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        embeddings: Tensor = self.output_layer(self.body(self.input_layer(x)))
        return embeddings


class Unit(nn.Module):
    """An improved residual unit: normalised before its first convolution and after its last, halving in the last."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            _convolution(inputs, width),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            _convolution(width, width, stride),
            nn.BatchNorm2d(width),
        )
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        if inputs != width:
            narrow = nn.Conv2d(inputs, width, 1, stride=stride, bias=False)
            self.shortcut_layer = nn.Sequential(narrow, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return y


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
