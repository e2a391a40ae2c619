"""Edges of masks against loops over pixels."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.faces.mask_edges import blurred, dilated, thresholded
from facestream.stream.types import Image

SIZE = 40


def a_mask(seed: int = 0) -> Image:
    """A bright disc with a soft edge and some noise."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(rows - 18, columns - 22)
    noise = np.random.default_rng(seed).normal(0, 12, (SIZE, SIZE))
    return np.clip(255 * (14 - distance) / 6 + noise, 0, 255).astype(np.uint8)


def ellipse(kernel: int) -> list[tuple[int, int]]:
    """The (row, column) steps from the kernel's middle that an elliptic kernel looks at."""
    radius = kernel // 2
    steps = []
    for row in range(kernel):
        height = row - radius
        reach = round(radius * np.sqrt(max(0.0, 1 - (height / radius) ** 2))) if radius else 0
        steps += [(height, column - radius) for column in range(kernel) if abs(column - radius) <= reach]
    return steps


def slowly_dilated(mask: Image, percent: float) -> Image:
    steps = ellipse(round(len(mask) * abs(percent) / 100))
    result = mask.copy()
    for row, column in product(range(SIZE), repeat=2):
        near = [
            mask[row + down, column + right]
            for down, right in steps
            if 0 <= row + down < SIZE and 0 <= column + right < SIZE
        ]
        result[row, column] = max(near) if percent > 0 else min(near)
    return result


@pytest.mark.parametrize("percent", [12.5, -12.5, 20, -7.5, 6.5, -14])  # of 40 pixels: 5, 5, 8, 3, 2.6, 5.6
def test_dilation_takes_the_most_of_an_ellipse_and_erosion_the_least(percent: float) -> None:
    np.testing.assert_array_equal(dilated(a_mask(), percent), slowly_dilated(a_mask(), percent))


def test_less_than_half_a_pixel_of_dilation_is_none() -> None:
    np.testing.assert_array_equal(dilated(a_mask(), 1.2), a_mask())


@pytest.mark.parametrize(
    ("percent", "least", "most"),
    [(0, 0, 255), (10, 26, 229), (20, 51, 204), (25, 64, 191), (40, 102, 153), (50, 128, 127)],
)
def test_a_threshold_leaves_only_what_is_neither_nothing_nor_everything(percent: float, least: int, most: int) -> None:
    values = np.arange(256, dtype=np.uint8)[None]
    expected = [0 if value < least else 255 if value > most else value for value in range(256)]
    assert thresholded(values, percent)[0].tolist() == expected


@pytest.mark.parametrize("percent", [-1, 51])
def test_other_thresholds_are_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="0 to 50 percent"):
        thresholded(a_mask(), percent)


def weights(kernel: int, kind: str) -> list[float]:
    if kind == "normalized":
        return [1 / kernel] * kernel
    sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8
    raw = [np.exp(-((step - kernel // 2) ** 2) / (2 * sigma**2)) for step in range(kernel)]
    return [float(value / sum(raw)) for value in raw]


def slowly_blurred(mask: Image, kernels: list[int], kind: str) -> Image:
    for kernel in kernels:
        row = np.array(weights(kernel, kind))
        margin = kernel // 2
        wide = np.pad(mask.astype(np.float64), margin, mode="reflect")
        result = np.zeros(mask.shape)
        for down, right in product(range(kernel), repeat=2):
            result += row[down] * row[right] * wide[down : down + SIZE, right : right + SIZE]
        mask = np.rint(result).astype(np.uint8)
    return mask


@pytest.mark.parametrize(
    ("kernel", "kind", "passes", "kernels"),
    [
        (11, "gaussian", 1, [11]),
        (12, "gaussian", 1, [13]),
        (17, "gaussian", 3, [17, 13, 11]),
        (4, "normalized", 1, [5]),
        (15, "normalized", 3, [15, 7, 3]),
        (3, "normalized", 4, [3]),
    ],
)
def test_blur_is_a_weighted_mean_and_each_pass_has_a_smaller_kernel(
    kernel: int, kind: str, passes: int, kernels: list[int]
) -> None:
    found = blurred(a_mask(), kernel, kind, passes).astype(int)
    assert np.abs(found - slowly_blurred(a_mask(), kernels, kind)).max() <= 2


def test_a_kernel_of_less_than_two_pixels_blurs_nothing() -> None:
    np.testing.assert_array_equal(blurred(a_mask(), 1), a_mask())
    np.testing.assert_array_equal(blurred(a_mask(), 0, passes=3), a_mask())


def test_an_unknown_blur_is_refused() -> None:
    with pytest.raises(ValueError, match="motion"):
        blurred(a_mask(), 3, "motion")


@given(st.floats(-30, 30), st.floats(0, 50), st.integers(0, 20), st.integers(0, 4))
def test_an_empty_mask_stays_empty_and_a_full_one_full(
    dilation: float, threshold: float, blur: int, passes: int
) -> None:
    for value in (0, 255):
        mask = np.full((SIZE, SIZE), value, np.uint8)
        found = blurred(thresholded(dilated(mask, dilation), threshold), blur, "gaussian", passes)
        assert (found == value).all()
