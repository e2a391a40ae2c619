from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from facestream.errors import ModelError
from facestream.faces.crops import crop, crop_matrices
from facestream.plugins import registry
from facestream.plugins.folding import folded
from facestream.plugins.identity.t_face import IR_50, IR_101, TFace, TFaceIr50, TFaceNetwork, Unit
from facestream.stream.stage import derive
from facestream.stream.types import ExtractBatch, Frame
from facestream.testing.plugins import FACE_68
from tests.plugins.align.layouts import convolution, norm, pair
from tests.plugins.identity.layers import released


class Small(TFace):
    """Quick to make."""

    units = (1, 1, 1, 1)


def published_keys(units: tuple[int, ...]) -> Iterator[str]:
    """The layout's own words, spelt out."""
    yield from (*convolution("input_layer.0"), *norm("input_layer.1"), "input_layer.2.weight")
    ends = np.cumsum(units)
    for block in range(sum(units)):
        inside = f"body.{block}.res_layer"
        yield from (*norm(f"{inside}.0"), *convolution(f"{inside}.1"), *norm(f"{inside}.2"), f"{inside}.3.weight")
        yield from (*convolution(f"{inside}.4"), *norm(f"{inside}.5"))
        if block in ends:  # the first of a new width
            yield from pair(f"body.{block}.shortcut_layer")
    yield from norm("output_layer.0")
    yield from convolution("output_layer.3", bias=True)
    yield from (f"output_layer.4.{part}" for part in ("running_mean", "running_var", "num_batches_tracked"))


def network(units: tuple[int, ...]) -> TFaceNetwork:
    with torch.device("meta"):
        return TFaceNetwork(units).eval()


def face(image: np.ndarray, *, landmarks: bool = True) -> ExtractBatch:
    batch = ExtractBatch(
        frames=[Frame("photo", 0, 0, 0.0, 0.0, image)],
        boxes=np.float32([[20, 10, 120, 130]]),
        scores=np.ones(1, np.float32),
        landmarks=(FACE_68 * (100, 120) + (20, 10)).astype(np.float32)[None] if landmarks else None,
        frame_ids=np.zeros(1, np.int32),
    )
    derive(batch)
    return batch


@pytest.mark.parametrize("units", [IR_50, IR_101])
def test_keys_are_the_published_ones(units: tuple[int, ...]) -> None:
    assert set(network(units).state_dict()) == set(published_keys(units))


@pytest.mark.parametrize(("units", "millions"), [(IR_50, 43.59), (IR_101, 65.15)])
def test_shapes_flow_through_and_parameters_are_as_many_as_published(units: tuple[int, ...], millions: float) -> None:
    net = network(units)
    assert net(torch.zeros(2, 3, 112, 112, device="meta")).shape == (2, 512)
    assert sum(weight.numel() for weight in net.parameters()) == pytest.approx(1e6 * millions, rel=1e-3)


def test_channels_are_the_published_ones() -> None:
    shapes = {key: tuple(value.shape) for key, value in network(IR_101).state_dict().items()}
    assert shapes["body.0.res_layer.1.weight"] == (64, 64, 3, 3)
    assert shapes["body.3.res_layer.1.weight"] == (128, 64, 3, 3)
    assert shapes["body.3.shortcut_layer.0.weight"] == (128, 64, 1, 1)
    assert shapes["body.48.res_layer.4.weight"] == (512, 512, 3, 3)
    assert shapes["output_layer.3.weight"] == (512, 512 * 7 * 7)


@pytest.mark.parametrize(("inputs", "width", "stride"), [(4, 4, 2), (4, 8, 2), (8, 8, 1)])
def test_a_unit_normalises_before_and_after_and_halves_in_its_last_convolution(
    inputs: int, width: int, stride: int
) -> None:
    unit = Unit(inputs, width, stride).eval()
    _unsettle(unit)
    first, one, mid, slopes, two, last = unit.res_layer
    x = torch.randn(2, inputs, 6, 6)
    with torch.inference_mode():
        y = F.conv2d(_normal(x, first), one.weight, padding=1)
        y = F.conv2d(F.prelu(_normal(y, mid), slopes.weight), two.weight, stride=stride, padding=1)
        short = x[:, :, ::stride, ::stride]
        if inputs != width:
            projection, after = unit.shortcut_layer
            short = _normal(torch.einsum("oi,bihw->bohw", projection.weight[:, :, 0, 0], short), after)
        torch.testing.assert_close(unit(x), _normal(y, last) + short)


def test_folding_changes_no_number() -> None:
    torch.manual_seed(1)
    unit = Unit(4, 8, 2).eval()
    _unsettle(unit)
    x = torch.randn(2, 4, 6, 6)
    with torch.inference_mode():
        before = unit(x)
        torch.testing.assert_close(folded(unit)(x), before)


def test_a_release_becomes_the_folded_networks_state(tmp_path: Path) -> None:
    with torch.device("meta"):
        net = TFaceNetwork(Small.units)
    state = Small.convert([released(net, tmp_path)])
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in Small.network().state_dict().items()
    }
    assert not any("input_layer.1" in key for key in state)


def test_it_sees_the_legacy_crop_with_red_first() -> None:
    image = np.random.default_rng(2).integers(0, 256, (160, 150, 3), np.uint8)
    batch = face(image)
    assert batch.aligned is not None
    expected = crop(image, crop_matrices(batch.aligned, 112, "legacy")[0], 112)
    np.testing.assert_array_equal(TFace().pre_process(batch).pixels[0], expected[..., ::-1])
    np.testing.assert_array_equal(TFace(bgr=True).pre_process(batch).pixels[0], expected)


def test_its_numbers_stay_as_long_as_they_are_and_have_faceswaps_names() -> None:
    batch = face(np.zeros((160, 150, 3), np.uint8))
    raw = np.arange(512, dtype=np.float32)[None]
    for model, name in ((TFace(), "t-face_ir-101"), (TFaceIr50(), "t-face_ir-50")):
        assert not model.comparable
        model.post_process((raw,), model.pre_process(batch), batch)
        np.testing.assert_array_equal(batch.identities[name], raw)


def test_without_landmarks_it_says_what_is_missing() -> None:
    with pytest.raises(ModelError, match="choose an aligner"):
        TFace().pre_process(face(np.zeros((160, 150, 3), np.uint8), landmarks=False))


def test_its_cards_need_a_voucher_and_know_faceswaps_threshold() -> None:
    for name in ("t-face", "t-face-ir-50", "vggface2"):
        card = registry.card("identity", name)
        assert (card.threshold, card.files[0].sha256) == (0.60, "")
        assert name not in registry.names("identity")


def _unsettle(module: nn.Module) -> None:
    """Give normalisations numbers that matter."""
    generator = torch.Generator().manual_seed(0)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            for values in (each.weight, each.bias, each.running_mean, each.running_var):
                assert values is not None
                values.data.uniform_(0.5, 1.5, generator=generator)


def _normal(x: torch.Tensor, by: nn.BatchNorm2d) -> torch.Tensor:
    mean, variance, weight, bias = (
        values.view(1, -1, 1, 1) for values in (by.running_mean, by.running_var, by.weight, by.bias)
    )
    return (x - mean) / torch.sqrt(variance + by.eps) * weight + bias
