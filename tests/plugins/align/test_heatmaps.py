import cv2
import numpy as np
import pytest

from facestream.plugins.align.heatmaps import decode_heatmaps

X, Y = np.meshgrid(np.arange(64), np.arange(64))


def peak(x: float, y: float, *, sigma: float = 1.5, height: float = 1.0) -> np.ndarray:
    return (height * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * sigma**2))).astype(np.float32)


def decoded(*maps: np.ndarray) -> np.ndarray:
    """Maps (64, 64) → points (P, 2)."""
    return decode_heatmaps(np.stack(maps)[None])[0][0]


def whole_map_decoded(heatmap: np.ndarray) -> np.ndarray:
    """The specification's words, one map and one cell at a time."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    blurred = cv2.GaussianBlur(np.pad(heatmap.astype(np.float64), 5), (11, 11), 0)[5:-5, 5:-5]
    h = np.log(np.maximum(blurred * heatmap.max() / blurred.max(), 1e-10))
    gradient = np.array([h[y, x + 1] - h[y, x - 1], h[y + 1, x] - h[y - 1, x]]) / 2
    xx = (h[y, x + 2] - 2 * h[y, x] + h[y, x - 2]) / 4
    yy = (h[y + 2, x] - 2 * h[y, x] + h[y - 2, x]) / 4
    xy = (h[y + 1, x + 1] - h[y - 1, x + 1] - h[y + 1, x - 1] + h[y - 1, x - 1]) / 4
    return np.array([x, y]) - np.linalg.solve([[xx, xy], [xy, yy]], gradient)


def test_the_golden_peak_is_found() -> None:
    np.testing.assert_allclose(decoded(peak(20.3, 31.6)), [[20.29991, 31.60014]], atol=1e-5)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0])
def test_peaks_are_found_between_the_cells_whatever_their_height(sigma: float) -> None:
    truth = np.random.default_rng(0).uniform(9, 54, (40, 2))
    heights = np.geomspace(1e-3, 100, 40)
    maps = [peak(x, y, sigma=sigma, height=height) for (x, y), height in zip(truth, heights)]
    np.testing.assert_allclose(decoded(*maps), truth, atol=0.01)


def test_uneven_maps_are_decoded_as_the_specification_says() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        (x, y), (dx, dy) = random.uniform(12, 50, 2), random.uniform(-3, 3, 2)
        noise = random.uniform(0, 0.02, (64, 64)).astype(np.float32)
        heatmap = peak(x, y) + peak(x + dx, y + dy, sigma=2, height=0.7) + noise
        np.testing.assert_allclose(decoded(heatmap)[0], whole_map_decoded(heatmap), atol=1e-4)


@pytest.mark.parametrize("cell", [(0, 0), (63, 63), (0, 63), (1, 40), (30, 62), (2, 2), (61, 3)])
def test_a_peak_near_the_border_is_found_within_a_cell(cell: tuple[int, int]) -> None:
    found = decoded(peak(*cell))[0]
    assert np.abs(found - cell).max() < 0.85  # what lies outside the map is missing from the blur
    assert (found >= 0).all()
    assert (found <= 63).all()


def test_a_peak_outside_the_map_stays_on_it() -> None:
    found = decoded(peak(-1, 20))[0]
    assert 0 <= found[0] < 1
    assert abs(found[1] - 20) < 0.01


@pytest.mark.parametrize("level", [0.0, 0.3, -0.3])
def test_a_flat_map_gives_its_first_cell(level: float) -> None:
    points, peaks = decode_heatmaps(np.full((1, 1, 64, 64), level, np.float32))
    assert points.tolist() == [[[0, 0]]]
    assert peaks[0, 0] == pytest.approx(max(level, 0))


def test_a_map_without_a_positive_value_gives_the_first_cell() -> None:
    assert decoded(peak(20, 30) - 2).tolist() == [[0, 0]]


def test_noise_gives_a_finite_point_near_its_highest_cell() -> None:
    noise = np.random.default_rng(2).normal(size=(2, 68, 64, 64)).astype(np.float32)
    points, _ = decode_heatmaps(noise)
    best = noise.reshape(2, 68, -1).argmax(axis=2)
    assert np.abs(points - np.stack([best % 64, best // 64], -1)).max() <= 3


def test_a_lone_cell_is_its_own_point() -> None:
    heatmap = np.zeros((64, 64), np.float32)
    heatmap[40, 10] = 5
    np.testing.assert_allclose(decoded(heatmap), [[10, 40]], atol=1e-6)


def test_faces_and_points_are_decoded_at_once_and_the_maps_need_not_be_square() -> None:
    maps = np.zeros((3, 2, 64, 48), np.float32)
    truth = np.random.default_rng(3).uniform(10, 38, (3, 2, 2)).astype(np.float32)
    for face in range(3):
        for point in range(2):
            maps[face, point] = peak(*truth[face, point], height=1 + point)[:, :48]
    points, peaks = decode_heatmaps(maps)
    assert points.dtype == peaks.dtype == np.float32
    np.testing.assert_allclose(points, truth, atol=0.01)
    np.testing.assert_allclose(peaks, maps.max(axis=(2, 3)))


def test_no_faces_are_no_points() -> None:
    points, peaks = decode_heatmaps(np.zeros((0, 68, 64, 64), np.float32))
    assert (points.shape, peaks.shape) == ((0, 68, 2), (0, 68))
