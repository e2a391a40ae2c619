from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from facestream.faces.aligned import align, transform
from facestream.faces.crops import (
    RATIOS,
    Resampling,
    crop,
    crop_matrices,
    normalised_matrices,
    original_roi,
    padding,
    sub_crop,
    sub_crop_size,
)
from facestream.stream.types import Floats, Image

GOLDEN = {
    "legacy": [[1.50351, 0.54723, -453.55422], [-0.54723, 1.50351, -10.46185]],
    "face": [[1.20281, 0.43779, -311.64333], [-0.43779, 1.20281, 80.91363]],
    "head": [[0.9021, 0.32834, -169.7325], [-0.32834, 0.9021, 124.2786]],
}
GOLDEN_ROI = {
    "legacy": [(264, 103), (155, 403), (455, 512), (564, 212)],
    "face": [(250, 24), (114, 399), (489, 536), (626, 160)],
    "head": [(210, -61), (28, 439), (529, 621), (711, 121)],
}


def scaling(scale: float, x: float = 0.0, y: float = 0.0) -> Floats:
    return np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]], np.float32)


def photograph(height: int, width: int) -> Image:
    """Something smooth with detail, the same every time."""
    noise = np.random.default_rng(5).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize(("centering", "pixels"), [("legacy", 96), ("face", 128), ("head", 160)])
def test_padding_of_a_512_crop(centering: str, pixels: int) -> None:
    assert padding(512, centering) == pixels


def test_padding_rounds_halves_to_even_as_python_does() -> None:
    assert padding(10, "face") == 2  # 2.5
    assert padding(14, "face") == 4  # 3.5


@given(st.integers(16, 2000), st.sampled_from(sorted(RATIOS)), st.floats(0.5, 1.5))
def test_coverage_scales_what_is_shown(size: int, centering: str, coverage: float) -> None:
    inner = size - 2 * padding(size, centering, coverage)
    assert inner == pytest.approx(size * (1 - RATIOS[centering]) / coverage, abs=1.01)


@pytest.mark.parametrize("centering", sorted(GOLDEN))
def test_the_golden_face_has_the_golden_crop_matrices_and_corners(centering: str, golden_landmarks: Floats) -> None:
    matrix = crop_matrices(align(golden_landmarks), 512, centering)[0]
    np.testing.assert_allclose(matrix[:2], GOLDEN[centering], atol=1e-3, rtol=1e-5)
    assert original_roi(matrix, 512).tolist() == [list(corner) for corner in GOLDEN_ROI[centering]]


@pytest.mark.parametrize("coverage", [1.0, 0.8])
def test_normalised_matrices_undo_crop_matrices(coverage: float, golden_landmarks: Floats) -> None:
    aligned = align(golden_landmarks)
    matrices = crop_matrices(aligned, 256, "face", coverage=coverage)
    expected = aligned.matrices[0].copy()
    expected[:2, 2] -= aligned.offsets["face"][0]
    np.testing.assert_allclose(normalised_matrices(matrices, 256, "face", coverage=coverage)[0], expected, atol=1e-5)


def test_a_y_offset_moves_the_content_down(golden_landmarks: Floats) -> None:
    aligned = align(golden_landmarks)
    nose = golden_landmarks[:, 30:31]
    plain, moved = (transform(crop_matrices(aligned, 512, y_offset=y), nose)[0, 0] for y in (0.0, 0.25))
    np.testing.assert_allclose(moved - plain, (0, 0.25 * (512 - 320)), atol=1e-3)


def test_a_crop_shows_the_frame_and_black_beyond_it() -> None:
    frame = photograph(40, 60)
    shown = crop(frame, scaling(1, x=10, y=-5), 64)
    np.testing.assert_array_equal(shown[:35, 10:64], frame[5:, :54])
    assert not shown[:, :10].any()
    assert not shown[36:].any()


