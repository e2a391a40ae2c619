from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from facestream.faces.likeness import (
    absolute,
    bhattacharyya,
    group_by_mean,
    most_unlike_first,
    nearest_neighbour_walk,
)


def histograms(count: int = 20, bins: int = 256) -> np.ndarray:
    rows = np.random.default_rng(1).random((count, bins)).astype(np.float32)
    return rows / rows.sum(axis=1, keepdims=True)


def test_the_distance_of_histograms_is_opencvs() -> None:
    rows = histograms()
    theirs = [cv2.compareHist(rows[0], row, cv2.HISTCMP_BHATTACHARYYA) for row in rows[1:]]
    assert bhattacharyya(rows[0], rows[1:]) == pytest.approx(theirs, abs=1e-4)


def test_disjoint_histograms_are_one_apart() -> None:
    rows = np.eye(2, dtype=np.float32)
    assert bhattacharyya(rows[0], rows).tolist() == [0, 1]


def test_absolute_differences_add_up() -> None:
    assert absolute(np.float32([1, 2]), np.float32([[1, 2], [0, 4]])).tolist() == [0, 3]


def test_the_walk_goes_to_the_nearest_each_time() -> None:
    points = np.float32([[0], [10], [1], [11], [3], [30]])
    assert nearest_neighbour_walk(points, absolute).tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_the_walk_is_a_greedy_one_over_the_whole_matrix(count: int) -> None:
    points = np.random.default_rng(2).normal(size=(count, 5)).astype(np.float32)
    distances = cdist(points, points, "cityblock") if count else np.zeros((0, 0))
    expected = [0] if count else []
    while len(expected) < count:
        row = distances[expected[-1]].copy()
        row[expected] = np.inf
        expected.append(int(row.argmin()))
    assert nearest_neighbour_walk(points, absolute).tolist() == expected


def test_the_odd_one_comes_first() -> None:
    points = np.float32([[0], [1], [50], [2]])
    assert most_unlike_first(points, absolute).tolist() == [2, 0, 1, 3]


def test_groups_form_around_means() -> None:
    points = np.float32([[0], [10], [1], [11], [2]])
    assert group_by_mean(points, absolute, 3, np.arange(5)).tolist() == [0, 1, 0, 1, 0]
    assert group_by_mean(points, absolute, 100, np.arange(5)).tolist() == [0] * 5
    assert len(set(group_by_mean(points, absolute, 0.5, np.arange(5)))) == 5


def test_at_the_threshold_itself_a_group_begins() -> None:
    points = np.float32([[0], [3]])
    assert group_by_mean(points, absolute, 3, np.arange(2)).tolist() == [0, 1]
    assert group_by_mean(points, absolute, 3.5, np.arange(2)).tolist() == [0, 0]
