from collections.abc import Callable, Iterable, Sequence
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.stream.tracking import Tracker
from facestream.stream.types import Floats

Spot = tuple[float, float]
Path = Callable[[float], Spot | None]  # seconds → a face's centre, or None while it isn't seen

SIZE = 60.0


def boxes_of(spots: Iterable[Spot], size: float = SIZE) -> Floats:
    centres = np.array(list(spots), np.float32).reshape(-1, 2)
    return np.concatenate([centres - size / 2, centres + size / 2], axis=1)


def tracker(**options: float) -> Tracker:
    ids = count(1)
    return Tracker(lambda: next(ids), **options)


def follow(
    paths: Sequence[Path], times: Iterable[float], score: float = 0.9, to: Tracker | None = None
) -> list[dict[int, int]]:
    """For each time, who was seen: the path's place in ``paths`` → its track id."""
    to = to or tracker()
    history = []
    for time in times:
        seen = {who: spot for who, path in enumerate(paths) if (spot := path(time)) is not None}
        tracks = to.update(boxes_of(seen.values()), np.full(len(seen), score, np.float32), time)
        history.append(dict(zip(seen, tracks.tolist())))
    return history


def ids_of(history: list[dict[int, int]], who: int) -> set[int]:
    return {frame[who] for frame in history if who in frame}


def clock(seconds: float, rate: float = 30.0) -> list[float]:
    return [frame / rate for frame in range(int(seconds * rate))]


def standing(x: float, y: float) -> Path:
    return lambda time: (x, y)


def walking(x: float, y: float, speed: float) -> Path:
    return lambda time: (x + speed * time, y)


def hidden(path: Path, start: float, stop: float) -> Path:
    return lambda time: None if start <= time < stop else path(time)


def test_a_clear_face_has_its_id_in_its_first_frame() -> None:
    assert follow([standing(100, 100)], [0.0], score=0.9) == [{0: 1}]


def test_an_unclear_face_has_its_id_in_its_second_frame() -> None:
    assert follow([standing(100, 100)], clock(0.1), score=0.6) == [{0: -1}, {0: 1}, {0: 1}]


def test_a_ghost_of_one_frame_gets_no_id_and_uses_none_up() -> None:
    ghost = hidden(standing(500, 400), 0.1, 99)
    to = tracker()
    assert ids_of(follow([ghost], [0.09, 0.13], score=0.6, to=to), 0) == {-1}
    assert ids_of(follow([standing(100, 100)], clock(2.0)[10:], score=0.9, to=to), 0) == {1}


def test_a_weak_box_continues_a_track_and_never_starts_one() -> None:
    to = tracker()
    assert follow([standing(100, 100)], clock(0.5), score=0.3, to=to)[-1] == {0: -1}
    assert follow([standing(100, 100)], [0.6], score=0.9, to=to) == [{0: 1}]
    assert follow([standing(100, 100)], [0.63, 0.66], score=0.3, to=to) == [{0: 1}, {0: 1}]


@pytest.mark.parametrize("rate", [5.0, 15.0, 30.0, 60.0])
def test_walking_faces_keep_their_ids_at_any_frame_rate(rate: float) -> None:
    history = follow([walking(50, 100, 200), walking(900, 260, -150), standing(400, 500)], clock(4, rate))
    assert [ids_of(history, who) for who in range(3)] == [{1}, {3}, {2}]


def test_a_face_faster_than_its_own_width_a_frame_is_followed() -> None:
    assert ids_of(follow([walking(0, 100, 700)], clock(2, rate=10)), 0) == {1}


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_third_of_the_detections_may_be_missed(seed: int) -> None:
    noise = np.random.default_rng(seed)

    def missed(path: Path) -> Path:
        return lambda time: None if noise.random() < 0.33 else path(time)

    history = follow([missed(walking(50, 100, 120)), missed(walking(600, 300, -100))], clock(4))
    assert len(ids_of(history, 0)) == 1
    assert len(ids_of(history, 1)) == 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.005, 0.25), min_size=20, max_size=60))
def test_frames_may_come_at_any_intervals(intervals: list[float]) -> None:
    times = np.cumsum(intervals).tolist()
    history = follow([walking(50, 100, 120), walking(1000, 300, -120)], times)
    assert ids_of(history, 0) == {1}
    assert ids_of(history, 1) == {2}


