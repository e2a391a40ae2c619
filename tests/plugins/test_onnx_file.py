from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from facestream.plugins.onnx_file import read_constants, read_convolutions, read_prelus

RANDOM = np.random.default_rng(0)


def constant(name: str, array: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(array, name)


def a_file(tmp_path: Path) -> Path:
    """A block-quantised convolution, then a transposed one with a batch normalisation."""
    norm = {name: constant(name, RANDOM.uniform(0.5, 2, 5).astype(np.float32)) for name in ("g", "b", "m", "v")}
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["flat"], axis=1, block_size=9),
            helper.make_node("Reshape", ["flat", "shape"], ["w1"]),
            helper.make_node("Conv", ["x", "w1", "b1"], ["y"], pads=[1, 1, 1, 1]),
            helper.make_node("ConvTranspose", ["y", "w2"], ["t"], strides=[2, 2]),
            helper.make_node("BatchNormalization", ["t", "g", "b", "m", "v"], ["out"], epsilon=0.001),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [
            constant("q", RANDOM.integers(-128, 127, (4, 18)).astype(np.int8)),
            constant("s", RANDOM.uniform(0.01, 0.1, (4, 2)).astype(np.float32)),
            constant("z", RANDOM.integers(-9, 9, (4, 2)).astype(np.int8)),
            constant("shape", np.array([4, 2, 3, 3])),
            constant("b1", RANDOM.normal(size=4).astype(np.float32)),
            constant("w2", RANDOM.normal(size=(4, 5, 2, 2)).astype(np.float32)),
            *norm.values(),
        ],
    )
    path = tmp_path / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), str(path))
    return path


def test_folded_weights_compute_what_the_graph_computes(tmp_path: Path) -> None:
    import torch.nn.functional as F
    from torch import from_numpy

    path = a_file(tmp_path)
    x = RANDOM.normal(size=(1, 2, 4, 4)).astype(np.float32)
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
    (w1, b1), (w2, b2) = ([from_numpy(array.copy()) for array in pair] for pair in read_convolutions(path.read_bytes()))
    found = F.conv_transpose2d(F.conv2d(from_numpy(x), w1, b1, padding=1), w2, b2, stride=2)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_constants_come_as_floats_and_prelus_in_order() -> None:
    content = an_active_file()
    constants = read_constants(content)
    np.testing.assert_allclose(constants["bias"], [0.5, -0.5, 1.0, 3.0])
    assert [slopes.tolist() for slopes in read_prelus(content)] == [[0.25, 0.5], [2.0]]


def an_active_file() -> bytes:
    """Two PReLUs, and a bias in two blocks of two numbers."""
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["bias"], axis=0, block_size=2),
            helper.make_node("PRelu", ["x", "first"], ["y"]),
            helper.make_node("PRelu", ["y", "second"], ["out"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [
            constant("q", np.array([1, -1, 2, 4], np.int8)),
            constant("s", np.array([0.5, 1.0], np.float32)),
            constant("z", np.array([0, 1], np.int8)),
            constant("second", np.full((1, 1, 1), 2, np.float32)),
            constant("first", np.array([[[0.25]], [[0.5]]], np.float32)),
        ],
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString())
