import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.stream.looks import Looks, unit
from facestream.stream.types import Floats


def look(*values: float) -> Floats:
    row = np.zeros((1, 8), np.float32)
    row[0, : len(values)] = values
    return np.asarray(unit(row)[0])


def test_a_track_is_known_by_its_best_pictures() -> None:
    looks = Looks(each=2)
    for side, quality in enumerate([0.5, 0.9, 0.7, 0.1]):
        looks.remember(7, look(*[0] * side, 1), quality, now=0.0)
    assert looks.of(7).argmax(axis=1).tolist() == [1, 2]


def test_pictures_that_look_alike_share_a_place_and_the_better_one_has_it() -> None:
    looks = Looks()
    for tilt, quality in [(0.1, 0.5), (0.05, 0.8), (0.0, 0.6)]:
        looks.remember(7, look(1, tilt), quality, now=0.0)
    assert np.array_equal(looks.of(7), look(1, 0.05)[None])


def test_an_unknown_track_has_no_looks() -> None:
    assert Looks().of(7).shape == (0, 0)
    assert 7 not in Looks()


def test_the_version_changes_with_the_looks_and_not_otherwise() -> None:
    looks = Looks()
    looks.remember(7, look(1), 0.5, now=0.0)
    before = looks.version(7)
    looks.remember(7, look(1), 0.4, now=1.0)
    assert looks.version(7) == before
    looks.remember(7, look(0, 1), 0.4, now=2.0)
    assert looks.version(7) != before


def test_who_has_not_been_seen_for_too_long_is_forgotten() -> None:
    looks = Looks(memory=60)
    looks.remember(1, look(1), 0.5, now=0.0)
    looks.remember(2, look(0, 1), 0.5, now=0.0)
    looks.seen(np.array([2, -1]), now=50.0)
    looks.forget(now=61.0)
    assert looks.tracks() == [2]


def test_of_too_many_tracks_the_one_seen_longest_ago_gives_way() -> None:
    looks = Looks(most=2)
    for now, track in enumerate([5, 6, 7]):
        looks.remember(track, look(1), 0.5, now=now)
        looks.forget(now)
    assert looks.tracks() == [6, 7]


def test_one_bad_picture_among_a_tracks_looks_does_not_make_somebody_else_similar() -> None:
    looks = Looks()
    looks.remember(1, look(1), 0.9, now=0.0)
    looks.remember(1, look(0, 1), 0.3, now=0.0)
    assert looks.similarity(look(0, 1)[None], [1])[0, 0] < 0.6


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.floats(0, 1), st.floats(0, 5)), max_size=60))
def test_memory_is_bounded_whatever_is_remembered(events: list[tuple[int, int, float, float]]) -> None:
    looks, now = Looks(each=3, most=4, memory=20), 0.0
    for track, side, quality, pause in events:
        now += pause
        looks.remember(track, look(*[0] * side, 1), quality, now)
        looks.forget(now)
        assert len(looks.tracks()) <= 4
        assert track in looks
        assert all(len(looks.of(one)) <= 3 for one in looks.tracks())


def test_what_has_no_length_or_no_sense_is_no_look() -> None:
    rows = unit(np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1]], np.float32))
    assert rows.tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0], [0, 0], [0, 0]]
