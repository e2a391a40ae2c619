"""From weights in a file's own order to a network's state. A network declares its layers in that order."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from facestream.errors import WeightsCorrupt
from facestream.plugins.onnx_file import Array
from facestream.plugins.tflite_file import Layers
from facestream.plugins.weights import Arrays


def in_order(net: nn.Module, convolutions: Sequence[tuple[Array, Array]]) -> Arrays:
    """Give each convolution of ``net``, in the order of declaration, the next weight and bias.

    Raises:
        WeightsCorrupt: their number or a shape differs.
    """
    layers = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    return _paired(layers, [{"weight": weight, "bias": bias} for weight, bias in convolutions])


def in_order_by_kind(net: nn.Module, given: Layers) -> Arrays:
    """The same, kind by kind: full convolutions, depthwise ones, PReLUs.

    Raises:
        WeightsCorrupt: their number or a shape differs.
    """
    convolutions = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Conv2d)]
    full = [(name, m) for name, m in convolutions if m.groups == 1]
    depthwise = [(name, m) for name, m in convolutions if m.groups > 1]
    prelus = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.PReLU)]
    return {
        **_paired(full, [{"weight": weight, "bias": bias} for weight, bias in given.convolutions]),
        **_paired(depthwise, [{"weight": weight, "bias": bias} for weight, bias in given.depthwise]),
        **_paired(prelus, [{"weight": slopes} for slopes in given.prelus]),
    }


def _paired(layers: Sequence[tuple[str, nn.Module]], weights: Sequence[dict[str, Array]]) -> dict[str, Array]:
    if len(layers) != len(weights):
        raise WeightsCorrupt(f"the file has {len(weights)} layers of a kind, the network {len(layers)}")
    state = {}
    for (name, layer), arrays in zip(layers, weights):
        for key, array in arrays.items():
            expected = tuple(layer.state_dict()[key].shape)
            if array.shape != expected:
                raise WeightsCorrupt(f"{name}.{key}: the file has {array.shape}, the network {expected}")
            state[f"{name}.{key}"] = array
    return state
