from collections.abc import Iterator

import pytest
import torch

from facestream.plugins import registry
from facestream.plugins.mask.vgg import CLEAR, OBSTRUCTED, Fcn8s, Layout, VggClear, VggObstructed
from tests.plugins.align.layouts import convolution

LAYOUTS = pytest.mark.parametrize(("layout", "size"), [(CLEAR, 300), (OBSTRUCTED, 500)], ids=["clear", "obstructed"])


def published_keys(suffix: str) -> Iterator[str]:
    """The layout's own words, spelt out."""
    for level, count in enumerate((2, 2, 3, 3, 3), 1):
        for index in range(count):
            yield from convolution(f"conv{level}.convs.{2 * index}", bias=True)
    for name in ("fc6", "fc7", f"score_fr{suffix}", "score_pool4.conv", "score_pool3.conv"):
        yield from convolution(name, bias=True)
    for name in ("upscore2", "upscore_pool4", "upscore8"):
        yield from convolution(name + suffix)


def network(layout: Layout) -> Fcn8s:
    with torch.device("meta"):
        return Fcn8s(layout)


@LAYOUTS
def test_keys_are_the_published_ones(layout: Layout, size: int) -> None:
    suffix = "_r" if size == 300 else ""
    assert set(network(layout).state_dict()) == set(published_keys(suffix))


@LAYOUTS
def test_channels_are_the_published_ones(layout: Layout, size: int) -> None:
    shapes = {key: tuple(value.shape) for key, value in network(layout).state_dict().items()}
    classes, suffix = (2, "_r") if size == 300 else (21, "")
    assert shapes["conv1.convs.0.weight"] == (64, 3, 3, 3)
    assert shapes["conv5.convs.4.weight"] == (512, 512, 3, 3)
    assert (shapes["fc6.weight"], shapes["fc7.weight"]) == ((4096, 512, 7, 7), (4096, 4096, 1, 1))
    assert shapes[f"score_fr{suffix}.weight"] == (classes, 4096, 1, 1)
    assert shapes["score_pool4.conv.weight"] == (classes, 512, 1, 1)
    assert shapes["score_pool3.conv.weight"] == (classes, 256, 1, 1)
    assert shapes[f"upscore_pool4{suffix}.weight"] == (classes, classes, 4, 4)
    assert shapes[f"upscore8{suffix}.weight"] == (classes, classes, 16, 16)


@LAYOUTS
def test_crops_and_paddings_lead_back_to_the_size_of_the_input(layout: Layout, size: int) -> None:
    with torch.device("meta"):
        assert network(layout)(torch.zeros(2, 3, size, size)).shape == (2, size, size)


@LAYOUTS
def test_levels_have_the_published_sizes(layout: Layout, size: int) -> None:
    net, seen = network(layout), {}
    for name, part in net.named_children():
        part.register_forward_hook(lambda part, inputs, output, name=name: seen.update({name: output.shape[-1]}))
    with torch.device("meta"):
        net(torch.zeros(1, 3, size, size))
    sizes = [seen[name] for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6")]
    assert sizes == ([498, 249, 125, 63, 32, 10] if size == 300 else [698, 349, 175, 88, 44, 16])


def small(layout: Layout) -> Fcn8s:
    torch.manual_seed(1)
    return Fcn8s(layout, width=2, hidden=3)


@LAYOUTS
@torch.inference_mode()
def test_it_gives_the_same_probabilities_each_time(layout: Layout, size: int) -> None:
    net, x = small(layout), 255 * torch.rand(1, 3, size, size)
    found = net.train()(x)
    assert ((found >= 0) & (found <= 1)).all()
    torch.testing.assert_close(net(x), found, rtol=0, atol=0)
    torch.testing.assert_close(net.eval()(x), found, rtol=0, atol=0)


@torch.inference_mode()
def test_a_pictures_brightness_does_not_matter() -> None:
    net, x = small(CLEAR).eval(), 100 * torch.rand(2, 3, 300, 300)
    torch.testing.assert_close(net(x + 90), net(x), rtol=1e-3, atol=1e-4)


def passing_brightness_on(layout: Layout, level: str) -> Fcn8s:
    """Every filter takes the mean of its first channel; only ``level``'s score counts; enlarging is linear."""
    net = Fcn8s(layout, width=2, hidden=2).eval()
    for name, parameter in net.named_parameters():
        torch.nn.init.zeros_(parameter)
        if name.startswith("upscore"):
            edge = parameter.shape[-1]
            ramp = 1 - (torch.arange(edge) - (edge - 1) / 2).abs() * 2 / edge
            for index in range(layout.classes):
                parameter[index, index] = ramp[:, None] * ramp
        elif name.startswith(level) and name.endswith("weight"):
            parameter[1, 0] = {"score_fr": 0.01, "score_pool4": 1, "score_pool3": 100}[level]
        elif name.endswith("weight") and "score" not in name:
            parameter[:, 0] = 1 / parameter[0, 0].numel()
    return net


@LAYOUTS
@pytest.mark.parametrize(("level", "cell"), [("score_fr", 32), ("score_pool4", 16), ("score_pool3", 8)])
@torch.inference_mode()
def test_each_level_finds_what_is_bright_where_it_is(layout: Layout, size: int, level: str, cell: int) -> None:
    y, x = 0.35 * size, 0.6 * size
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    spot = 255 * torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (size / 12) ** 2))
    found = passing_brightness_on(layout, level)(spot.expand(1, 3, size, size))[0]
    bright = (found > found.max() - 0.1 * (found.max() - found.min())).nonzero().float().mean(dim=0)
    assert (bright - torch.tensor([y, x])).abs().max() < cell


def test_they_look_at_the_face_square_as_their_cards_say() -> None:
    for model, name, size, batch in ((VggClear(), "vgg-clear", 300, 6), (VggObstructed(), "vgg-obstructed", 500, 2)):
        card = registry.card("mask", name)
        assert (model.storage_name, model.centering, model.size, model.batch_size) == (name, "face", size, batch)
        assert (card.colour, card.range, card.mean, card.std) == ("bgr", (0.0, 255.0), (0.0,) * 3, (1.0,) * 3)
