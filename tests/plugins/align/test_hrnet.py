from collections.abc import Iterator

import numpy as np
import torch

from facestream.plugins.align.hrnet import AttentionBlock, Exchange, HrNet, HrNetNetwork
from facestream.stream.types import Detections
from tests.plugins.align.layouts import convolution, norm, pair
from tests.plugins.conftest import batch_of

WIDTHS = (18, 36, 72, 144)


def published_keys() -> Iterator[str]:
    """The layout's own words, spelt out."""
    for part in (1, 2):
        yield from convolution(f"conv{part}")
        yield from norm(f"bn{part}")
    for block in range(4):
        for part in (1, 2, 3):
            yield from convolution(f"layer1.{block}.conv{part}")
            yield from norm(f"layer1.{block}.bn{part}")
    yield from pair("layer1.0.downsample")
    for name in ("transition1.0", "transition1.1.0", "transition2.2.0", "transition3.3.0"):
        yield from pair(name)
    for stage, count, modules in ((2, 2, 1), (3, 3, 4), (4, 4, 3)):
        for module in range(modules):
            yield from exchange(f"stage{stage}.{module}", count, attention=stage > 2)
    yield from convolution("head.0", bias=True)
    yield from norm("head.1")
    yield from convolution("head.3", bias=True)


def exchange(name: str, count: int, *, attention: bool) -> Iterator[str]:
    for branch in range(count):
        for block in range(4):
            inside = f"{name}.branches.{branch}.{block}"
            for part in (1, 2):
                yield from convolution(f"{inside}.conv{part}")
                yield from norm(f"{inside}.bn{part}")
            if attention:
                yield from pair(f"{inside}.att1")
                for part in (2, 3):
                    yield from convolution(f"{inside}.att{part}")
                    yield from norm(f"{inside}.att_bn{part - 1}")
    for i in range(count):
        for j in range(count):
            if j > i:
                yield from pair(f"{name}.fuse_layers.{i}.{j}")
            for step in range(i - j):
                yield from pair(f"{name}.fuse_layers.{i}.{j}.{step}")


def network() -> HrNetNetwork:
    with torch.device("meta"):
        return HrNetNetwork().eval()


def test_keys_are_the_published_ones() -> None:
    assert set(network().state_dict()) == set(published_keys())


def test_channels_are_the_published_ones() -> None:
    shapes = {key: tuple(value.shape) for key, value in network().state_dict().items()}
    assert shapes["layer1.0.conv3.weight"] == (256, 64, 1, 1)
    assert shapes["transition1.0.0.weight"] == (18, 256, 3, 3)
    assert shapes["transition3.3.0.0.weight"] == (144, 72, 3, 3)
    assert shapes["stage4.0.branches.3.0.att1.0.weight"] == (36, 144, 1, 1)
    assert shapes["stage4.0.branches.0.0.att2.weight"] == (4, 4, 3, 3)
    assert shapes["stage4.2.fuse_layers.0.3.0.weight"] == (18, 144, 1, 1)
    assert [shapes[f"stage4.2.fuse_layers.3.0.{k}.0.weight"][:2] for k in range(3)] == [(18, 18), (18, 18), (144, 18)]
    assert shapes["head.0.weight"] == (270, 270, 1, 1)
    assert shapes["head.3.weight"] == (68, 270, 1, 1)


def test_shapes_flow_through() -> None:
    with torch.device("meta"):
        assert network()(torch.zeros(2, 3, 256, 256)).shape == (2, 68, 64, 64)


def test_resolutions_keep_their_sizes_in_an_exchange() -> None:
    levels = [torch.randn(1, width, 32 >> i, 32 >> i) for i, width in enumerate(WIDTHS[:3])]
    with torch.inference_mode():
        after = Exchange(3, AttentionBlock).eval()(levels)
    assert [level.shape for level in after] == [level.shape for level in levels]


def test_the_gate_lies_on_what_a_block_adds() -> None:
    block = AttentionBlock(8).eval()
    x = torch.rand(1, 8, 4, 4)
    with torch.inference_mode():
        added = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
        block.att_bn2.weight.zero_()
        for bias, gate in ((0.0, 0.5), (50.0, 1.0), (-50.0, 0.0)):
            block.att_bn2.bias.fill_(bias)
            torch.testing.assert_close(block(x), (x + gate * added).relu())


def test_the_square_is_the_specifications() -> None:
    box = np.float32([[100.4, 50.0, 201.0, 180.2]])
    squares = HrNet().squares(batch_of(np.zeros((8, 8, 3), np.uint8), Detections(box, np.ones(1, np.float32))))
    assert squares.centres.tolist() == [[151, 115]]
    assert squares.sides.tolist() == [162]  # twice the rounded half of 1.25 · 130.2
    assert squares.angles.tolist() == [0]


def test_peaks_become_crop_pixels() -> None:
    maps = np.zeros((2, 68, 64, 64), np.float32)
    maps[:, :, 20, 30] = 1
    points, scores = HrNet().decode((maps,))
    np.testing.assert_allclose(points, np.broadcast_to([120, 80], (2, 68, 2)), atol=1e-4)
    assert scores.tolist() == [1, 1]
