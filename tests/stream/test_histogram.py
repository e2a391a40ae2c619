from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.stream.histogram import Histogram

INFINITY = float("inf")


def observed(*values: float) -> Histogram:
    histogram = Histogram((1.0, 2.0, 5.0))
    for value in values:
        histogram.observe(value)
    return histogram


def test_a_value_on_a_bound_is_in_its_bucket():
    assert observed(1.0, 1.1, 7.0).counts == [1, 1, 0, 1]


def test_buckets_are_told_cumulatively_and_the_last_one_is_everything():
    assert list(observed(0.5, 1.5, 1.5, 9).cumulative()) == [(1.0, 1), (2.0, 3), (5.0, 3), (INFINITY, 4)]


def test_nothing_has_no_quantile():
    assert observed().quantile(0.5) is None


def test_a_quantile_lies_within_its_bucket_and_never_beyond_the_largest_bound():
    assert observed(1.5, 1.5).quantile(0.5) == 1.5
    assert observed(100, 100).quantile(0.99) == 5.0


def test_bounds_that_do_not_rise_are_a_mistake():
    with pytest.raises(ValueError, match="rise"):
        Histogram((2.0, 1.0))


def test_a_copy_goes_its_own_way():
    histogram = observed(1)
    copy = histogram.copy()
    histogram.observe(1)
    assert (copy.count, histogram.count) == (1, 2)


@given(st.lists(st.floats(0, 10), min_size=1))
def test_count_and_sum_are_those_of_the_values(values):
    histogram = observed(*values)
    assert histogram.count == len(values)
    assert histogram.sum == pytest.approx(sum(values))
    assert [total for _, total in histogram.cumulative()][-1] == len(values)
    quantiles = [histogram.quantile(share / 10) for share in range(11)]
    assert quantiles == sorted(quantiles)
