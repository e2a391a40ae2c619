from __future__ import annotations

import numpy as np
import pytest

from facestream.jobs.sort.methods import METHODS
from facestream.jobs.sort.order import Arranger, Group, equal_shares, scale_bins
from tests.jobs.sort.build import embedding

NONE = METHODS["none"]


def arranger(threshold: float | None = None, bins: int = 5, **measures: object) -> Arranger:
    rows = {name.replace("_", "-"): np.asarray(values, np.float32) for name, values in measures.items()}
    count = len(next(iter(rows.values())))
    return Arranger(rows, count, threshold=threshold, bins=bins, people_apart=0.5)


@pytest.mark.parametrize("name", ["blur", "blur-fft", "yaw", "pitch", "roll", "size", "color-gray"])
def test_the_largest_value_comes_first(name: str) -> None:
    found = Arranger({name: np.float32([3, 9, 1, 9])}, 4, threshold=None, bins=5, people_apart=0)
    assert found.order(METHODS[name]).tolist() == [1, 3, 0, 2]


def test_the_most_regular_face_comes_first() -> None:
    assert arranger(distance=[3, 9, 1]).order(METHODS["distance"]).tolist() == [2, 0, 1]


def test_without_sorting_the_order_stays() -> None:
    assert arranger(yaw=[3, 9, 1]).order(NONE).tolist() == [0, 1, 2]


def test_without_grouping_all_are_together() -> None:
    assert arranger(yaw=[3, 9, 1]).groups(METHODS["yaw"], NONE) == [Group(None, [1, 0, 2])]


def test_angles_fall_into_equal_parts_of_half_a_turn() -> None:
    groups = arranger(yaw=[0, 89, -89, 10, -30, 91], bins=6).groups(METHODS["yaw"], METHODS["yaw"])
    assert groups == [Group(0, [5, 1]), Group(2, [3]), Group(3, [0]), Group(4, [4]), Group(5, [2])]


@pytest.mark.parametrize(("descending", "bins"), [(True, [2, 1, 0, 0]), (False, [0, 1, 2, 2])])
def test_parts_of_a_scale(descending: bool, bins: list[int]) -> None:
    values = np.float32([0, 4, 7, 9])
    assert scale_bins(values, 3, (0, 9), descending=descending).tolist() == bins


def test_what_has_no_scale_is_shared_out_evenly() -> None:
    labels = equal_shares(np.float32([5, 1e9, 1, 2, 3, 4]), 3)
    assert labels.tolist() == [0, 0, 2, 2, 1, 1]


def test_equal_values_share_a_bin() -> None:
    assert equal_shares(np.float32([7] * 5), 3).tolist() == [0] * 5
    assert equal_shares(np.zeros(0, np.float32), 3).tolist() == []


def test_people_come_by_how_many_faces_they_have() -> None:
    faces = [embedding(person, photo) for photo, person in enumerate([0, 1, 1, 2, 1, 2])]
    groups = arranger(face=faces).groups(METHODS["face"], METHODS["face"])
    assert [sorted(group.members) for group in groups] == [[1, 2, 4], [3, 5], [0]]
    assert [group.number for group in groups] == [0, 1, 2]


def test_a_given_threshold_counts() -> None:
    faces = [embedding(person) for person in range(3)]
    assert len(arranger(face=faces).groups(NONE, METHODS["face"])) == 3
    assert len(arranger(face=faces, threshold=1.9).groups(NONE, METHODS["face"])) == 1


def test_within_groups_faces_are_sorted_by_something_else() -> None:
    faces = [embedding(person) for person in (0, 1, 0, 1, 0)]
    groups = arranger(face=faces, yaw=[1, 2, 3, 4, 5]).groups(METHODS["yaw"], METHODS["face"])
    assert [group.members for group in groups] == [[4, 2, 0], [3, 1]]


def test_unlike_ones_come_first_and_likes_lie_together() -> None:
    rows = np.zeros((4, 136), np.float32)
    rows[[1, 3]] = 1
    rows[3] += 0.1
    assert arranger(face_cnn=rows).order(METHODS["face-cnn"]).tolist() == [0, 2, 1, 3]
    assert arranger(face_cnn=rows).order(METHODS["face-cnn-dissim"]).tolist() == [3, 0, 2, 1]


def test_histograms_group_by_their_mean() -> None:
    rows = np.eye(4, 256, dtype=np.float32)[[0, 1, 0, 1, 0]]
    groups = arranger(hist=rows).groups(METHODS["hist"], METHODS["hist"])
    assert [sorted(group.members) for group in groups] == [[0, 2, 4], [1, 3]]
