"""A U-Net over VGG-11 that tells face from not face (Iglovikov, Shvets 2018), as DeepFaceLab trained it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.base import Outputs
from facestream.plugins.mask.base import TorchMasker
from facestream.plugins.mask.cards import UNET_DFL
from facestream.plugins.mask.storage import STORAGE_SIZE
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays
from facestream.stream.types import Floats


class UNetDfl(TorchMasker):
    """BGR 0–1 of the legacy square → how surely each pixel is face."""

    card = UNET_DFL
    centering = "legacy"

    def __init__(self, *, storage_size: int = STORAGE_SIZE, batch_size: int | None = None) -> None:
        """
        Args:
            storage_size, batch_size: see :class:`TorchMasker`.
        """
        super().__init__(storage_size=storage_size, batch_size=batch_size)

    @staticmethod
    def network() -> nn.Module:
        return UNet()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        with torch.device("meta"):
            net = UNet()
        return published_state(files[0], net)

    def decode(self, raw: Outputs) -> Floats:
        return raw[0]


class UNet(nn.Module):
    """(B, 3, H, W), H and W multiples of 32 → (B, H, W), 0..1. Keys as published (spec §17.6).

    Args:
        width: channels of the first level.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        self.features_0 = Convolutions(3, w)
        self.features_3 = Convolutions(w, 2 * w)
        self.features_8 = Convolutions(2 * w, 4 * w, 4 * w)
        self.features_13 = Convolutions(4 * w, 8 * w, 8 * w)
        self.features_18 = Convolutions(8 * w, 8 * w, 8 * w)
        self.dec1 = Up(8 * w, 8 * w, 4 * w)
        self.dec2 = Up(12 * w, 8 * w, 4 * w)
        self.dec3 = Up(12 * w, 8 * w, 2 * w)
        self.dec4 = Up(6 * w, 4 * w, w)
        self.dec5 = Up(3 * w, 2 * w, w // 2)
        self.conv2d_6 = nn.Conv2d(w + w // 2, w, 3, padding=1)
        self.conv2d_7 = nn.Conv2d(w, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        levels = []
        for down in (self.features_0, self.features_3, self.features_8, self.features_13, self.features_18):
            x = down(x)
            levels.append(x)
            x = F.max_pool2d(x, 2)
        for up in (self.dec1, self.dec2, self.dec3, self.dec4, self.dec5):
            x = torch.cat((up(x), levels.pop()), dim=1)
        x = F.relu(self.conv2d_6(x))
        return torch.sigmoid(self.conv2d_7(x))[:, 0]


class Convolutions(nn.Module):
    """3 × 3 each, through the given numbers of channels, ReLU after each.

    Args:
        padding: of the first one.
    """

    def __init__(self, *channels: int, padding: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1 if layers else padding), nn.ReLU()]
        self.convs = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convs(x)
        return y


class Up(nn.Module):
    """Twice the size; nothing between the two convolutions."""

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, middle, 3, padding=1)
        self.conv_trans = nn.ConvTranspose2d(middle, outputs, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv_trans(self.conv(x)))[..., :-1, :-1]
