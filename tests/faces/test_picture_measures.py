from __future__ import annotations

import cv2
import numpy as np
import pytest

from facestream.faces.picture_measures import (
    black_share,
    face_pixels,
    fft_sharpness,
    grey_level,
    histogram,
    sharpness,
    ycgco,
)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 48, 3), np.uint8)


def flat(blue: int, green: int, red: int) -> np.ndarray:
    return np.full((10, 12, 3), (blue, green, red), np.uint8)


@pytest.mark.parametrize("measure", [sharpness, fft_sharpness])
def test_the_more_a_picture_is_blurred_the_less_sharp_it_is(measure: object) -> None:
    pictures = [noise(), *(cv2.GaussianBlur(noise(), (0, 0), sigma) for sigma in (0.5, 1, 3))]
    values = [measure(picture) for picture in pictures]  # type: ignore[operator]
    assert values == sorted(values, reverse=True)


def test_sharpness_is_the_laplacians_variance_over_the_root_of_the_area() -> None:
    image = np.zeros((5, 5, 3), np.uint8)
    image[2, 2] = 10  # its Laplacian: -40 there and 10 at four neighbours
    expected = ((40**2 + 4 * 10**2) / 25) / 5
    assert sharpness(image) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [sharpness, fft_sharpness])
def test_a_flat_picture_isnt_sharp(measure: object) -> None:
    assert np.isfinite(measure(flat(9, 9, 9)))  # type: ignore[operator]
    assert measure(flat(9, 9, 9)) < measure(noise())  # type: ignore[operator]


def test_black_is_what_has_no_colour_at_all() -> None:
    image = flat(0, 0, 0)
    image[:5] = (0, 0, 1)
    assert black_share(image) == 50


@pytest.mark.parametrize(
    ("bgr", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (255, 0, 0)),
        ((0, 255, 0), (127.5, 127.5, 0)),
        ((0, 0, 255), (63.75, -63.75, 127.5)),
        ((255, 0, 0), (63.75, -63.75, -127.5)),
    ],
)
def test_luma_green_and_orange(bgr: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    assert ycgco(flat(*bgr)).tolist() == list(expected)


def test_a_histogram_is_the_share_of_each_grey() -> None:
    image = flat(7, 7, 7)
    image[0] = 200
    shares = histogram(image)
    assert (shares[7], shares[200], shares.sum()) == pytest.approx((0.9, 0.1, 1))


def test_only_the_face_counts_where_it_is_known() -> None:
    image = flat(0, 0, 0)
    image[2:8, 2:8] = 100
    mask = face_pixels(np.float32([[2, 2], [7, 2], [7, 7], [2, 7]]), *image.shape[:2])
    assert mask.sum() == 36
    assert grey_level(image, mask) == 100
    assert histogram(image, mask)[100] == 1


def test_a_face_beyond_the_picture_leaves_all_of_it() -> None:
    outside = face_pixels(np.float32([[90, 90], [99, 90], [95, 99]]), 10, 12)
    assert not outside.any()
    assert grey_level(flat(5, 5, 5), outside) == 5
