from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from facestream.errors import ConfigError, ModelError
from facestream.faces.aligned import align
from facestream.faces.crops import crop, crop_matrices, enlarged
from facestream.faces.extracted import extracted_face, restored
from facestream.plugins.base import Outputs
from facestream.plugins.mask.base import TorchMasker
from facestream.plugins.mask.cards import BISENET_FP
from facestream.plugins.mask.storage import stored_mask
from facestream.stream.joining import batch_of
from facestream.stream.types import ExtractBatch, Floats, Frame, FrameFaces, Image, Masks
from tests.plugins.mask.faces_at import HEIGHT, WIDTH, at


class Everything(TorchMasker):
    """A masker whose network has said that all it sees is face."""

    card = BISENET_FP

    @staticmethod
    def network() -> nn.Module:
        return nn.Identity()

    @staticmethod
    def convert(files: Sequence[Path]) -> dict[str, Any]:
        return {}

    def decode(self, raw: Outputs) -> Floats:
        return raw[0]


def masks_of(faces: FrameFaces, masker: TorchMasker | None = None) -> Masks:
    masker = masker or Everything()
    batch = batch_of([faces])
    feed = masker.pre_process(batch)
    masker.post_process((np.ones((len(batch), 512, 512), np.float32),), feed, batch)
    return batch.masks["bisenet-fp"]


def in_frame(masks: Masks, index: tuple[float, float]) -> Floats:
    """(x, y) in frame pixels of a mask's pixel."""
    return np.asarray((np.linalg.inv(masks.matrices[0]) @ (*index, 1))[:2], np.float32)


def test_a_mask_is_stored_small_and_face_centred() -> None:
    masks = masks_of(at(320, 240))
    assert (masks.centering, masks.masks.shape, masks.masks.dtype) == ("face", (1, 128, 128), np.uint8)
    assert (masks.masks == 255).all()
    landmarks = at(320, 240).landmarks
    assert landmarks is not None
    np.testing.assert_array_equal(masks.matrices, crop_matrices(align(landmarks), 128, "face"))


@pytest.mark.parametrize(("x", "y"), [(0, 240), (WIDTH, 240), (320, 0), (320, HEIGHT), (5, 5)])
def test_nothing_of_a_mask_lies_outside_the_frame(x: float, y: float) -> None:
    masks = masks_of(at(x, y))
    ys, xs = np.mgrid[0:128, 0:128]
    places = np.stack([xs, ys, np.ones_like(xs)], axis=-1) @ np.linalg.inv(masks.matrices[0]).T
    beyond = np.maximum.reduce(
        [-places[..., 0], places[..., 0] - WIDTH + 1, -places[..., 1], places[..., 1] - HEIGHT + 1]
    )
    step = 1 / masks.matrices[0, 0, 0]  # frame pixels a pixel of the mask
    assert (masks.masks[0][beyond > 1.5 * step] == 0).all()
    assert (masks.masks[0][beyond < -1.5 * step] == 255).all()
    assert (beyond > 2 * step).any()
    assert (beyond < -2 * step).any()


def test_a_mask_beyond_the_frame_is_empty() -> None:
    assert not masks_of(at(-900, 240)).masks.any()


def test_where_a_face_picture_ends_its_frame_may_go_on() -> None:
    whole = at(320, 240)
    assert whole.landmarks is not None
    picture = crop(whole.frame.image, crop_matrices(align(whole.landmarks), 256)[0], 256)
    frame = Frame("faces", 0, 0, 0.0, 0.0, picture)
    assert (masks_of(extracted_face(frame, whole, (WIDTH, HEIGHT))).masks == 255).all()


def test_a_face_pictures_mask_lies_in_its_frame_where_the_frames_own_does() -> None:
    whole = at(30, 200)
    assert whole.landmarks is not None
    picture = crop(whole.frame.image, crop_matrices(align(whole.landmarks), 256)[0], 256)
    of_picture = extracted_face(Frame("faces", 0, 0, 0.0, 0.0, picture), whole, (WIDTH, HEIGHT))
    of_picture.masks["bisenet-fp"] = masks_of(of_picture)
    back, direct = restored(of_picture).masks["bisenet-fp"], masks_of(whole)
    np.testing.assert_allclose(back.matrices, direct.matrices, rtol=1e-3, atol=0.02)
    assert np.abs(back.masks.astype(int) - direct.masks).max() < 40  # at the frame's edge, a part of a pixel


