from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from facestream.errors import WeightsCorrupt
from facestream.faces.crops import crop, crop_matrices
from facestream.plugins.identity.vggface2 import Unit, VggFace2, VggFace2Network
from tests.plugins.align.layouts import convolution, norm
from tests.plugins.identity.layers import released
from tests.plugins.identity.test_t_face import face


def published_keys() -> Iterator[str]:
    """The layout's own words, spelt out, without their common beginning."""
    yield from (*convolution("conv"), *norm("bn"))
    for stage, more in enumerate((2, 3, 5, 2), start=1):
        yield from (*unit(f"block{stage}"), *convolution(f"block{stage}.proj"), *norm(f"block{stage}.proj_bn"))
        for number in range(more):
            yield from unit(f"id{stage}.{number}")
    yield from convolution("dim_proj", bias=True)


def unit(name: str) -> Iterator[str]:
    for part in ("reduce_", "", "increase_"):
        yield from (*convolution(f"{name}.{part}conv"), *norm(f"{name}.{part}bn"))


@pytest.fixture(scope="module")
def network() -> VggFace2Network:
    with torch.device("meta"):
        return VggFace2Network().eval()


def test_keys_are_the_published_ones(network: VggFace2Network) -> None:
    assert set(network.state_dict()) == set(published_keys())


def test_shapes_flow_through(network: VggFace2Network) -> None:
    assert network(torch.zeros(2, 3, 224, 224, device="meta")).shape == (2, 512)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["conv.weight"] == (64, 3, 7, 7)
    assert shapes["block1.reduce_conv.weight"] == (64, 64, 1, 1)
    assert shapes["id3.4.conv.weight"] == (256, 256, 3, 3)
    assert shapes["block4.proj.weight"] == (2048, 1024, 1, 1)
    assert shapes["dim_proj.weight"] == (512, 2048)


def test_a_unit_narrows_convolves_and_widens() -> None:
    each = Unit(8, 16, 2, project=True).eval()
    x = torch.randn(2, 8, 6, 6)
    scale = 1 / np.sqrt(1 + 0.001)  # a new normalisation does nothing but this
    with torch.inference_mode():
        y = F.relu(scale * F.conv2d(x, each.reduce_conv.weight, stride=2))
        y = F.relu(scale * F.conv2d(y, each.conv.weight, padding=1))
        y = scale * F.conv2d(y, each.increase_conv.weight) + scale * F.conv2d(x, each.proj.weight, stride=2)
        torch.testing.assert_close(each(x), F.relu(y))


@pytest.mark.parametrize("prefix", ["", "resnet."])
def test_a_release_fits_with_and_without_the_common_beginning(
    network: VggFace2Network, tmp_path: Path, prefix: str
) -> None:
    state = VggFace2.convert([released(network, tmp_path, prefix=prefix)])
    assert state["dim_proj.weight"].shape == (512, 2048)
    assert "conv.bias" in state  # what its normalisation was folded into


def test_another_networks_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsCorrupt, match="lacks"):
        VggFace2.convert([released(Unit(8, 16, 2), tmp_path)])


def test_it_sees_the_legacy_crop_with_blue_first() -> None:
    image = np.random.default_rng(3).integers(0, 256, (160, 150, 3), np.uint8)
    batch = face(image)
    assert batch.aligned is not None
    seen = VggFace2().pre_process(batch).pixels
    np.testing.assert_array_equal(seen[0], crop(image, crop_matrices(batch.aligned, 224, "legacy")[0], 224))


def test_embeddings_have_length_one_and_faceswaps_name() -> None:
    batch = face(np.zeros((160, 150, 3), np.uint8))
    model = VggFace2()
    model.post_process((np.full((1, 512), 3, np.float32),), model.pre_process(batch), batch)
    np.testing.assert_allclose(batch.identities["vggface2"], np.full((1, 512), 512**-0.5), rtol=1e-6)
