"""What is made of stored masks, against loops over pixels that know nothing of OpenCV's warps."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from facestream.faces.aligned import align
from facestream.faces.crops import RATIOS, crop_matrices
from facestream.faces.mask_edges import blurred, dilated, thresholded
from facestream.faces.mask_view import MaskView, joined_in_frame, views
from facestream.stream.types import Aligned, Floats, Image, Masks

SIZE = 64


def a_picture(size: int = SIZE) -> Image:
    """Waves: smooth, and different everywhere."""
    rows, columns = np.mgrid[:size, :size] / size
    return np.asarray(127 + 60 * np.sin(7 * rows + 1) + 60 * np.cos(6 * columns), np.uint8)


def turned(scale: float, degrees: float, x: float, y: float) -> Floats:
    """Frame → mask pixels."""
    angle = np.deg2rad(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([(c, -s, x), (s, c, y), (0, 0, 1)], np.float32)


def a_mask(matrix: Floats | None = None, size: int = SIZE) -> MaskView:
    return MaskView("face", turned(0.6, 25, -10, -30) if matrix is None else matrix, a_picture(size))


def bilinear(picture: Image, x: float, y: float) -> float:
    """The value between pixels; 0 beyond them."""
    left, top = int(np.floor(x)), int(np.floor(y))
    found = 0.0
    for column, row in product((left, left + 1), (top, top + 1)):
        if 0 <= column < picture.shape[1] and 0 <= row < picture.shape[0]:
            found += picture[row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return found


def slowly_in_frame(mask: MaskView, size: tuple[int, int], samples: int = 1) -> Floats:
    """The mean of ``samples`` ** 2 values in each of the frame's pixels."""
    frame = np.zeros(size[::-1], np.float32)
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    for row, column in product(range(size[1]), range(size[0])):
        places = [mask.matrix @ (column + dx, row + dy, 1) for dx, dy in product(steps, repeat=2)]
        frame[row, column] = np.mean([bilinear(mask.pixels, x, y) for x, y, _ in places])
    return frame


def away_from_the_border(mask: MaskView, size: tuple[int, int]) -> np.ndarray:
    """bool (h, w): the mask's square doesn't end at this pixel of the frame, or next to it."""
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    x, y, _ = mask.matrix @ np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)])
    reach = 2 + 2 * np.hypot(*mask.matrix[:2, 0])
    distance = np.minimum.reduce([x, y, mask.size - 1 - x, mask.size - 1 - y])
    return (np.abs(distance) > reach).reshape(rows.shape)


@pytest.mark.parametrize(
    "matrix",
    [
        turned(1, 0, 0, 0),
        turned(1, 0, -20, -7),
        turned(0.5, 0, 3, 3),
        turned(0.6, 25, -10, -30),
        turned(1.3, -70, 20, 60),
        turned(1, 0, 40, 40),
    ],
)
def test_a_mask_lies_in_its_frame_where_its_matrix_says(matrix: Floats) -> None:
    mask, size = a_mask(matrix), (70, 60)
    found = mask.in_frame(size)
    assert (found.shape, found.dtype) == ((60, 70), np.uint8)
    difference = np.abs(found - slowly_in_frame(mask, size))
    assert difference[away_from_the_border(mask, size)].max() <= 2
    assert difference.max() <= 14  # OpenCV's places are multiples of 1/32 of a pixel


@pytest.mark.parametrize("scale", [2.5, 4, 7.3])
def test_in_a_frame_that_shows_less_of_it_a_mask_is_averaged(scale: float) -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255  # a pixel wide: without averaging, all or nothing
    mask, size = MaskView("face", turned(scale, 0, 9, 5), stripes), (50, 50)
    found = mask.in_frame(size)
    inside = away_from_the_border(mask, size) & (found > 0)
    assert inside.sum() > 300
    assert np.abs(found[inside].astype(int) - 127).max() <= 40
    smooth = MaskView("face", turned(scale, 20, 9, 5), a_picture(256))
    close = np.abs(smooth.in_frame(size) - slowly_in_frame(smooth, size, samples=3))
    assert close[away_from_the_border(smooth, size)].max() <= 6


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("axis", [0, 1])
def test_averaged_a_mask_stays_in_its_place(scale: int, axis: int) -> None:
    slope = np.indices((60, 60))[axis]
    mask = MaskView("face", turned(scale, 0, 9, 9), np.asarray(4 * slope, np.uint8))
    places = scale * np.arange(3, 8) + 9  # of the frame's pixels, in the mask
    found = mask.in_frame((12, 12))[3:8, 3:8].mean(axis=1 - axis)
    np.testing.assert_allclose(found, 4 * places, atol=1)


def test_a_mask_beyond_its_frame_or_without_a_place_leaves_it_empty() -> None:
    assert not a_mask(turned(1, 0, -500, 0)).in_frame((60, 60)).any()
    assert not a_mask(np.zeros((3, 3), np.float32)).in_frame((60, 60)).any()


def test_in_a_crop_it_lies_as_in_the_frame() -> None:
    mask = a_mask(turned(1, 0, -12, -9))
    crop = turned(1, 0, -10, -4)
    np.testing.assert_array_equal(mask.in_crop(crop, 40), mask.in_frame((60, 60))[4:44, 10:50])
    assert not mask.in_crop(np.zeros((3, 3), np.float32), 40).any()


def test_several_masks_over_one_frame_leave_the_most_of_each() -> None:
    one, other = a_mask(turned(1, 0, 0, 0)), a_mask(turned(1, 0, -20, -10))
    joined = joined_in_frame([one, None, other], (90, 80))
    np.testing.assert_array_equal(joined, np.maximum(one.in_frame((90, 80)), other.in_frame((90, 80))))


