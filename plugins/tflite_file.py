"""Reading weights out of TensorFlow Lite files. Needed once, when a weight is converted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facestream.plugins.onnx_file import Array


@dataclass(frozen=True, slots=True)
class Layers:
    """A network's weights by kind, each in the order in which its layers are numbered, in torch's layouts.

    Attributes:
        convolutions: weight (out, in, h, w) and bias (out,).
        depthwise: weight (channels, 1, h, w) and bias (channels,).
        prelus: slopes (channels,).
    """

    convolutions: list[tuple[Array, Array]]
    depthwise: list[tuple[Array, Array]]
    prelus: list[Array]


def read_layers(path: Path) -> Layers:
    """The float32 weights of a file's one graph, found by the names that Keras gives: ``conv2d_7/Kernel``."""
    import tflite

    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    named = {tensor.Name().decode(): _values(model, tensor) for tensor in tensors}
    return Layers(
        [
            (weight.transpose(0, 3, 1, 2), bias)
            for weight, bias in zip(_numbered(named, "conv2d", "Kernel"), _numbered(named, "conv2d", "Bias"))
        ],
        [
            (weight.transpose(3, 0, 1, 2), bias)
            for weight, bias in zip(
                _numbered(named, "depthwise_conv2d", "Kernel"), _numbered(named, "depthwise_conv2d", "Bias")
            )
        ],
        [alpha.reshape(-1) for alpha in _numbered(named, "p_re_lu", "Alpha")],
    )


def _values(model: Any, tensor: Any) -> Array | None:
    buffer = model.Buffers(tensor.Buffer())
    if tensor.Type() != 0 or not buffer.DataLength():  # 0: float32
        return None
    return np.frombuffer(buffer.DataAsNumpy().tobytes(), np.float32).reshape(tensor.ShapeAsNumpy())


def _numbered(named: dict[str, Array | None], kind: str, part: str) -> list[Array]:
    """``kind/part``, ``kind_1/part``, ``kind_2/part``, …, of those that exist."""
    found = []
    for name, values in named.items():
        match = re.fullmatch(rf"{kind}(?:_(\d+))?/{part}", name)
        if match and values is not None:
            found.append((int(match[1] or 0), values))
    return [values for _, values in sorted(found, key=lambda pair: pair[0])]
