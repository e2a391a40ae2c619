from collections.abc import Iterator

import numpy as np
import torch

from facestream.plugins.align.fan import Block, Fan, FanNetwork, Hourglass
from facestream.stream.types import Detections
from tests.plugins.align.layouts import convolution, norm
from tests.plugins.conftest import batch_of


def published_keys() -> Iterator[str]:
    """The layout's own words, spelt out."""

    def block(name: str, *, resized: bool = False) -> Iterator[str]:
        for part in (1, 2, 3):
            yield from norm(f"{name}.bn{part}")
            yield from convolution(f"{name}.conv{part}")
        if resized:
            yield from norm(f"{name}.downsample.0")
            yield from convolution(f"{name}.downsample.2")

    yield from convolution("conv1", bias=True)
    yield from norm("bn1")
    yield from block("conv2", resized=True)
    yield from block("conv3")
    yield from block("conv4", resized=True)
    for i in range(4):
        for level in (4, 3, 2, 1):
            for way in ("b1", "b2", "b3"):
                yield from block(f"m{i}.{way}_{level}_0")
        yield from block(f"m{i}.b2_plus_1_0")
        yield from block(f"top_m0_{i}")
        yield from convolution(f"conv_last{i}", bias=True)
        yield from norm(f"bn_end{i}")
        yield from convolution(f"l{i}", bias=True)
        if i < 3:
            yield from convolution(f"bl{i}", bias=True)
            yield from convolution(f"al{i}", bias=True)


def network() -> FanNetwork:
    with torch.device("meta"):
        return FanNetwork().eval()


def test_keys_are_the_published_ones() -> None:
    assert set(network().state_dict()) == set(published_keys())


def test_channels_are_the_published_ones() -> None:
    shapes = {key: tuple(value.shape) for key, value in network().state_dict().items()}
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert [shapes[f"conv4.conv{i}.weight"] for i in (1, 2, 3)] == [(128, 128, 3, 3), (64, 128, 3, 3), (64, 64, 3, 3)]
    assert shapes["conv4.downsample.2.weight"] == (256, 128, 1, 1)
    assert shapes["l3.weight"] == (68, 256, 1, 1)
    assert shapes["al0.weight"] == (256, 68, 1, 1)


def test_shapes_flow_through() -> None:
    with torch.device("meta"):
        assert network()(torch.zeros(2, 3, 256, 256)).shape == (2, 68, 64, 64)


def test_a_block_keeps_all_its_convolutions_and_adds_the_input() -> None:
    block = Block(8, 8).eval()
    x = torch.randn(1, 8, 4, 4)
    for part in (block.conv1, block.conv2, block.conv3):
        torch.nn.init.zeros_(part.weight)
    with torch.inference_mode():
        torch.testing.assert_close(block(x), x)
        block.conv2.weight.fill_(1.0)
        block.conv1.weight[:, 0, 1, 1] = 1.0  # every output of the first is channel 0 where that is positive
        y = block(x) - x
    first = x[:, :1].relu() / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(y[:, :4], first.expand(-1, 4, -1, -1), atol=1e-4, rtol=1e-4)
    assert (y[:, 4:6] > 0).any()
    assert (y[:, 6:] == 0).all()


def test_an_hourglass_adds_what_it_saw_at_every_size() -> None:
    hourglass = Hourglass().eval()
    for module in hourglass.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.zeros_(module.weight)
    x = torch.randn(1, 256, 16, 16)
    expected = x.clone()  # blocks whose convolutions are 0 pass their input on
    for size in (2, 4, 8, 16):
        pooled = torch.nn.functional.avg_pool2d(x, size)
        expected += pooled.repeat_interleave(size, dim=2).repeat_interleave(size, dim=3)
    with torch.inference_mode():
        torch.testing.assert_close(hourglass(x), expected)


def test_the_square_is_the_specifications() -> None:
    box = np.float32([[100.4, 50.0, 201.0, 180.2]])
    squares = Fan().squares(batch_of(np.zeros((8, 8, 3), np.uint8), Detections(box, np.ones(1, np.float32))))
    x, y, half, inset = 151, 115, 92, 1  # 0.8 · (100.6 + 130.2) = 184.64
    matrix = squares.matrices(256)[0]
    np.testing.assert_allclose(matrix[:, 2], [x - half + inset, y - half + inset], atol=1e-4)
    np.testing.assert_allclose(matrix[:, :2].sum(axis=1) * 256 + matrix[:, 2], [x + half, y + half], atol=1e-3)


def test_squares_of_boxes_without_a_size_stay_usable() -> None:
    boxes = np.float32([[5, 5, 5, 5], [0, 0, 4000, 1]])
    squares = Fan().squares(batch_of(np.zeros((8, 8, 3), np.uint8), Detections(boxes, np.ones(2, np.float32))))
    assert (squares.sides >= 1).all()


def test_peaks_become_crop_pixels_and_their_height_the_confidence() -> None:
    maps = np.zeros((1, 68, 64, 64), np.float32)
    maps[0, :, 40, 10] = np.linspace(0.2, 0.6, 68)
    points, scores = Fan().decode((maps,))
    np.testing.assert_allclose(points, np.broadcast_to([40, 160], (1, 68, 2)), atol=1e-4)
    np.testing.assert_allclose(scores, [0.4], atol=1e-6)
