from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage

from facestream.faces.clustering import cluster, group_people


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


def people(counts: list[int], spread: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around one direction a person, shuffled, and who is who."""
    noise = np.random.default_rng(3)
    labels = noise.permutation(np.repeat(np.arange(len(counts)), counts))
    rows = np.eye(len(counts), 32)[labels] + noise.normal(0, spread / np.sqrt(32), (len(labels), 32))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def same(groups: np.ndarray) -> np.ndarray:
    return groups[:, None] == groups


@pytest.mark.parametrize("counts", [[5, 5, 5], [20, 1, 3], [1] * 12, [30]])
def test_groups_are_people_whoever_else_there_is(counts: list[int]) -> None:
    rows, labels = people(counts)
    assert np.array_equal(same(group_people(rows, 0.5).bins), same(labels))


def test_people_are_grouped_as_scipys_average_linkage_of_cosines_has_it() -> None:
    rows = np.random.default_rng(4).normal(size=(60, 5))
    tree = linkage(rows, "average", "cosine")
    found = group_people(rows, 0.4)
    assert np.array_equal(same(found.bins), same(fcluster(tree, 0.4, "distance")))
    assert found.order.tolist() == leaves_list(tree).tolist()
    assert found.height == pytest.approx(tree[:, 2].max())


def test_neighbours_in_order_are_of_one_person_and_numbers_follow_it() -> None:
    rows, labels = people([4, 7, 2])
    found = group_people(rows, 0.5)
    assert found.bins[found.order].tolist() == sorted(found.bins)
    assert (np.diff(labels[found.order]) != 0).sum() == 2


def test_lengths_of_embeddings_dont_matter() -> None:
    rows, _ = people([4, 7, 2])
    scaled = rows * np.random.default_rng(5).uniform(0.1, 10, (len(rows), 1))
    assert np.array_equal(group_people(scaled, 0.5).bins, group_people(rows, 0.5).bins)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_embeddings_of_zeros_and_folders_of_few_are_no_trouble(count: int) -> None:
    found = group_people(np.zeros((count, 8), np.float32), 0.5)
    assert sorted(found.order) == list(range(count))


def test_people_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        group_people(np.array([[0.0], [np.nan]]), 0.5)
