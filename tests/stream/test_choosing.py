from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.stream.choosing import Choice, Chooser, ChoosingPolicy
from facestream.stream.motion import Followed

POLICY = ChoosingPolicy()


def choose(chooser: Chooser, now: float, qualities: Iterable[float], unsettled: Iterable[int] = ()) -> Choice:
    """One frame whose faces' tracklets are 0, 1, 2, …"""
    marks = np.array(list(qualities), np.float32)
    no = np.zeros(len(marks), np.bool_)
    keys = np.arange(len(marks))
    return chooser.choose("a", Followed(keys, ~no, no, no, now), np.isin(keys, list(unsettled)), marks)


def chosen(qualities: Iterable[float], *, rate: float = 25.0, unsettled: Iterable[int] = ()) -> list[float]:
    """When one face is looked at whose pictures are that good, one frame after another."""
    chooser = Chooser()
    frames = enumerate(qualities)
    return [
        frame / rate for frame, quality in frames if choose(chooser, frame / rate, [quality], unsettled).wanted.all()
    ]


def test_a_new_face_is_looked_at_at_once() -> None:
    assert chosen([0.5]) == [0.0]


def test_a_picture_that_shows_too_little_is_not_looked_at() -> None:
    assert chosen([POLICY.usable / 2] * 500) == []


def test_a_new_face_without_a_usable_picture_is_awaited_for_a_while() -> None:
    chooser = Chooser()
    assert choose(chooser, 0.0, [0.01]).awaited.tolist() == [True]
    assert choose(chooser, POLICY.patience * 0.9, [0.01]).awaited.tolist() == [True]
    assert choose(chooser, POLICY.patience * 1.1, [0.01]).awaited.tolist() == [False]
    assert choose(chooser, POLICY.patience * 1.2, [0.9]).wanted.tolist() == [True]


def test_who_is_looked_at_is_not_awaited() -> None:
    choice = choose(Chooser(), 0.0, [0.9, 0.01])
    assert choice.wanted.tolist() == [True, False]
    assert choice.awaited.tolist() == [False, True]


def test_a_face_that_stays_as_it_is_needs_few_looks() -> None:
    minute = chosen([0.5] * 1500)
    assert len(minute) <= POLICY.enough + 60 / POLICY.refresh
    assert len([time for time in minute if time < 2]) == POLICY.enough


def test_a_clearly_better_picture_is_looked_at() -> None:
    assert chosen([0.3] * 60 + [0.8] + [0.3] * 5)[-1] == 60 / 25


def test_a_face_that_may_have_become_another_is_looked_at_soon() -> None:
    chooser = Chooser()
    for frame in range(50):
        choose(chooser, frame / 25, [0.5])
    assert choose(chooser, 2.0, [0.5], unsettled=[0]).wanted.all()


def test_of_a_crowd_some_are_looked_at_in_each_frame_and_all_in_time() -> None:
    chooser, seen = Chooser(), np.zeros(50, np.int64)
    for frame in range(7):
        choice = choose(chooser, frame / 25, [0.5] * 50)
        assert choice.wanted.sum() <= POLICY.at_most
        assert not (choice.wanted & choice.awaited).any()
        seen += choice.wanted
    assert seen.min() == 1


def test_new_faces_come_before_known_ones() -> None:
    chooser = Chooser(ChoosingPolicy(at_most=1))
    choose(chooser, 0.0, [0.9])
    assert choose(chooser, 1.0, [0.9, 0.3]).wanted.tolist() == [False, True]


def test_a_forgotten_source_begins_anew() -> None:
    chooser = Chooser()
    choose(chooser, 0.0, [0.5])
    assert not choose(chooser, 0.04, [0.5]).wanted.any()
    chooser.forget("a")
    assert choose(chooser, 0.08, [0.5]).wanted.all()


def test_a_box_without_a_tracklet_is_not_looked_at() -> None:
    no = np.zeros(1, np.bool_)
    followed = Followed(np.array([-1]), no, no, no, 0.0)
    choice = Chooser().choose("a", followed, no, np.ones(1, np.float32))
    assert not choice.wanted.any()
    assert not choice.awaited.any()


@pytest.mark.parametrize("rate", [2.0, 10.0, 60.0])
def test_the_policy_is_in_seconds_whatever_the_frame_rate(rate: float) -> None:
    looks = chosen([0.5] * int(rate * 30), rate=rate)
    assert POLICY.enough + 6 <= len(looks) <= POLICY.enough + 10


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_whatever_the_pictures_are_like_looks_of_one_face_are_apart(qualities: list[float]) -> None:
    looks = chosen(qualities)
    assert all(later - earlier >= POLICY.again - 1e-6 for earlier, later in pairwise(looks))
