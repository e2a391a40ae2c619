"""Reading weights out of ONNX files. Needed once, when a weight is converted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float32]


def read_convolutions(content: bytes) -> list[tuple[Array, Array]]:
    """Weight and bias of every (transposed) convolution, in the order of the graph.

    Block-quantised weights are made floats, and a batch normalisation right after a convolution is folded
    into it. A missing bias becomes zeros. A convolution that takes an earlier one's weight again, through an
    ``Identity`` node, is left out.
    """
    graph = _graph(content)
    values = _constants(graph)
    repeated = {node.output[0] for node in graph.node if node.op_type == "Identity"}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input[:1]:
            readers.setdefault(name, []).append(node)
    return [
        _convolution(node, values, readers.get(node.output[0], []))
        for node in graph.node
        if node.op_type in ("Conv", "ConvTranspose") and node.input[1] not in repeated
    ]


def read_prelus(content: bytes) -> list[Array]:
    """The slopes (channels,) of every PReLU, in the order of the graph."""
    graph = _graph(content)
    values = _constants(graph)
    return [np.asarray(values[node.input[1]], np.float32).reshape(-1) for node in graph.node if node.op_type == "PRelu"]


def read_constants(content: bytes) -> dict[str, Array]:
    """Every constant by its name, block-quantised ones as floats."""
    return _constants(_graph(content))


def _graph(content: bytes) -> Any:
    import onnx

    return onnx.load_model_from_string(content).graph


def _constants(graph: Any) -> dict[str, Array]:
    import onnx

    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            values[node.output[0]] = _dequantise(*(values[name] for name in node.input))
        elif node.op_type == "Reshape" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]].reshape(values[node.input[1]])
    return values


def _dequantise(quantised: Array, scale: Array, zero_point: Array) -> Array:
    """One scale a block along the last axis, or one for all (ONNX DequantizeLinear, opset 21)."""
    if scale.ndim == quantised.ndim:
        block = quantised.shape[-1] // scale.shape[-1]
        scale, zero_point = (np.repeat(array, block, axis=-1) for array in (scale, zero_point))
    return (quantised.astype(np.float32) - zero_point.astype(np.float32)) * scale


def _convolution(node: Any, values: dict[str, Array], followers: Iterable[Any]) -> tuple[Array, Array]:
    outputs = 1 if node.op_type == "ConvTranspose" else 0  # the weight's axis of output channels
    weight = values[node.input[1]]
    bias = values[node.input[2]] if len(node.input) > 2 else np.zeros(weight.shape[outputs], np.float32)
    for follower in followers:
        if follower.op_type == "BatchNormalization":
            gamma, beta, mean, variance = (values[name] for name in follower.input[1:5])
            epsilon = next((a.f for a in follower.attribute if a.name == "epsilon"), 1e-5)
            gain = np.asarray(gamma / np.sqrt(variance + epsilon), np.float32)
            weight = np.moveaxis(np.moveaxis(weight, outputs, -1) * gain, -1, outputs)
            bias = (bias - mean) * gain + beta
    return np.ascontiguousarray(weight, np.float32), np.ascontiguousarray(bias, np.float32)
