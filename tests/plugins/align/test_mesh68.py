from pathlib import Path

import numpy as np
import pytest

from facestream.plugins.align import mesh68
from facestream.plugins.align.mesh68 import (
    BELOW_NOSE,
    FOREHEAD,
    INDICES,
    LEFT_EYE_CORNER,
    RIGHT_EYE_CORNER,
    EyeFrame,
    HeadFrame,
    HeadOffsets,
    ShapeRegression,
    read_correction,
)

SHIPPED = {"mesh": HeadOffsets, "mesh-300w": ShapeRegression}
OTHER_SIDE = np.array(  # of each of the 68, on a mirrored face
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *(27, 28, 29, 30, 35, 34, 33, 32, 31),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
    ]
)


def upright(eyes: float = 50.0) -> np.ndarray:
    """One face of random vertices, seen from the front, its outer eye corners ``eyes`` pixels apart: (1, 468, 3)."""
    mesh = np.random.default_rng(0).uniform(60, 130, (1, 468, 3)).astype(np.float32)
    mesh[0, RIGHT_EYE_CORNER], mesh[0, LEFT_EYE_CORNER] = (96 - eyes / 2, 80, 0), (96 + eyes / 2, 80, 0)
    mesh[0, FOREHEAD], mesh[0, BELOW_NOSE] = (96, 40, 0), (96, 110, 0)
    return mesh


def turned(mesh: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    """About an axis through the crop's centre: 0 nods, 1 shakes, 2 tilts."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = cos
    turn[first, second], turn[second, first] = -sin, sin
    return ((mesh - 96) @ turn.T + 96).astype(np.float32)


def test_the_68_are_distinct_vertices_of_the_468() -> None:
    assert len(set(INDICES.tolist())) == 68
    assert INDICES[36] == RIGHT_EYE_CORNER
    assert INDICES[45] == LEFT_EYE_CORNER


def test_an_offset_is_in_eye_distances() -> None:
    offsets = np.zeros((68, 3), np.float32)
    offsets[8] = 0.1, 0.2, 0.3
    mesh = upright(eyes=50)
    moved = HeadOffsets(offsets)(mesh) - mesh[:, INDICES, :2]
    np.testing.assert_allclose(moved[0, 8], [5, 10], atol=1e-4)
    np.testing.assert_allclose(np.delete(moved[0], 8, axis=0), 0, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [-40, 25, 70])
def test_an_offset_turns_with_the_head(axis: int, degrees: float) -> None:
    offsets = np.float32([[0.1, 0.2, 0.3]]).repeat(68, axis=0)
    mesh = upright(eyes=50)
    in_space = mesh[:, INDICES] + 50 * offsets
    corrected = HeadOffsets(offsets)(turned(mesh, degrees, axis))
    np.testing.assert_allclose(corrected, turned(in_space, degrees, axis)[:, :, :2], atol=1e-3)


def test_eye_coordinates_are_entered_and_left() -> None:
    mesh = turned(upright(eyes=50), 30, axis=2)
    eyes = EyeFrame.of(mesh)
    inside = eyes.enter(mesh[:, :, :2])
    np.testing.assert_allclose(inside[0, [RIGHT_EYE_CORNER, LEFT_EYE_CORNER]], [[-0.5, 0], [0.5, 0]], atol=1e-6)
    np.testing.assert_allclose(eyes.leave(inside), mesh[:, :, :2], atol=1e-4)


def test_a_regression_adds_what_the_shape_says() -> None:
    mesh = upright(eyes=50)
    mean = EyeFrame.of(mesh).enter(mesh[:, :, :2]).reshape(-1)
    basis, weights = np.zeros((936, 1), np.float32), np.zeros((1, 136), np.float32)
    basis[0], weights[0, 16] = 1, 2  # how far vertex 0 lies to the right moves the chin to the right, twice as far
    correct = ShapeRegression(np.zeros((68, 2), np.float32), mean, basis, weights)
    np.testing.assert_allclose(correct(mesh), mesh[:, INDICES, :2], atol=1e-4)
    other = mesh.copy()
    other[0, 0, 0] += 5
    moved = correct(other) - other[:, INDICES, :2]
    np.testing.assert_allclose(moved[0, 8], [10, 0], atol=1e-3)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_small_and_moves_no_point_far(name: str) -> None:
    path = Path(mesh68.__file__).with_name(f"{name}.npz")
    assert path.stat().st_size < 64 * 1024
    offsets = read_correction(SHIPPED[name], path).offsets
    assert offsets.dtype == np.float32
    assert 0.01 < np.linalg.norm(offsets, axis=1).mean() < 0.1  # eye distances


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_left_right_symmetric(name: str) -> None:
    offsets = read_correction(SHIPPED[name], Path(mesh68.__file__).with_name(f"{name}.npz")).offsets
    mirrored = offsets[OTHER_SIDE] * np.float32([-1, 1, 1])[: offsets.shape[1]]
    np.testing.assert_allclose(offsets, mirrored, atol=1e-4)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_mesh_of_one_point_stays_finite(name: str) -> None:
    correct = read_correction(SHIPPED[name], Path(mesh68.__file__).with_name(f"{name}.npz"))
    assert np.isfinite(correct(np.zeros((2, 468, 3), np.float32))).all()
    assert HeadFrame.of(np.zeros((1, 468, 3), np.float32)).axes[0].tolist() == np.eye(3).tolist()
    assert correct(np.zeros((0, 468, 3), np.float32)).shape == (0, 68, 2)
