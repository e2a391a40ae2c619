from collections.abc import Iterator

import numpy as np
import torch

from facestream.plugins.detect.retinaface import RetinaFace, RetinaFaceNetwork


def published_keys() -> Iterator[str]:
    """The layout's own words, spelt out."""

    def norm(name: str) -> Iterator[str]:
        yield from (f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))
        yield f"{name}.num_batches_tracked"

    def pair(name: str) -> Iterator[str]:
        yield f"{name}.0.weight"
        yield from norm(f"{name}.1")

    yield "body.conv1.weight"
    yield from norm("body.bn1")
    for layer, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name = f"body.layer{layer}.{block}"
            for part in (1, 2, 3):
                yield f"{name}.conv{part}.weight"
                yield from norm(f"{name}.bn{part}")
            if block == 0:
                yield from pair(f"{name}.downsample")
    for name in ("output1", "output2", "output3", "merge1", "merge2"):
        yield from pair(f"fpn.{name}")
    for level in (1, 2, 3):
        for name in ("conv3X3", "conv5X5_1", "conv5X5_2", "conv7X7_2", "conv7x7_3"):
            yield from pair(f"ssh{level}.{name}")
    for head in ("ClassHead", "BboxHead"):
        for level in range(3):
            yield from (f"{head}.{level}.conv1x1.{part}" for part in ("weight", "bias"))


def network() -> RetinaFaceNetwork:
    with torch.device("meta"):
        return RetinaFaceNetwork().eval()


def test_keys_are_the_published_ones() -> None:
    assert set(network().state_dict()) == set(published_keys())


def test_the_trunk_is_resnet_50() -> None:
    body = network().body
    assert sum(parameter.numel() for parameter in body.parameters()) == 23_508_032
    assert len(body.state_dict()) == 318


def test_channels_are_the_published_ones() -> None:
    shapes = {key: tuple(value.shape) for key, value in network().state_dict().items()}
    assert [shapes[f"fpn.output{i}.0.weight"][:2] for i in (1, 2, 3)] == [(256, 512), (256, 1024), (256, 2048)]
    assert shapes["fpn.merge1.0.weight"] == (256, 256, 3, 3)
    assert shapes["ssh1.conv3X3.0.weight"] == (128, 256, 3, 3)
    assert shapes["ssh3.conv7x7_3.0.weight"] == (64, 64, 3, 3)
    assert shapes["ClassHead.0.conv1x1.weight"] == (4, 256, 1, 1)
    assert shapes["BboxHead.2.conv1x1.weight"] == (8, 256, 1, 1)


def test_shapes_flow_through() -> None:
    with torch.device("meta"):
        maps = network()(torch.zeros(2, 3, 640, 384))
    assert [tuple(each.shape) for each in maps] == [(2, 10, 640 // s, 384 // s) for s in (8, 16, 32)]


def test_a_square_canvas_has_the_published_number_of_anchors() -> None:
    with torch.device("meta"):
        maps = network()(torch.zeros(1, 3, 640, 640))
    assert sum(2 * each.shape[2] * each.shape[3] for each in maps) == 16_800


def test_one_anchor_decodes_to_the_face_it_says() -> None:
    levels = [np.zeros((2, 10, 64 // stride, 96 // stride), np.float32) for stride in (8, 16, 32)]
    cell = levels[1][1, :, 2, 3]  # stride 16, second frame: the centre is (56, 40)
    cell[1] = 0.9  # the second anchor, 128 px
    cell[6:10] = 1, -0.5, np.log(0.5) / 0.2, np.log(0.25) / 0.2
    found = RetinaFace(threshold=0.5).decode(tuple(levels))
    assert found.frame_ids.tolist() == [1]
    x, y = 56 + 12.8, 40 - 6.4
    np.testing.assert_allclose(found.boxes, [[x - 32, y - 16, x + 32, y + 16]], rtol=1e-5)
    np.testing.assert_allclose(found.scores, [0.9])
    assert found.points is None