@pytest.mark.parametrize("speed", [60.0, 150.0, 300.0])
def test_faces_that_cross_keep_their_ids(speed: float) -> None:
    middle = 500 / speed
    front, behind = walking(0, 200, speed), walking(1000, 215, -speed)
    behind = hidden(behind, middle - 0.5 * SIZE / speed, middle + 0.5 * SIZE / speed)
    history = follow([front, behind], clock(2 * middle))
    assert [ids_of(history, who) for who in range(2)] == [{1}, {2}]


@pytest.mark.parametrize("gap", [0.5, 1.0])
@pytest.mark.parametrize("speed", [0.0, 90.0])
def test_a_face_comes_back_from_behind_another(gap: float, speed: float) -> None:
    history = follow([hidden(walking(300, 200, speed), 1.0, 1.0 + gap), standing(380, 190)], clock(3.5))
    assert [ids_of(history, who) for who in range(2)] == [{1}, {2}]


def test_a_face_that_left_for_longer_than_the_memory_is_a_new_one() -> None:
    history = follow([hidden(standing(300, 200), 1.0, 3.5)], clock(5))
    assert ids_of(history, 0) == {1, 2}


def test_the_memory_is_in_seconds_whatever_the_frame_rate() -> None:
    for rate in (5.0, 60.0):
        assert ids_of(follow([hidden(standing(300, 200), 1.0, 2.5)], clock(4, rate)), 0) == {1}


def test_a_new_face_far_from_a_lost_one_is_somebody_else() -> None:
    history = follow([hidden(standing(100, 100), 1, 99), hidden(standing(900, 500), 0, 1.2)], clock(2))
    assert ids_of(history, 1) == {2}


def test_a_small_face_does_not_continue_a_large_one() -> None:
    to = tracker()
    assert to.update(boxes_of([(300, 300)], size=200), np.array([0.9], np.float32), 0.0).tolist() == [1]
    assert to.update(boxes_of([(300, 300)], size=50), np.array([0.9], np.float32), 0.04).tolist() == [2]


def test_two_boxes_of_one_face_get_one_id() -> None:
    to = tracker()
    for frame in range(5):
        boxes = boxes_of([(304, 300), (300, 300), (700, 300)])
        tracks = to.update(boxes, np.array([0.85, 0.95, 0.9], np.float32), frame / 30)
        assert tracks.tolist() == [-1, 1, 2]


def test_boxes_without_sense_get_no_track_and_harm_no_other() -> None:
    boxes = boxes_of([(100, 100)] * 5)
    boxes[1, 0] = np.nan
    boxes[2, 2] = np.inf
    boxes[3, 2] = boxes[3, 0]
    boxes[4] = boxes[4, [2, 3, 0, 1]]
    assert tracker().update(boxes, np.full(5, 0.9, np.float32), 0.0).tolist() == [1, -1, -1, -1, -1]


def test_no_faces_are_an_answer() -> None:
    to = tracker()
    for frame in range(3):
        tracks = to.update(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), frame / 30)
        assert tracks.shape == (0,)
        assert tracks.dtype == np.int64


