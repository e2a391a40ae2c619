"""VGGFace2: a ResNet-50 trained on 9,131 people's faces (Cao, Shen, Xie, Parkhi, Zisserman 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.folding import folded
from facestream.plugins.identity.cards import VGGFACE2
from facestream.plugins.identity.legacy import LegacyIdentity
from facestream.plugins.published import published_state
from facestream.plugins.weights import Arrays

_EPSILON = 1e-3  # of the normalisations
_STAGES = ((256, 2, 1), (512, 3, 2), (1024, 5, 2), (2048, 2, 2))  # channels, further units, stride


class VggFace2(LegacyIdentity):
    """BGR, less the mean colour of its training photos → 512 numbers, none of them negative, of length 1."""

    card = VGGFACE2

    @staticmethod
    def network() -> nn.Module:
        return folded(VggFace2Network())

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        net = VggFace2Network()
        state = published_state(files[0], net, optional="resnet.")
        net.load_state_dict({key: torch.from_numpy(rows) for key, rows in state.items()})
        return {key: value.numpy() for key, value in folded(net).state_dict().items()}


class VggFace2Network(nn.Module):
    """(B, 3, 224, 224) → (B, 512), not negative. Keys as published, without their beginning ``resnet.``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 64, 7, stride=2, bias=False), _norm(64)
        inputs = 64
        for stage, (width, more, stride) in enumerate(_STAGES, start=1):
            self.add_module(f"block{stage}", Unit(inputs, width, stride, project=True))
            self.add_module(f"id{stage}", nn.Sequential(*(Unit(width, width, 1) for _ in range(more))))
            inputs = width
        self.dim_proj = nn.Linear(inputs, 512)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(F.pad(x, (2, 3, 2, 3)))))  # left, right, top, bottom: 112²
        x = F.max_pool2d(x, 3, 2)  # 55²
        for stage in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"id{stage}")(self.get_submodule(f"block{stage}")(x))
        return F.relu(self.dim_proj(F.avg_pool2d(x, 7).flatten(1)))


class Unit(nn.Module):
    """Narrow, convolve, widen; added to the input, which is projected where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int, *, project: bool = False) -> None:
        super().__init__()
        narrow = width // 4
        self.reduce_conv, self.reduce_bn = nn.Conv2d(inputs, narrow, 1, stride=stride, bias=False), _norm(narrow)
        self.conv, self.bn = nn.Conv2d(narrow, narrow, 3, padding=1, bias=False), _norm(narrow)
        self.increase_conv, self.increase_bn = nn.Conv2d(narrow, width, 1, bias=False), _norm(width)
        self.project = project
        if project:
            self.proj, self.proj_bn = nn.Conv2d(inputs, width, 1, stride=stride, bias=False), _norm(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.reduce_bn(self.reduce_conv(x)))
        y = F.relu(self.bn(self.conv(y)))
        y = self.increase_bn(self.increase_conv(y))
        return F.relu(y + (self.proj_bn(self.proj(x)) if self.project else x))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=_EPSILON)
