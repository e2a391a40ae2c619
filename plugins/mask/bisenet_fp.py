"""BiSeNet for face parsing: each pixel is skin, hair, an eye, … (Yu et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.errors import ConfigError
from facestream.plugins.base import Outputs
from facestream.plugins.folding import folded
from facestream.plugins.mask.base import TorchMasker
from facestream.plugins.mask.cards import BISENET_FP
from facestream.plugins.mask.storage import STORAGE_SIZE
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays
from facestream.stream.types import Floats

CLASSES: Final = 19
FACE: Final = (1, 2, 3, 4, 5, 10, 11, 12, 13)
"""Skin, eyebrows, eyes, nose, mouth, lips."""
GLASSES: Final = (6,)
EARS: Final = (7, 8, 9)
HAIR: Final = (17,)

SIZES: Final = (384, 512)
"""What the network may see. Smaller, it mistakes what it sees."""


class BiSeNetFP(TorchMasker):
    """RGB → the class of each pixel, of which the mask joins those that are wanted. Every normalisation is folded."""

    card = BISENET_FP

    def __init__(
        self,
        *,
        ears: bool = False,
        hair: bool = False,
        glasses: bool = True,
        size: int | None = None,
        storage_size: int = STORAGE_SIZE,
        batch_size: int | None = None,
    ) -> None:
        """
        Args:
            ears: the mask holds ears and earrings too.
            hair: and hair; the crop is then that of the whole head.
            glasses: and glasses.
            size: 384 or 512, the edge of what the network sees; None means 512. 384 takes half the time.
            storage_size, batch_size: see :class:`TorchMasker`.

        Raises:
            ConfigError: a size is none of those.
        """
        if size is not None and size not in SIZES:
            raise ConfigError(f"{self.card.name}: size must be {' or '.join(map(str, SIZES))}, not {size}")
        super().__init__(size=size, storage_size=storage_size, batch_size=batch_size)
        self.centering = "head" if hair else "face"
        wanted = np.zeros(CLASSES, np.float32)
        wanted[[*FACE, *GLASSES * glasses, *EARS * ears, *HAIR * hair]] = 1
        self._wanted = wanted

    @property
    def storage_name(self) -> str:
        """``bisenet-fp_face`` or ``bisenet-fp_head``, as faceswap calls them."""
        return f"{self.name}_{self.centering}"

    @staticmethod
    def network() -> nn.Module:
        return folded(BiSeNet())

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        net = BiSeNet()
        published = published_state(files[0], net, unused=("conv_out16.", "conv_out32."))
        net.load_state_dict({key: torch.as_tensor(value) for key, value in published.items()})
        return {key: value.numpy() for key, value in folded(net).state_dict().items()}

    def decode(self, raw: Outputs) -> Floats:
        """Binary at the network's size."""
        return np.asarray(self._wanted[raw[0].astype(np.uint8)], np.float32)


class BiSeNet(nn.Module):
    """(B, 3, H, W), H and W multiples of 32 → the likeliest class of each pixel (B, H, W)."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion()
        self.conv_out = Output(256, classes)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.conv_out(self.ffm(*self.cp(x)))
        scores = F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)
        return scores.argmax(dim=1)


class ConvNormReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Output(nn.Module):
    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.conv = ConvNormReLU(inputs, 256)
        self.conv_out = nn.Conv2d(256, classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.conv_out(self.conv(x))
        return scores


class AttentionRefinement(nn.Module):
    """Weighs channels by what the whole picture says of them."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = ConvNormReLU(inputs, 128)
        self.conv_atten = nn.Conv2d(128, 128, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(128)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.conv(x)
        gate = torch.sigmoid(self.bn_atten(self.conv_atten(_mean(features))))
        return features * gate


class ContextPath(nn.Module):
    """A ResNet-18 and the way back up: features at strides 8 (128 channels) and 8 with context (128)."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet18()
        self.arm16 = AttentionRefinement(256)
        self.arm32 = AttentionRefinement(512)
        self.conv_head32 = ConvNormReLU(128, 128)
        self.conv_head16 = ConvNormReLU(128, 128)
        self.conv_avg = ConvNormReLU(512, 128, kernel=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine, middle, coarse = self.resnet(x)
        context = self.arm32(coarse) + self.conv_avg(_mean(coarse))
        context = self.conv_head32(F.interpolate(context, middle.shape[2:]))
        context = self.arm16(middle) + context
        return fine, self.conv_head16(F.interpolate(context, fine.shape[2:]))


class FeatureFusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvNormReLU(256, 256, kernel=1)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, fine: Tensor, context: Tensor) -> Tensor:
        x: Tensor = self.convblk(torch.cat((fine, context), dim=1))
        gate = torch.sigmoid(self.conv2(F.relu(self.conv1(_mean(x)))))
        return x * gate + x


class ResNet18(nn.Module):
    """He et al. 2016, without its classifier: the features at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64), BasicBlock(64, 64))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, stride=2), BasicBlock(128, 128))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, stride=2), BasicBlock(256, 256))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, stride=2), BasicBlock(512, 512))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        fine = self.layer2(self.layer1(x))
        middle = self.layer3(fine)
        return fine, middle, self.layer4(middle)


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.shrinks = stride > 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if self.shrinks else x))


def _mean(x: Tensor) -> Tensor:
    """Of each channel: (B, C, 1, 1)."""
    return x.mean(dim=(2, 3), keepdim=True)