@pytest.mark.parametrize("shape", [(50, 50), (50, 50, 1), (50, 50, 3), (50, 50, 4), (0, 0, 3)])
@pytest.mark.parametrize("scale", [0.1, 0.7, 3.0])
def test_a_crop_has_the_images_channels(shape: tuple[int, ...], scale: float) -> None:
    assert crop(np.zeros(shape, np.uint8), scaling(scale), 24).shape in {(24, 24, *shape[2:]), (24, 24)}


def test_far_down_every_pixel_of_the_area_counts() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::8] = 255
    best = crop(stripes, scaling(1 / 8), 100)
    aliased = crop(stripes, scaling(1 / 8), 100, Resampling.FACESWAP)
    assert np.ptp(best[2:-2, 2:-2]) <= 2
    assert best[50, 50, 0] == pytest.approx(255 / 8, abs=2)
    assert np.ptp(aliased[2:-2, 2:-2]) == 0
    assert aliased[50, 50, 0] in (0, 255)


@given(st.floats(0.05, 0.5), st.floats(-20, 20), st.floats(-20, 20), st.floats(-180, 180))
def test_the_area_average_stays_in_place(scale: float, x: float, y: float, degrees: float) -> None:
    frame = np.full((500, 700, 3), 90, np.uint8)
    cv2.ellipse(frame, ((333.0, 222.0), (90.0, 90.0), 0.0), (250, 250, 250), -1, cv2.LINE_AA)
    matrix = np.eye(3, dtype=np.float32)
    matrix[:2] = cv2.getRotationMatrix2D((350, 250), degrees, scale)
    matrix[:2, 2] += np.array([64 - 350 + x, 64 - 250 + y], np.float32)
    shown = crop(frame, matrix, 128)[..., 0].astype(float)
    spot = np.clip(shown - 90, 0, None)
    rows, columns = np.indices(spot.shape)
    centre = (columns * spot).sum() / spot.sum(), (rows * spot).sum() / spot.sum()
    np.testing.assert_allclose(centre, (matrix @ (333, 222, 1))[:2], atol=0.1)


@pytest.mark.parametrize(
    ("scale", "interpolation"), [(2.0, cv2.INTER_LINEAR), (0.8, cv2.INTER_CUBIC), (0.2, cv2.INTER_CUBIC)]
)
def test_the_compatible_mode_is_faceswaps_choice(scale: float, interpolation: int) -> None:
    frame, matrix = photograph(120, 160), scaling(scale, 3.3, 1.7)
    expected = cv2.warpAffine(frame, matrix[:2].astype(np.float64), (96, 96), flags=interpolation)
    np.testing.assert_array_equal(crop(frame, matrix, 96, Resampling.FACESWAP), expected)


def test_up_is_cubic() -> None:
    frame, matrix = photograph(60, 60), scaling(2.0)
    expected = cv2.warpAffine(frame, matrix[:2].astype(np.float64), (96, 96), flags=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(crop(frame, matrix, 96), expected)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e6])
def test_absurd_scales_give_a_picture(scale: float) -> None:
    assert crop(photograph(50, 50), scaling(scale), 32).shape == (32, 32, 3)


def test_a_matrix_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        crop(photograph(8, 8), scaling(np.nan), 32)


@pytest.mark.parametrize(("target", "edge"), [("face", 384), ("legacy", 308), ("head", 512)])
def test_the_size_of_a_sub_crop(target: str, edge: int) -> None:
    assert sub_crop_size(512, "head", target) == edge


@pytest.mark.parametrize("target", ["face", "legacy"])
def test_a_sub_crop_shows_what_a_direct_crop_shows(target: str, golden_landmarks: Floats) -> None:
    frame = photograph(700, 900)
    aligned = align(golden_landmarks)
    head = crop(frame, crop_matrices(aligned, 512, "head")[0], 512)
    edge = sub_crop_size(512, "head", target)
    direct = crop(frame, crop_matrices(aligned, edge, target)[0], edge).astype(int)
    cut = sub_crop(head, {name: rows[0] for name, rows in aligned.offsets.items()}, edge, target=target)
    errors = [np.abs(np.roll(cut, (dy, dx), (0, 1)) - direct).mean() for dy, dx in ((0, 0), (0, 3), (3, 0))]
    assert errors[0] < 8
    assert errors[0] < 0.6 * min(errors[1:])


