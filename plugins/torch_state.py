"""From arrays in a file's own order to a network's state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import nn

from facestream.errors import WeightsCorrupt
from facestream.plugins.weights import Arrays


def in_order(
    net: nn.Module, convolutions: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
) -> Arrays:
    """Give each convolution of ``net``, in the order of declaration, the next weight and bias.

    Raises:
        WeightsCorrupt: their number or a shape differs.
    """
    layers = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    if len(layers) != len(convolutions):
        raise WeightsCorrupt(f"the file has {len(convolutions)} convolutions, the network {len(layers)}")
    state: dict[str, npt.NDArray[np.float32]] = {}
    for (name, layer), (weight, bias) in zip(layers, convolutions):
        if weight.shape != tuple(layer.weight.shape):
            raise WeightsCorrupt(
                f"{name}: the file has {weight.shape}, the network {tuple(layer.weight.shape)}"
            )
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return state
