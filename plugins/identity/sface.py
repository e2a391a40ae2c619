"""SFace: a MobileNet whose 128 numbers tell faces apart (Zhong et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from facestream.errors import WeightsCorrupt
from facestream.plugins.identity.base import TorchIdentity
from facestream.plugins.identity.cards import SFACE
from facestream.plugins.onnx_file import Array, read_constants, read_convolutions, read_prelus
from facestream.plugins.torch_state import in_order
from facestream.plugins.weights import Arrays

_EPSILON = 2e-5  # of the two normalisations around the last layer

# Channels and stride of each depthwise and pointwise pair: 112² to 7².
_PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


class SFace(TorchIdentity):
    """RGB → 128 numbers. Every batch normalisation is folded into the layer beside it when the weights come."""

    card = SFACE

    @staticmethod
    def network() -> nn.Module:
        return SFaceNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        content = files[0].read_bytes()
        net = SFaceNetwork()
        active = [name for name, module in net.named_modules() if isinstance(module, nn.PReLU)]
        slopes = read_prelus(content)
        if len(active) != len(slopes):
            raise WeightsCorrupt(f"the file has {len(slopes)} PReLUs, the network {len(active)}")
        return {
            **in_order(net, read_convolutions(content)),
            **{f"{name}.weight": values for name, values in zip(active, slopes)},
            **_folded_head(read_constants(content)),
        }


class SFaceNetwork(nn.Module):
    """(B, 3, 112, 112) → (B, 128). The layers are declared in the order of the published file's graph."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1), nn.PReLU(32)]
        inputs = 32
        for outputs, stride in _PAIRS:
            layers += [
                *(nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs), nn.PReLU(inputs)),
                *(nn.Conv2d(inputs, outputs, 1), nn.PReLU(outputs)),
            ]
            inputs = outputs
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(inputs * 7 * 7, 128)

    def forward(self, x: Tensor) -> Tensor:
        embeddings: Tensor = self.head(self.trunk(x).flatten(1))
        return embeddings


def _folded_head(values: dict[str, Array]) -> Arrays:
    """The last layer with the normalisation before it (a channel each) and the one after it (a number each)."""
    gain, shift = _normalisation(values, "bn1")
    weight, bias = values["pre_fc1_weight_dequantized"], values["pre_fc1_bias_dequantized"]
    cells = weight.shape[1] // len(gain)  # a channel's numbers lie together
    bias = bias + weight @ np.repeat(shift, cells)
    weight = weight * np.repeat(gain, cells)
    gain, shift = _normalisation(values, "fc1")
    return {
        "head.weight": np.asarray(weight * gain[:, None], np.float32),
        "head.bias": np.asarray(bias * gain + shift, np.float32),
    }


def _normalisation(values: dict[str, Array], name: str) -> tuple[Array, Array]:
    gamma, beta, mean, variance = (values[f"{name}_{part}"] for part in ("gamma", "beta", "moving_mean", "moving_var"))
    gain = gamma / np.sqrt(variance + _EPSILON)
    return gain, beta - mean * gain
