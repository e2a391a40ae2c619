from __future__ import annotations

import numpy as np
import pytest

from facestream.faces.clustering import cluster


def golden() -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(12, 8))
    points[4:8] += 6
    points[8:] -= 6
    return points


def test_the_golden_case() -> None:
    found = cluster(golden(), "ward", 0.25)
    assert found.height == pytest.approx(60.5191, abs=1e-4)
    assert found.order.tolist() == [6, 7, 4, 5, 0, 2, 1, 3, 9, 10, 8, 11]
    assert found.bins.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2]


def test_the_golden_bins_are_the_three_groups() -> None:
    bins = cluster(golden(), "ward", 0.25).bins
    assert [len(set(bins[start : start + 4])) for start in (0, 4, 8)] == [1, 1, 1]
    assert sorted(set(bins)) == [0, 1, 2]


def test_wards_distance_of_two_pairs_by_hand() -> None:
    pairs = np.array([[0, 0], [0, 1], [10, 0], [10, 1]], np.float64)
    # Of two clusters of two, their centroids 10 apart: sqrt(2 * 2 * 2 / (2 + 2)) * 10.
    assert cluster(pairs).height == pytest.approx(np.sqrt(2) * 10)


@pytest.mark.parametrize(
    ("threshold", "bins"), [(0.0, 4), (0.05, 4), (0.1, 2), (0.9, 2), (1.0, 2), (1.01, 1), (None, 1)]
)
def test_a_higher_threshold_makes_fewer_bins(threshold: float | None, bins: int) -> None:
    pairs = np.array([[0, 0], [0, 1], [10, 0], [10, 1]], np.float64)
    assert len(set(cluster(pairs, "ward", threshold).bins)) == bins


@pytest.mark.parametrize("method", ["single", "centroid", "median"])
def test_two_far_groups_are_found_by_each_method(method: str) -> None:
    points = np.concatenate([np.random.default_rng(1).normal(size=(5, 4)), np.full((1, 4), 50.0)])
    bins = cluster(points, method, 0.5).bins  # type: ignore[arg-type]
    assert len(set(bins[:5])) == 1
    assert bins[5] != bins[0]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_are_one_bin(count: int) -> None:
    found = cluster(np.zeros((count, 8), np.float32), threshold=0.25)
    assert found.order.tolist() == found.bins.tolist() == list(range(count))


def test_equal_embeddings_share_a_bin() -> None:
    assert cluster(np.ones((3, 4)), threshold=0.0).bins.tolist() == [0, 0, 0]


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        cluster(np.array([[0.0], [np.nan]]))
