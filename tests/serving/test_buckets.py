from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.serving.buckets import Buckets, Crowd, address_key


def test_a_bucket_gives_a_burst_and_then_its_rate():
    buckets = Buckets(rate=2.0, burst=3)
    assert [buckets.take("a", 0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 0.5]
    assert buckets.take("a", 0.5) == 0.0
    assert buckets.take("a", 0.5) == 0.5


def test_each_address_has_its_own():
    buckets = Buckets(rate=1.0, burst=1)
    assert buckets.take("a", 0.0) == buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.0) == 1.0


def test_looking_takes_nothing():
    buckets = Buckets(rate=1.0, burst=1)
    assert [buckets.wait("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    buckets.take("a", 0.0)
    assert buckets.wait("a", 0.25) == 0.75


def test_addresses_are_forgotten_before_they_are_too_many():
    buckets = Buckets(rate=1.0, burst=1, addresses=10)
    for address in range(1000):
        buckets.take(str(address), 0.0)
    assert len(buckets) == 10


@given(st.lists(st.floats(0, 100), max_size=60))
def test_however_one_asks_one_gets_no_more_than_burst_and_rate(times):
    buckets = Buckets(rate=0.5, burst=4)
    taken = [now for now in sorted(times) if buckets.take("a", now) == 0.0]
    span = taken[-1] - taken[0] if taken else 0.0
    assert len(taken) <= 4 + span * 0.5 + 1e-6


def test_a_crowd_counts_who_is_there():
    crowd = Crowd(2)
    assert [crowd.enter("a") for _ in range(3)] == [True, True, False]
    assert crowd.enter("b")
    for address in "aaab":
        crowd.leave(address)
    assert len(crowd) == 0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_an_address_is_counted_as_whoever_has_it(address, key):
    assert address_key(address) == key