def test_the_network_sees_the_stored_square_in_its_own_colours() -> None:
    faces = at(320, 240)
    faces.frame.image[240, 320] = (9, 200, 90)
    feed = Everything().pre_process(batch_of([faces]))
    assert feed.pixels.shape == (1, 512, 512, 3)
    assert feed.pixels[0, 100, 100].tolist() == [3, 2, 1]
    brightest = np.unravel_index(feed.pixels[0, ..., 1].argmax(), (512, 512))
    expected = (feed.matrices[0] @ (320, 240, 1))[:2][::-1] * 4 + 1.5
    np.testing.assert_allclose(brightest, expected, atol=2)


@pytest.mark.parametrize(("storage_size", "edge"), [(0, 512), (64, 64), (200, 200)])
def test_masks_are_stored_at_the_size_that_is_wanted(storage_size: int, edge: int) -> None:
    masks = masks_of(at(320, 240), Everything(storage_size=storage_size))
    assert masks.masks.shape == (1, edge, edge)
    np.testing.assert_allclose(
        in_frame(masks, (edge / 2, edge / 2)), in_frame(masks_of(at(320, 240)), (64, 64)), atol=3
    )


def test_masks_that_would_be_too_small_are_stored_at_64_pixels(caplog: pytest.LogCaptureFixture) -> None:
    assert Everything(storage_size=63).storage_size == 64
    assert "they will have 64" in caplog.text


@pytest.mark.parametrize("storage_size", [-1, 1029])
def test_other_storage_sizes_are_refused(storage_size: int) -> None:
    with pytest.raises(ConfigError, match="stored at 0 or 64 to 1028 pixels"):
        Everything(storage_size=storage_size)


def test_a_square_four_times_as_large_has_its_edges_where_the_small_one_has() -> None:
    small = np.eye(3, dtype=np.float32)[None]
    large = enlarged(small, 4)[0]
    assert (large @ (-0.5, -0.5, 1)).tolist() == [-0.5, -0.5, 1]
    assert (large @ (127.5, 127.5, 1)).tolist() == [511.5, 511.5, 1]


def test_what_is_half_in_the_frame_counts_half() -> None:
    inside = np.full((4, 4), 255, np.uint8)
    inside[:, 2] = 128
    inside[:, 3] = 0
    assert stored_mask(np.ones((4, 4), np.float32), inside, 4)[0].tolist() == [255, 255, 128, 0]
    assert stored_mask(np.ones((4, 4), np.float32), inside, 2)[0].tolist() == [255, 64]


def test_more_than_one_and_less_than_nothing_are_cut_off() -> None:
    mask = np.array([(-0.5, 2.0), (0.5, 1.0)], np.float32)
    assert stored_mask(mask, np.full((2, 2), 255, np.uint8), 2).tolist() == [[0, 255], [128, 255]]


def test_the_frames_edge_may_be_of_another_size_than_the_networks_output() -> None:
    inside: Image = np.zeros((8, 8), np.uint8)
    inside[:4] = 255
    assert stored_mask(np.ones((4, 4), np.float32), inside, 4)[:, 0].tolist() == [255, 255, 0, 0]


def test_faces_without_landmarks_are_refused() -> None:
    batch = batch_of([at(320, 240)])
    batch.landmarks = None
    with pytest.raises(ModelError, match="choose an aligner"):
        Everything().pre_process(batch)


def test_no_faces_are_no_masks() -> None:
    nobody = ExtractBatch(frames=[at(1, 1).frame])
    masker = Everything()
    feed = masker.pre_process(nobody)
    masker.post_process(masker.infer(feed), feed, nobody)
    assert nobody.masks["bisenet-fp"].masks.shape == (0, 128, 128)
