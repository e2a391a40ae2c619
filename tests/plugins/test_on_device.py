"""torch's scaling and cropping against OpenCV's, on noise, where every error shows, and on a photo."""

import numpy as np
import pytest
import torch

from facestream.faces.crops import crop as best_crop
from facestream.plugins.align.roi import Squares, centred, crop
from facestream.plugins.letterbox import letterbox, letterbox_on, scale_into
from facestream.plugins.on_device import crops, cubic_taps, linear_taps, reduced_crops, resized
from facestream.plugins.on_device_frames import UploadedFrames
from facestream.plugins.on_device_pixels import DevicePixels, device_patches
from facestream.stream.types import ExtractBatch, Frame, Image

CPU = torch.device("cpu")
GREY_LEVELS = 1


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(params=["noise", "photo"], scope="module")
def picture(request: pytest.FixtureRequest) -> Image:
    return noise(135, 241) if request.param == "noise" else request.getfixturevalue("photo")


def most_apart(one: Image, other: Image) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("scale", [0.11, 1 / 3, 0.5, 0.77, 1.0, 1.6])
def test_resizing_is_opencvs(picture: Image, scale: float) -> None:
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    expected = np.empty((height, width, 3), np.uint8)
    scale_into(expected, picture)
    (found,) = resized(torch.from_numpy(picture)[None], height, width).numpy()
    assert most_apart(found, expected) <= 2 * GREY_LEVELS  # OpenCV rounds each halving down


@pytest.mark.parametrize("taps", [linear_taps, cubic_taps])
@pytest.mark.parametrize(("source", "target"), [(100, 30), (30, 100), (7, 7), (1, 1), (1920, 640)])
def test_weights_add_up_to_one_and_none_lies_outside(taps, source: int, target: int) -> None:
    index, weight = taps(source, target, CPU)
    assert index.min() >= 0
    assert index.max() < source
    torch.testing.assert_close(weight.sum(0), torch.ones(target))


def random_squares(picture: Image, count: int) -> Squares:
    """Turned, some of them far out of the picture."""
    rng = np.random.default_rng(1)
    centres = rng.uniform(0, 1, (count, 2)) * picture.shape[1::-1]
    return Squares(*(a.astype(np.float32) for a in (centres, rng.uniform(20, 400, count), rng.uniform(-3, 3, count))))


def test_crops_are_opencvs_with_black_beyond_the_edge(picture: Image) -> None:
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    matrices, owners = random_squares(picture, 8).matrices(96), np.arange(8) % 2
    expected = crop([picture, mirrored], owners.astype(np.int32), matrices, 96)
    pictures = torch.from_numpy(np.stack([picture, mirrored]))
    found = crops(pictures, torch.from_numpy(owners), torch.from_numpy(centred(matrices).astype(np.float32)), 96)
    assert most_apart(found.numpy(), expected) <= GREY_LEVELS


@pytest.mark.parametrize("scale", [2.3, 0.7, 0.45, 0.21, 0.12])
def test_patches_are_those_of_the_host_at_any_scale(picture: Image, scale: float) -> None:
    cos, sin = np.cos(0.3) * scale, np.sin(0.3) * scale
    matrix = np.float32([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    matrix[:2, 2] = 20 - matrix[:2, :2] @ (np.float32(picture.shape[1::-1]) / 3)
    batch = batch_of([picture], faces=1)
    pixels = device_patches(UploadedFrames(), CPU, batch, matrix[None], 56, rgb=False)
    assert most_apart(pixels.on(CPU)[0].numpy(), best_crop(picture, matrix, 56)) <= GREY_LEVELS


def test_patches_of_many_faces_of_all_sizes_keep_their_order() -> None:
    pictures = [noise(90, 160, 0), noise(160, 90, 1), noise(90, 160, 2)]
    batch = batch_of(pictures, faces=4)
    scales = np.float32([3, 0.8, 0.3, 0.2, 0.2, 1, 1.5, 0.45, 2, 0.49, 0.51, 0.1])
    matrices = np.zeros((12, 3, 3), np.float32)
    matrices[:, [0, 1], [0, 1]] = scales[:, None]
    matrices[:, 2, 2], matrices[:, :2, 2] = 1, 7 * scales[:, None] - 40 * scales[:, None] + 20
    found = device_patches(UploadedFrames(), CPU, batch, matrices, 40, rgb=True).on(CPU).numpy()
    for face, matrix, owner in zip(found, matrices, batch.frame_ids):
        assert most_apart(face[..., ::-1], best_crop(pictures[owner], matrix, 40)) <= GREY_LEVELS


def test_a_face_wholly_outside_its_picture_is_black() -> None:
    away = torch.tensor([[[3.0, 0, 5000], [0, 3, -9000]]])
    owner = torch.zeros(1, dtype=torch.int64)
    pictures = torch.from_numpy(noise(20, 30))[None]
    assert not crops(pictures, owner, away, 8).any()
    assert not reduced_crops(pictures, owner, away, 8, factor=3).any()


def test_the_canvas_is_the_hosts_whatever_the_frames_sizes() -> None:
    images = [noise(90, 160, 0), noise(160, 90, 1), noise(90, 160, 2), noise(10, 20, 3)]
    for rgb in (False, True):
        here = letterbox(images, 64, rgb=rgb)
        there = letterbox_on(UploadedFrames(), CPU, images, 64, rgb=rgb)
        assert not isinstance(there.canvas, np.ndarray)
        assert len(there) == 4
        np.testing.assert_array_equal(there.scales, here.scales)
        assert most_apart(made(there.canvas), here.on_host) <= GREY_LEVELS


def test_a_canvas_that_is_made_on_the_device_is_not_on_the_host() -> None:
    with pytest.raises(TypeError, match="made on the device"):
        _ = letterbox_on(UploadedFrames(), CPU, [noise(9, 9)], 32).on_host


def made(pixels: DevicePixels) -> Image:
    return pixels.on(CPU).numpy()


def batch_of(images: list[Image], *, faces: int) -> ExtractBatch:
    count = faces * len(images)
    return ExtractBatch(
        frames=[Frame("x", 0, seq, 0.0, 0.0, image) for seq, image in enumerate(images)],
        boxes=np.zeros((count, 4), np.float32),
        scores=np.ones(count, np.float32),
        frame_ids=np.repeat(np.arange(len(images), dtype=np.int32), faces),
    )