def test_fifty_faces_keep_their_ids() -> None:
    crowd = [walking(100.0 * (who % 10), 120.0 * (who // 10), 40 + who % 7) for who in range(50)]
    history = follow(crowd, clock(3))
    assert all(len(ids_of(history, who)) == 1 for who in range(50))
    assert len(set().union(*(ids_of(history, who) for who in range(50)))) == 50


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_boxes_does_not_matter(seed: int) -> None:
    noise = np.random.default_rng(seed)
    one, other = tracker(), tracker()
    centres = noise.uniform(0, 400, (8, 2))  # crowded, so that ties and duplicates happen
    for frame in range(12):
        centres += noise.normal(0, 12, centres.shape)
        boxes = boxes_of(map(tuple, np.round(centres / 10) * 10))
        scores = np.round(noise.uniform(0.2, 1.0, len(boxes)), 1).astype(np.float32)
        order = noise.permutation(len(boxes))
        straight = one.update(boxes, scores, frame / 25)
        mixed = other.update(boxes[order], scores[order], frame / 25)
        pairs = {(*box, score): [] for box, score in zip(boxes.tolist(), scores.tolist())}  # type: ignore[var-annotated]
        mixed_pairs = {key: [] for key in pairs}  # type: ignore[var-annotated]
        for box, score, track in zip(boxes.tolist(), scores.tolist(), straight.tolist()):
            pairs[(*box, score)].append(track)
        for place, track in zip(order, mixed.tolist()):
            mixed_pairs[(*boxes[place].tolist(), float(scores[place]))].append(track)
        assert {key: sorted(ids) for key, ids in pairs.items()} == {
            key: sorted(ids) for key, ids in mixed_pairs.items()
        }


def test_a_clock_that_stands_still_or_trembles_is_survived() -> None:
    for times in ([0.0] * 60, [0.0, 0.04, 0.03, 0.08, 0.07, 0.12]):
        assert ids_of(follow([walking(100, 100, 20)], times), 0) == {1}


def test_a_clock_that_jumps_back_starts_afresh_with_new_ids() -> None:
    history = follow([standing(100, 100)], [10.0, 10.04, 0.0, 0.04])
    assert [frame[0] for frame in history] == [1, 1, 2, 2]


def test_after_a_reset_ids_go_on() -> None:
    to = tracker()
    follow([standing(100, 100)], clock(0.2), to=to)
    to.reset()
    assert follow([standing(100, 100)], [0.2], to=to) == [{0: 2}]


def embedding(who: int, noise: float = 0.0) -> Floats:
    look = np.zeros((1, 8), np.float32)
    look[0, who] = 1.0
    return look + noise


def test_a_known_face_that_comes_back_elsewhere_gets_its_old_id() -> None:
    to, score = tracker(), np.array([0.9], np.float32)
    assert to.update(boxes_of([(100, 100)]), score, 0.0, embedding(0)).tolist() == [1]
    assert to.update(boxes_of([(900, 600)]), score, 20.0, embedding(1)).tolist() == [2]
    assert to.update(boxes_of([(900, 100)]), score, 30.0, embedding(0, 0.05)).tolist() == [1]


def test_a_known_face_that_jumps_is_one_face_not_two() -> None:
    to, score = tracker(), np.array([0.9], np.float32)
    to.update(boxes_of([(100, 100)]), score, 0.0, embedding(0))
    assert to.update(boxes_of([(900, 600)]), score, 0.04, embedding(0)).tolist() == [1]
    assert to.update(boxes_of([(100, 100)]), score, 0.08, embedding(1)).tolist() == [2]


def test_twins_in_one_frame_have_two_ids() -> None:
    to, scores = tracker(), np.array([0.9, 0.9], np.float32)
    twins = np.concatenate([embedding(0), embedding(0)])
    for frame in range(4):
        assert to.update(boxes_of([(100, 100), (500, 100)]), scores, frame / 25, twins).tolist() == [1, 2]


def test_embeddings_without_sense_are_no_ones() -> None:
    to, score = tracker(), np.array([0.9], np.float32)
    nothing = np.full((1, 8), np.nan, np.float32)
    assert to.update(boxes_of([(100, 100)]), score, 0.0, nothing).tolist() == [1]
    assert to.update(boxes_of([(900, 600)]), score, 0.04, nothing).tolist() == [2]


def mixed(who: int, share: float, other: int) -> Floats:
    """A look of that cosine similarity to ``who``'s, the rest of it ``other``'s."""
    return share * embedding(who) + float(np.sqrt(1 - share**2)) * embedding(other)


def seen(to: Tracker, looks: Floats, time: float, quality: float = 1.0, spots: Iterable[Spot] = ((100, 100),)) -> int:
    """The first face's id in a frame in which faces at ``spots`` were looked at."""
    boxes = boxes_of(spots)
    followed = to.follow(boxes, np.full(len(boxes), 0.9, np.float32), time)
    return int(to.identify(followed, looks, np.full(len(boxes), quality, np.float32))[0])


def test_a_face_that_left_for_longer_than_the_gallery_remembers_is_a_new_one() -> None:
    to = tracker(gallery=30)
    assert seen(to, embedding(0), 0.0) == 1
    assert seen(to, embedding(0), 29.0) == 1
    assert seen(to, embedding(0), 60.0) == 2


def test_a_known_face_has_its_id_after_a_reset_unless_that_took_too_long() -> None:
    to = tracker(gallery=30)
    seen(to, embedding(0), 0.0)
    to.reset(elapsed=20.0)
    assert seen(to, embedding(0), 0.0) == 1
    to.reset(elapsed=40.0)
    assert seen(to, embedding(0), 0.0) == 2


def test_faces_that_were_taken_for_each_other_get_their_ids_back() -> None:
    to, spots = tracker(), [(100, 100), (500, 100)]
    for frame in range(3):
        assert seen(to, np.concatenate([embedding(0), embedding(1)]), frame / 25, spots=spots) == 1
    assert seen(to, np.concatenate([embedding(1), embedding(0)]), 0.12, spots=spots) == 2


def test_a_returning_face_that_motion_took_for_another_has_its_id() -> None:
    to = tracker()
    seen(to, embedding(0), 0.0, spots=[(500, 500)])
    seen(to, embedding(1), 20.0)
    assert seen(to, embedding(0), 21.0) == 1


def test_one_odd_look_changes_nothing() -> None:
    to = tracker()
    looks = [embedding(0)] * 10 + [embedding(3)] + [embedding(0)] * 10
    assert {seen(to, look, frame / 25) for frame, look in enumerate(looks)} == {1}


def test_somebody_else_in_the_same_place_is_somebody_new_after_a_second() -> None:
    to = tracker()
    looks = [embedding(0)] * 25 + [embedding(3)] * 50
    ids = [seen(to, look, frame / 25) for frame, look in enumerate(looks)]
    assert ids == [1] * 50 + [2] * 25


def test_poor_pictures_prove_nothing() -> None:
    to = tracker()
    seen(to, embedding(0), 0.0)
    assert {seen(to, embedding(3), frame / 25, quality=0.02) for frame in range(1, 100)} == {1}


def test_a_first_look_that_shows_little_is_made_good_by_the_next_ones() -> None:
    to = tracker()
    seen(to, embedding(0), 0.0)
    assert seen(to, mixed(0, 0.3, 5), 20.0) == 2
    assert seen(to, mixed(0, 0.8, 5), 20.5) == 1


def test_a_track_of_which_much_was_seen_is_not_taken_for_another() -> None:
    to = tracker()
    seen(to, embedding(0), 0.0)
    for frame in range(100):
        assert seen(to, mixed(0, 0.3, 5), 20 + frame / 25) == 2
    assert seen(to, mixed(0, 0.6, 5), 25.0) == 2


def test_a_face_whose_look_is_awaited_has_no_id_yet() -> None:
    to, boxes, score = tracker(), boxes_of([(100, 100)]), np.array([0.9], np.float32)
    seen(to, embedding(0), 0.0)
    yes = np.array([True])
    assert to.identify(to.follow(boxes_of([(900, 100)]), score, 20.0), awaited=yes).tolist() == [-1]
    assert to.identify(to.follow(boxes_of([(900, 100)]), score, 20.1), embedding(0), awaited=~yes).tolist() == [1]
    assert to.identify(to.follow(boxes, score, 40.0), awaited=yes).tolist() == [-1]
    assert to.identify(to.follow(boxes, score, 40.1), awaited=~yes).tolist() == [2]


def test_what_is_not_settled_is_told() -> None:
    to, score = tracker(), np.array([0.9], np.float32)
    followed = to.follow(boxes_of([(100, 100)]), score, 0.0)
    assert to.unsettled(followed.keys).tolist() == [True]
    to.identify(followed, embedding(0))
    assert to.unsettled(followed.keys).tolist() == [False]
    assert to.unsettled(np.array([-1])).tolist() == [False]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_people_who_come_and_go_keep_their_ids_whatever_is_looked_at_and_however_late(seed: int) -> None:
    """Three of five people sit far apart; a tenth of the faces is looked at, and identified frames later."""
    noise = np.random.default_rng(seed)
    to, between, seats, owners = tracker(), [], dict[int, int](), dict[int, set[int]]()
    for frame in range(300):
        if frame % 60 == 0:  # everybody leaves for longer than motion remembers, and others come
            seats = dict(zip(noise.permutation(5)[:3].tolist(), [(100, 100), (500, 100), (900, 100)]))
        people = list(seats)
        boxes = boxes_of(seats.values()) + noise.normal(0, 1, (3, 4)).astype(np.float32)
        followed = to.follow(boxes, np.full(3, 0.9, np.float32), frame / 25 + 5 * (frame // 60))
        rows = np.concatenate([embedding(who) for who in people]) + noise.normal(0, 0.05, (3, 8)).astype(np.float32)
        rows[(noise.random(3) > 0.1) & (frame % 60 > 0)] = np.nan
        between.append((people, followed, rows))
        if len(between) > noise.integers(3):
            people, followed, rows = between.pop(0)
            for who, track in zip(people, to.identify(followed, rows).tolist()):
                owners.setdefault(track, set()).add(who)
    assert sorted(owners) == list(range(1, len(owners) + 1))
    assert all(len(people) == 1 for people in owners.values())
    assert len(owners) <= 5