def test_its_corners_lie_in_the_frame() -> None:
    mask = a_mask(turned(0.5, 0, -10, -20))
    assert mask.original_roi.tolist() == [[20, 40], [20, 166], [146, 166], [146, 40]]
    for corner, pixel in zip(a_mask().original_roi, [(0, 0), (0, 63), (63, 63), (63, 0)]):
        np.testing.assert_allclose((a_mask().matrix @ (*corner, 1))[:2], pixel, atol=0.5)


def offsets_of(golden_landmarks: Floats) -> dict[str, Floats]:
    return {name: rows[0] for name, rows in align(golden_landmarks).offsets.items()}


def slowly_recentred(
    picture: Image, source: str, offsets: dict[str, Floats], target: str, coverage: float, y_offset: float
) -> Image:
    """Spec §9.2 and §8.4, pixel by pixel."""
    edge = len(picture)
    size = 2 * round(edge * (1 - RATIOS[source]) / (1 - RATIOS[target]) * coverage / 2)
    inner = edge - edge * RATIOS[source]
    x = round((float(offsets[target][0]) - float(offsets[source][0])) * inner + edge / 2)
    y = round((float(offsets[target][1]) - float(offsets[source][1]) - y_offset) * inner + edge / 2)
    result = np.zeros((size, size), np.uint8)
    for row, column in product(range(size), repeat=2):
        from_row, from_column = row + y - size // 2, column + x - size // 2
        if 0 <= from_row < edge and 0 <= from_column < edge:
            result[row, column] = picture[from_row, from_column]
    return result


@pytest.mark.parametrize("source", ["legacy", "face", "head"])
@pytest.mark.parametrize("target", ["legacy", "face", "head"])
@pytest.mark.parametrize(("coverage", "y_offset"), [(1.0, 0.0), (0.7, 0.1)])
def test_another_centering_is_a_window_of_the_stored_pixels(
    source: str, target: str, coverage: float, y_offset: float, golden_landmarks: Floats
) -> None:
    offsets = offsets_of(golden_landmarks)
    mask = MaskView(source, crop_matrices(align(golden_landmarks), 63, source)[0], a_picture(63))
    found = mask.recentred(offsets, target, coverage=coverage, y_offset=y_offset)
    expected = slowly_recentred(mask.pixels, source, offsets, target, coverage, y_offset)
    np.testing.assert_array_equal(found.pixels, expected)
    assert (found.centering, found.size) == (target, len(expected))


@pytest.mark.parametrize(("source", "target"), [("head", "face"), ("face", "head"), ("face", "legacy")])
def test_re_centred_it_lies_in_the_frame_as_before_and_where_a_crop_of_that_centering_does(
    source: str, target: str, golden_landmarks: Floats
) -> None:
    aligned: Aligned = align(golden_landmarks)
    mask = MaskView(source, crop_matrices(aligned, 128, source)[0], np.full((128, 128), 255, np.uint8))
    moved = mask.recentred(offsets_of(golden_landmarks), target)
    places = [np.linalg.inv(view.matrix) @ (40, 60, 1) for view in (mask, moved)]
    back = [view.matrix @ place for view, place in zip((moved, mask), places)]
    assert np.allclose(back[0] + back[1], [80, 120, 2], atol=1e-2)
    expected = crop_matrices(aligned, moved.size, target)[0]
    corners = [np.linalg.inv(matrix)[:2] @ (moved.size / 2, moved.size / 2, 1) for matrix in (moved.matrix, expected)]
    pixel = 1 / np.hypot(*mask.matrix[:2, 0])  # in the frame
    np.testing.assert_allclose(corners[0], corners[1], atol=1.1 * pixel)


def test_the_same_square_in_more_or_fewer_pixels_lies_where_it_did() -> None:
    mask = a_mask(turned(0.8, 10, -10, -10))
    for size in (32, 96, 128):
        other = mask.resized(size)
        assert other.pixels.shape == (size, size)
        for corner in (-0.5, SIZE - 0.5):
            place = np.linalg.inv(mask.matrix) @ (corner, corner, 1)
            scaled = (corner + 0.5) * size / SIZE - 0.5
            np.testing.assert_allclose((other.matrix @ place)[:2], (scaled, scaled), atol=1e-3)
    blocks = a_picture().reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(mask.resized(32).pixels - blocks).max() <= 0.5
    assert mask.resized(SIZE) is mask


def test_the_edge_is_dilated_then_cut_then_softened() -> None:
    mask = a_mask()
    found = mask.finished(dilation=5, threshold=20, blur=5, blur_type="normalized", blur_passes=2)
    expected = blurred(thresholded(dilated(mask.pixels, 5), 20), 5, "normalized", 2)
    np.testing.assert_array_equal(found.pixels, expected)
    np.testing.assert_array_equal(mask.pixels, a_picture())
    np.testing.assert_array_equal(mask.finished().pixels, mask.pixels)


def test_the_edge_is_cut_before_it_is_softened_and_after_it_is_dilated() -> None:
    pixels = np.zeros((20, 20), np.uint8)
    pixels[:, 10:] = 255
    soft = MaskView("face", turned(1, 0, 0, 0), pixels).finished(threshold=50, blur=5, blur_type="normalized")
    assert soft.pixels[10, 7:13].tolist() == [0, 51, 102, 153, 204, 255]


def test_faces_without_such_a_mask_have_none() -> None:
    matrices = np.stack([turned(1, 0, 0, 0), np.full((3, 3), np.nan, np.float32)])
    masks = Masks("head", matrices, np.stack([a_picture(), a_picture()]))
    first, second = views(masks)
    assert second is None
    assert first is not None
    assert (first.centering, first.size) == ("head", SIZE)