def test_a_sub_crop_can_reach_beyond_its_crop() -> None:
    white = np.full((512, 512, 3), 255, np.uint8)
    offsets = {"head": np.zeros(2, np.float32), "face": np.array([0.0, 0.6], np.float32)}
    cut = sub_crop(white, offsets, 384)
    assert (cut[:300] == 255).all()
    assert not cut[-50:].any()
    assert sub_crop(white, offsets, 96).shape == (96, 96, 3)


def test_larger_coverage_shows_more_of_the_frame(golden_landmarks: Floats) -> None:
    aligned = align(golden_landmarks)
    scales = [crop_matrices(aligned, 512, coverage=coverage)[0, 0, 0] for coverage in (0.5, 0.75, 1.0, 1.5)]
    assert all(narrow > wide for narrow, wide in pairwise(scales))


@pytest.mark.parametrize("centering", sorted(RATIOS))
@pytest.mark.parametrize(("size", "coverage", "y_offset"), [(512, 1.0, 0.0), (300, 0.75, 0.1), (97, 1.2, -0.3)])
def test_a_crop_matrix_is_offset_then_scale_then_margin(
    centering: str, size: int, coverage: float, y_offset: float, golden_landmarks: Floats
) -> None:
    aligned = align(golden_landmarks)
    x, y = aligned.offsets[centering][0].astype(float)
    margin = round(size * (RATIOS[centering] + coverage - 1) / (2 * coverage))
    scale = size - 2 * margin
    expected = (
        np.array([[1, 0, margin], [0, 1, margin], [0, 0, 1]])
        @ np.diag([scale, scale, 1])
        @ np.array([[1, 0, -x], [0, 1, y_offset - y], [0, 0, 1]])
        @ aligned.matrices[0].astype(float)
    )
    found = crop_matrices(aligned, size, centering, coverage=coverage, y_offset=y_offset)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


@given(st.floats(0.05, 4), st.floats(-180, 180), st.floats(-500, 500), st.floats(-500, 500), st.integers(16, 600))
def test_the_corners_in_the_frame_are_those_of_opencvs_inverse(
    scale: float, degrees: float, x: float, y: float, size: int
) -> None:
    matrix = np.eye(3, dtype=np.float32)
    matrix[:2] = cv2.getRotationMatrix2D((0, 0), degrees, scale)
    matrix[:2, 2] = x, y
    edge = size - 1.0
    corners = np.array([[(0, 0), (0, edge), (edge, edge), (edge, 0)]])
    expected = cv2.transform(corners, cv2.invertAffineTransform(matrix[:2].astype(np.float64)))[0]
    assert np.abs(original_roi(matrix, size) - expected).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("degrees", [0, 17, -130])
@pytest.mark.parametrize("scale", [0.6, 0.9])
def test_a_little_down_is_linear_as_scipy_knows_it(scale: float, degrees: float) -> None:
    frame = photograph(120, 160)
    matrix = np.eye(3, dtype=np.float32)
    matrix[:2] = cv2.getRotationMatrix2D((80, 60), degrees, scale)
    matrix[:2, 2] -= (30, 12)
    x, y = np.meshgrid(np.arange(96), np.arange(96))
    source = np.linalg.inv(matrix.astype(float)) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    planes = [
        ndimage.map_coordinates(frame[..., channel].astype(float), source[1::-1], order=1, cval=0.0)
        for channel in range(3)
    ]
    expected = np.stack(planes, axis=-1).reshape(96, 96, 3)
    inside = ((source[:2] > 1) & (source[:2] < [[158], [118]])).all(axis=0).reshape(96, 96)
    off = np.abs(crop(frame, matrix, 96)[inside] - expected[inside])
    assert off.max() <= 8  # OpenCV's weights have five bits
    assert off.mean() < 1
