from __future__ import annotations

import numpy as np
import pytest

from facestream.errors import ConfigError, ModelError
from facestream.faces.aligned import align
from facestream.faces.crops import crop_matrices
from facestream.plugins import registry
from facestream.plugins.mask.custom import CustomMask
from facestream.stream.joining import batch_of
from facestream.stream.types import ExtractBatch, FrameFaces, Masks
from tests.plugins.mask.faces_at import HEIGHT, WIDTH, at


def masks_of(faces: FrameFaces, masker: CustomMask) -> Masks:
    masker.load("cpu")
    batch = batch_of([faces])
    feed = masker.pre_process(batch)
    masker.post_process(masker.infer(feed), feed, batch)
    return batch.masks[masker.storage_name]


def test_a_custom_mask_is_empty_until_somebody_paints_it() -> None:
    masks = masks_of(at(320, 240), CustomMask())
    assert (masks.centering, masks.masks.shape, masks.masks.dtype) == ("face", (1, 128, 128), np.uint8)
    assert not masks.masks.any()


@pytest.mark.parametrize("centering", ["face", "head"])
def test_filled_it_covers_the_square_of_its_centering(centering: str) -> None:
    masker = CustomMask(centering=centering, fill=True)
    masks = masks_of(at(320, 240), masker)
    assert masker.storage_name == f"custom_{centering}"
    assert masks.centering == centering
    assert (masks.masks == 255).all()
    landmarks = at(320, 240).landmarks
    assert landmarks is not None
    np.testing.assert_array_equal(masks.matrices, crop_matrices(align(landmarks), 128, centering))


@pytest.mark.parametrize(("x", "y"), [(0, 240), (WIDTH, 240), (320, 0), (320, HEIGHT)])
def test_filled_it_ends_where_the_frame_does(x: float, y: float) -> None:
    mask = masks_of(at(x, y), CustomMask(fill=True)).masks[0]
    assert mask.max() == 255
    assert 0.3 < mask.mean() / 255 < 0.7


def test_its_own_size_is_256() -> None:
    assert masks_of(at(320, 240), CustomMask(storage_size=0)).masks.shape == (1, 256, 256)


def test_it_is_a_mask_model_like_the_others_that_needs_no_weights() -> None:
    masker = registry.create("mask", "custom", fill=True, centering="head")
    assert masker.storage_name == "custom_head"
    assert registry.card("mask", "custom").files == ()


def test_another_centering_is_refused() -> None:
    with pytest.raises(ConfigError, match="custom: the centering is face or head, not 'legacy'"):
        CustomMask(centering="legacy")


def test_faces_without_landmarks_are_refused() -> None:
    batch = batch_of([at(320, 240)])
    batch.landmarks = None
    with pytest.raises(ModelError, match="choose an aligner"):
        CustomMask().pre_process(batch)


def test_no_faces_are_no_masks() -> None:
    nobody = ExtractBatch(frames=[at(1, 1).frame])
    masker = CustomMask(fill=True)
    feed = masker.pre_process(nobody)
    masker.post_process(masker.infer(feed), feed, nobody)
    assert nobody.masks["custom_face"].masks.shape == (0, 128, 128)
