from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from facestream.errors import ConfigError
from facestream.faces.crops import crop_matrices
from facestream.faces.masks import landmark_mask
from facestream.plugins.mask.bisenet_fp import BiSeNet, BiSeNetFP
from facestream.stream.stage import derive
from facestream.stream.types import ExtractBatch, Floats, Image
from tests.plugins.conftest import Load, align, batch_of, detect_scaled

# Percent of each face's stored square that is face, from left to right.
COVERED = [37.54, 41.77, 36.68, 44.17, 46.71]


def published_keys() -> Iterator[str]:
    """The layout's own words, spelt out."""

    def norm(name: str) -> Iterator[str]:
        yield from (f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))
        yield f"{name}.num_batches_tracked"

    def block(name: str) -> Iterator[str]:
        yield f"{name}.conv.weight"
        yield from norm(f"{name}.bn")

    yield "cp.resnet.conv1.weight"
    yield from norm("cp.resnet.bn1")
    for layer in (1, 2, 3, 4):
        for index in (0, 1):
            name = f"cp.resnet.layer{layer}.{index}"
            for part in (1, 2):
                yield f"{name}.conv{part}.weight"
                yield from norm(f"{name}.bn{part}")
            if layer > 1 and index == 0:
                yield f"{name}.downsample.0.weight"
                yield from norm(f"{name}.downsample.1")
    for name in ("cp.arm16", "cp.arm32"):
        yield from block(f"{name}.conv")
        yield f"{name}.conv_atten.weight"
        yield from norm(f"{name}.bn_atten")
    for name in ("cp.conv_head32", "cp.conv_head16", "cp.conv_avg", "ffm.convblk", "conv_out.conv"):
        yield from block(name)
    yield from ("ffm.conv1.weight", "ffm.conv2.weight", "conv_out.conv_out.weight")


@pytest.fixture(scope="module")
def people(load: Load, photo: Image) -> ExtractBatch:
    """Five faces with landmarks, from left to right."""
    found = detect_scaled(load("detect", "yunet", size=320), photo, 320)
    batch = batch_of(photo, found)
    align(load("align", "mesh"), batch)
    batch.keep(np.argsort(batch.boxes[:, 0]))
    derive(batch)
    return batch


def masked(model: Any, batch: ExtractBatch) -> Image:
    feed = model.pre_process(batch)
    model.post_process(model.infer(feed), feed, batch)
    return batch.masks[model.storage_name].masks


def test_masks_cover_what_they_covered_before(load: Load, people: ExtractBatch) -> None:
    masks = masked(load("mask", "bisenet-fp"), people)
    covered = 100 * masks.mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(covered, COVERED, atol=0.3)
    assert people.masks["bisenet-fp_face"].centering == "face"


def test_a_mask_agrees_with_the_one_that_landmarks_outline(load: Load, people: ExtractBatch) -> None:
    two = people[0:2]
    masks = masked(load("mask", "bisenet-fp", size=384), two) >= 128
    assert two.aligned is not None
    assert two.landmarks is not None
    outlined = landmark_mask(two.landmarks, crop_matrices(two.aligned, 128, "face"), 128) >= 128
    assert (masks & outlined).sum() > 0.85 * outlined.sum()


def test_glasses_ears_and_hair_come_when_asked_for() -> None:
    labels = np.arange(19, dtype=np.float32).reshape(1, 1, 19)

    def wanted(**options: bool) -> list[int]:
        model = BiSeNetFP(**options)  # type: ignore[arg-type]
        return list(np.flatnonzero(model.decode((labels,))[0, 0]))

    assert wanted() == [1, 2, 3, 4, 5, 6, 10, 11, 12, 13]
    assert wanted(glasses=False) == [1, 2, 3, 4, 5, 10, 11, 12, 13]
    assert wanted(ears=True, glasses=False) == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13]
    assert wanted(hair=True) == [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 17]


def test_hair_needs_the_whole_head() -> None:
    assert (BiSeNetFP().storage_name, BiSeNetFP().centering) == ("bisenet-fp_face", "face")
    assert (BiSeNetFP(hair=True).storage_name, BiSeNetFP(hair=True).centering) == ("bisenet-fp_head", "head")


def test_a_size_at_which_it_fails_is_refused() -> None:
    with pytest.raises(ConfigError, match="384 or 512"):
        BiSeNetFP(size=256)


def test_the_networks_keys_are_the_published_ones() -> None:
    assert set(BiSeNet().state_dict()) == set(published_keys())


def test_the_network_gives_each_pixel_a_class() -> None:
    classes: Floats = BiSeNet().eval()(torch.zeros(2, 3, 64, 96)).numpy()
    assert classes.shape == (2, 64, 96)
    assert ((classes >= 0) & (classes < 19)).all()
