import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.io.backoff import Backoff


def test_waits_double_up_to_the_limit() -> None:
    backoff = Backoff(0.5, 10.0, random=lambda: 0.0)
    assert [backoff.lost() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_jitter_takes_off_at_most_half() -> None:
    backoff = Backoff(0.5, 10.0, random=lambda: 0.999)
    assert 0.25 < backoff.lost() < 0.5


def test_only_frames_for_ten_seconds_start_the_series_again() -> None:
    backoff = Backoff(0.5, 10.0, stable_after=10.0, random=lambda: 0.0)
    backoff.lost()
    for now in (100.0, 105.0, 109.9):
        backoff.arrived(now)
    assert backoff.lost() == 1.0
    for now in (120.0, 125.0, 130.0):
        backoff.arrived(now)
    assert backoff.lost() == 0.5


def test_seconds_of_two_connections_dont_add_up() -> None:
    backoff = Backoff(1.0, 10.0, stable_after=10.0, random=lambda: 0.0)
    backoff.arrived(0.0)
    backoff.lost()
    backoff.arrived(9.0)
    backoff.arrived(11.0)
    assert backoff.lost() == 2.0


@pytest.mark.parametrize(("first", "limit"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0)])
def test_impossible_waits_are_refused(first: float, limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        Backoff(first, limit)


@given(st.lists(st.floats(0, 0.999), min_size=1, max_size=50))
def test_no_wait_is_ever_above_the_limit_or_below_half_the_first(randoms: list[float]) -> None:
    numbers = iter(randoms)
    backoff = Backoff(0.5, 10.0, random=lambda: next(numbers))
    assert all(0.25 <= backoff.lost() <= 10.0 for _ in randoms)


def test_who_refuses_a_password_is_asked_ever_more_slowly() -> None:
    backoff = Backoff(random=lambda: 0.0)
    assert [backoff.refused() for _ in range(5)] == [10.0, 20.0, 40.0, 60.0, 60.0]
    assert backoff.lost() == 0.5
    backoff.arrived(0.0)
    backoff.arrived(10.0)
    assert backoff.refused() == 10.0
