import cv2
import numpy as np
import pytest

from facestream.plugins.align.normalize import Normalization


@pytest.fixture
def crops() -> np.ndarray:
    """Three dim crops whose channels have nothing to do with one another."""
    noise = np.random.default_rng(0).normal(0, 1, (3, 96, 96, 3))
    ramps = np.linspace(0, 60, 96)[:, None, None] * [1, 0.5, -1] + [20, 90, 120]
    return np.clip(ramps + 8 * noise, 0, 255).astype(np.uint8)


def planes(crops: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(crop[..., channel]) for crop in crops for channel in range(3)]


def test_none_changes_nothing(crops: np.ndarray) -> None:
    assert Normalization.NONE(crops) is crops


def test_hist_equalises_each_channel_of_each_crop_by_itself(crops: np.ndarray) -> None:
    for plane, result in zip(planes(crops), planes(Normalization.HIST(crops)), strict=True):
        # From the definition: the share of pixels that are darker, over those brighter than the darkest.
        counts = np.bincount(plane.ravel(), minlength=256)
        darkest = counts[plane.min()]
        expected = np.rint((np.cumsum(counts) - darkest) / (plane.size - darkest) * 255)
        np.testing.assert_allclose(result, expected[plane], atol=1)


def test_clahe_has_the_limit_and_the_tiles_of_the_specification(crops: np.ndarray) -> None:
    clahe = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4))
    for plane, result in zip(planes(crops), planes(Normalization.CLAHE(crops)), strict=True):
        np.testing.assert_array_equal(result, clahe.apply(plane))


def test_mean_stretches_each_channel_from_its_darkest_to_its_brightest(crops: np.ndarray) -> None:
    for plane, result in zip(planes(crops), planes(Normalization.MEAN(crops)), strict=True):
        low, high = float(plane.min()), float(plane.max())
        np.testing.assert_allclose(result, np.floor((plane - low) / (high - low) * 255 + 1e-9))
        assert (result.min(), result.max()) == (0, 255)


def test_mean_of_a_channel_without_contrast_is_black() -> None:
    assert not Normalization.MEAN(np.full((1, 8, 8, 3), 77, np.uint8)).any()


@pytest.mark.parametrize("normalization", Normalization)
def test_results_are_new_uint8_crops_ready_for_a_network(normalization: Normalization, crops: np.ndarray) -> None:
    before = crops.copy()
    result = normalization(crops)
    assert (result.dtype, result.shape) == (np.uint8, crops.shape)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(crops, before)


@pytest.mark.parametrize("normalization", Normalization)
def test_no_crops_are_no_trouble(normalization: Normalization) -> None:
    assert normalization(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 8, 8, 3)
