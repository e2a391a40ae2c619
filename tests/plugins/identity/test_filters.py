"""The identity filter's rule against the plain definition of a cosine, face by face."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facestream.plugins.identity.cosine import cosines, unit_rows
from facestream.plugins.identity.filters import FilterCounts, References, refused, resembles
from facestream.stream.types import Floats


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b))
    return dot / (math.hypot(*a) * math.hypot(*b))


def rows(seed: int, count: int, width: int = 6) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_cosines_are_those_of_the_definition() -> None:
    ours, theirs = rows(0, 5), rows(1, 4) * 30
    expected = [[cosine(a, b) for b in theirs.tolist()] for a in ours.tolist()]
    np.testing.assert_allclose(cosines(ours, theirs), expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.1, 0.363, 0.6])
def test_wanted_and_unwanted_judge_as_specified(seed: int, threshold: float) -> None:
    looks, wanted, unwanted = rows(seed, 40), rows(seed + 100, 3), rows(seed + 200, 2)
    wrong = refused(looks, References(wanted, unwanted), threshold)
    for face, look in enumerate(looks.tolist()):
        match = any(cosine(look, reference) >= threshold for reference in wanted.tolist())
        shunned = any(cosine(look, reference) >= threshold for reference in unwanted.tolist())
        assert (wrong["filter"][face], wrong["nfilter"][face]) == (not match, shunned)


def test_at_the_threshold_itself_a_face_is_a_references() -> None:
    look, reference = np.float32([[1, 0, 0, 0]]), np.float32([[1, 1, 1, 1]])
    assert cosines(look, reference).tolist() == [[0.5]]
    assert resembles(look, reference, 0.5).tolist() == [True]
    assert refused(look, References(reference, reference), 0.5) == {"filter": [False], "nfilter": [True]}


def test_a_list_that_is_not_given_refuses_nobody() -> None:
    looks = rows(0, 3)
    assert refused(looks, References(), 0.5) == {}
    assert refused(looks, References(wanted=looks[:1]), 0.5).keys() == {"filter"}
    assert refused(looks, References(unwanted=looks[:1]), 0.5).keys() == {"nfilter"}


def test_a_reference_resembles_itself_at_any_threshold_and_any_length() -> None:
    looks = rows(3, 1)
    assert resembles(looks * 7, looks, 0.99).tolist() == [True]
    assert resembles(-looks, looks, 0.01).tolist() == [False]


def test_a_face_without_an_embedding_resembles_nobody() -> None:
    looks = np.float32([[np.nan, np.nan], [0, 0]])
    assert resembles(looks, np.float32([[1, 0]]), 0.01).tolist() == [False, False]


def test_no_faces_are_no_verdicts() -> None:
    assert resembles(np.zeros((0, 2), np.float32), np.float32([[1, 0]]), 0.5).tolist() == []


def test_a_row_of_zeros_stays_one() -> None:
    assert unit_rows(np.array([(3, 4), (0, 0)], np.float32)).tolist() == [pytest.approx([0.6, 0.8]), [0, 0]]


def test_a_face_that_both_refuse_is_left_out_once() -> None:
    counts = FilterCounts()
    counts.add({"filter": np.array([True, True, False]), "nfilter": np.array([True, False, False])}, 3)
    counts.add({"filter": np.array([False]), "nfilter": np.array([True])}, 1)
    assert counts == FilterCounts(judged=4, filter=2, nfilter=2, combined=3)
    assert counts.lines(References(rows(0, 1), rows(1, 1))) == [
        "[Identity filter] Faces left out: 3 of 4 (unlike everybody in --filter: 2, like somebody in --nfilter: 2)"
    ]


def test_only_lists_that_were_given_are_spoken_of() -> None:
    counts = FilterCounts(judged=2, nfilter=1, combined=1)
    assert counts.lines(References(unwanted=rows(0, 1))) == [
        "[Identity filter] Faces left out: 1 of 2 (like somebody in --nfilter: 1)"
    ]
    assert FilterCounts().lines(References(unwanted=rows(0, 1))) == []
