import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.plugins.align.refeed import Refeed, mean
from facestream.plugins.align.roi import Squares, apply


def squares(angle: float = 0.0) -> Squares:
    return Squares(np.float32([[100, 80], [30, 40]]), np.float32([40, 20]), np.float32([angle, angle]))


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_a_square_grows_from_its_own_top_left_corner_and_moves_along_its_own_axes(angle: float) -> None:
    refeed = Refeed(np.float32([1.05]), np.float32([[0.02, -0.03]]))
    (moved,) = refeed.around(squares(angle))
    corners = apply(squares(angle).matrices(1), np.float32([[[0.02, -0.03], [1.07, 1.02]]]))
    np.testing.assert_allclose(apply(moved.matrices(1), np.float32([[[0, 0], [1, 1]]])), corners, atol=1e-4)
    np.testing.assert_allclose(moved.sides, [42, 21])


def test_squares_differ_by_up_to_five_percent_in_size_and_place() -> None:
    drawn = [Refeed.drawn(10, seed) for seed in range(50)]
    amounts = np.concatenate([np.column_stack([each.scales - 1, each.shifts]) for each in drawn])
    assert np.abs(amounts).max() <= 0.05 + 1e-6
    np.testing.assert_allclose(amounts.mean(axis=0), 0, atol=0.005)
    np.testing.assert_allclose(amounts.std(axis=0), 0.1 / np.sqrt(12), atol=0.003)  # of a uniform distribution
    np.testing.assert_allclose(np.corrcoef(amounts.T), np.eye(3), atol=0.15)


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(Refeed.drawn(4, 7).shifts, Refeed.drawn(4, 7).shifts)
    assert (Refeed.drawn(4, 7).shifts != Refeed.drawn(4, 8).shifts).all()


def test_zero_to_ten_are_possible() -> None:
    assert Refeed.drawn(0).around(squares()) == []
    assert len(Refeed.drawn(10)) == 10
    for count in (-1, 11):
        with pytest.raises(ConfigError, match="choose 0"):
            Refeed.drawn(count)


def test_the_mean_is_taken_point_by_point() -> None:
    result = mean([np.float32([[1, 2]]), np.float32([[2, 4]]), np.float32([[6, 6]])])
    assert result.dtype == np.float32
    assert result.tolist() == [[3, 4]]
