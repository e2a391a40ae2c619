from collections.abc import Iterator

import pytest
import torch

from facestream.plugins import registry
from facestream.plugins.mask.unet_dfl import UNet, UNetDfl, Up
from tests.plugins.align.layouts import convolution


def published_keys() -> Iterator[str]:
    """The layout's own words, spelt out."""
    for name, count in (("0", 1), ("3", 1), ("8", 2), ("13", 2), ("18", 2)):
        for index in range(count):
            yield from convolution(f"features_{name}.convs.{2 * index}", bias=True)
    for level in range(1, 6):
        yield from convolution(f"dec{level}.conv", bias=True)
        yield from convolution(f"dec{level}.conv_trans", bias=True)
    yield from convolution("conv2d_6", bias=True)
    yield from convolution("conv2d_7", bias=True)


def test_keys_are_the_published_ones() -> None:
    with torch.device("meta"):
        assert set(UNet().state_dict()) == set(published_keys())


def test_channels_are_the_published_ones() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in UNet().state_dict().items()}
    downwards = [("0.convs.0", 3, 64), ("3.convs.0", 64, 128), ("8.convs.0", 128, 256), ("8.convs.2", 256, 256)]
    downwards += [("13.convs.0", 256, 512), ("13.convs.2", 512, 512), ("18.convs.0", 512, 512)]
    for name, inputs, outputs in downwards:
        assert shapes[f"features_{name}.weight"] == (outputs, inputs, 3, 3)
    upwards = [(512, 512, 256), (768, 512, 256), (768, 512, 128), (384, 256, 64), (192, 128, 32)]
    for level, (inputs, middle, outputs) in enumerate(upwards, 1):
        assert shapes[f"dec{level}.conv.weight"] == (middle, inputs, 3, 3)
        assert shapes[f"dec{level}.conv_trans.weight"] == (middle, outputs, 3, 3)
    assert shapes["conv2d_6.weight"] == (64, 96, 3, 3)
    assert shapes["conv2d_7.weight"] == (1, 64, 3, 3)


def test_shapes_flow_through() -> None:
    with torch.device("meta"):
        assert UNet()(torch.zeros(2, 3, 256, 256)).shape == (2, 256, 256)


def test_it_gives_a_probability_of_each_pixel() -> None:
    torch.manual_seed(0)
    found = UNet(width=4).eval()(torch.rand(1, 3, 64, 96))
    assert found.shape == (1, 64, 96)
    assert ((found > 0) & (found < 1)).all()


def test_a_step_upwards_doubles_the_size_and_cuts_what_is_too_much() -> None:
    up = Up(1, 1, 1)
    for part in (up.conv, up.conv_trans):
        torch.nn.init.zeros_(part.weight)
        torch.nn.init.zeros_(part.bias)
    with torch.no_grad():
        up.conv.weight[0, 0, 1, 1] = up.conv_trans.weight[0, 0, 0, 0] = 1.0
        x = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
        y = up(x)
        assert y.shape == (1, 1, 6, 6)
        torch.testing.assert_close(y[..., ::2, ::2], x)
        assert not y[..., 1::2, :].any()
        assert not up(-x).any()


def test_it_looks_at_the_legacy_square_as_its_card_says() -> None:
    model = UNetDfl(storage_size=0)
    card = registry.card("mask", "unet-dfl")
    assert (model.storage_name, model.centering, model.size, model.storage_size) == ("unet-dfl", "legacy", 256, 256)
    assert (card.colour, card.range, card.mean, card.batch) == ("bgr", (0.0, 1.0), (0.0, 0.0, 0.0), 8)


def test_a_file_of_the_published_keys_becomes_its_weights(tmp_path) -> None:
    with torch.device("meta"):
        state = UNet().state_dict()
    file = tmp_path / "DFL_256_sigmoid_v2.pth"
    torch.save({key: torch.zeros(()).expand(value.shape) for key, value in state.items()}, file)
    assert {key: value.shape for key, value in UNetDfl.convert([file]).items()} == {
        key: value.shape for key, value in state.items()
    }


@pytest.mark.parametrize("size", [32, 64])
def test_what_is_bright_stays_where_it_was(size: int) -> None:
    """Every convolution passes its own pixel on, so the finest level's skip decides."""
    net = UNet(width=2).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.features_0.convs[0].weight[0, 0, 1, 1] = 1.0
        net.conv2d_6.weight[0, 1, 1, 1] = 1.0  # after the decoder's one channel come the encoder's
        net.conv2d_7.weight[0, 0, 1, 1] = 8.0
        x = torch.zeros(1, 3, size, size)
        x[0, 0, 5, 9] = 1.0
        found = net(x)[0]
    assert (found > 0.6).nonzero().tolist() == [[5, 9]]
