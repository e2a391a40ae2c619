import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facestream.faces.meanface import MEAN_FACE, MEAN_QUAD
from facestream.faces.umeyama import umeyama
from facestream.stream.types import Doubles


def textbook(source: Doubles, target: Doubles) -> Doubles:
    """Umeyama 1991, equations 38 to 42, by singular value decomposition."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    covariance = (target - target_mean).T @ (source - source_mean) / len(source)
    left, strength, right = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0 if np.linalg.det(left) * np.linalg.det(right) > 0 else -1.0])
    rotation = left @ np.diag(sign) @ right
    scale = (strength * sign).sum() / source.var(axis=0).sum()
    matrix = np.eye(3)
    matrix[:2, :2] = scale * rotation
    matrix[:2, 2] = target_mean - scale * rotation @ source_mean
    return matrix


def similarity(scale: float, degrees: float, x: float, y: float) -> Doubles:
    cos, sin = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]])


@given(st.floats(4, 4000), st.floats(-180, 180), st.floats(-4000, 4000), st.floats(-4000, 4000))
def test_a_moved_mean_face_is_moved_back(scale: float, degrees: float, x: float, y: float) -> None:
    there = similarity(scale, degrees, x, y)
    moved = MEAN_FACE @ there[:2, :2].T + there[:2, 2]
    matrices, usable = umeyama(moved[None], MEAN_FACE)
    assert usable.all()
    np.testing.assert_allclose(matrices[0] @ there, np.eye(3), atol=1e-9)


@given(arrays(np.float64, (51, 2), elements=st.floats(-0.3, 0.3)))
def test_distorted_faces_match_the_decomposition_of_the_paper(noise: Doubles) -> None:
    source = (MEAN_FACE + noise) * 150 + 400
    matrices, usable = umeyama(source[None], MEAN_FACE)
    assert usable.all()
    np.testing.assert_allclose(matrices[0], textbook(source, MEAN_FACE), atol=1e-8)


def test_a_mirrored_face_is_never_reflected() -> None:
    mirrored = (MEAN_FACE + np.random.default_rng(1).normal(0, 0.05, MEAN_FACE.shape)) * (-200, 200)
    matrices, _ = umeyama(mirrored[None], MEAN_FACE)
    assert np.linalg.det(matrices[0]) > 0
    np.testing.assert_allclose(matrices[0], textbook(mirrored, MEAN_FACE), atol=1e-9)


def test_four_corners_map_onto_the_unit_square() -> None:
    corners = np.array([[(100, 50), (300, 50), (300, 250), (100, 250)]], np.float32)
    matrices, _ = umeyama(corners, MEAN_QUAD)
    np.testing.assert_allclose(matrices[0, :2], [[0.005, 0, -0.5], [0, 0.005, -0.25]], atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, 0.0, 1000.3])
def test_points_that_determine_nothing_are_told_and_harm_no_other_face(bad: float) -> None:
    good = (MEAN_FACE * 200 + 300).astype(np.float32)
    batch = np.stack([good, np.full_like(good, bad), good])
    matrices, usable = umeyama(batch, MEAN_FACE)
    assert usable.tolist() == [True, False, True]
    np.testing.assert_array_equal(matrices[1], np.eye(3))
    np.testing.assert_allclose(matrices[0], umeyama(good[None], MEAN_FACE)[0][0], atol=1e-12)


def test_one_point_out_of_reach_spoils_its_own_face_only() -> None:
    batch = np.stack([MEAN_FACE * 200, MEAN_FACE * 200])
    batch[0, 7, 1] = np.nan
    assert umeyama(batch, MEAN_FACE)[1].tolist() == [False, True]


def test_no_faces_give_no_matrices() -> None:
    matrices, usable = umeyama(np.zeros((0, 51, 2), np.float32), MEAN_FACE)
    assert matrices.shape == (0, 3, 3)
    assert usable.shape == (0,)
