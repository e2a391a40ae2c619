"""Visits out of results. Frames come five a second; times told are Unix seconds, the clock beside them is another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from facestream.stream.events import Event, Ids, Kind, Portrait, Visits
from facestream.stream.types import Frame, FrameFaces, Recognised

UNIX = 1_700_000_000.0
ARRIVED, NAMED, LEFT = Kind.ARRIVED, Kind.NAMED, Kind.LEFT


def result(
    *tracks: int, names: Sequence[str | None] | None = None, source: str = "door", at: float = 0.0, score: float = 0.9
) -> FrameFaces:
    return FrameFaces(
        frame=Frame(source, 0, 0, at, UNIX + at, np.zeros((8, 8, 3), np.uint8)),
        boxes=np.zeros((len(tracks), 4), np.float32),
        scores=np.full(len(tracks), score, np.float32),
        tracks=np.array(tracks, np.int64),
        people=None if names is None else tuple(name and Recognised(name, 0.7) for name in names),
    )


@dataclass
class Room:
    """Feeds visits with what a camera would see, at the time it would."""

    visits: Visits = field(default_factory=lambda: Visits(Ids(), left_after=10.0, key=str.casefold))
    now: float = 0.0

    def shows(self, *tracks: int, seconds: float = 1.0, **rest: object) -> list[tuple[Kind, int, str | None]]:
        """What is told while the camera shows these tracks for so long."""
        return [(event.kind, event.track, event.name) for event in self.events(*tracks, seconds=seconds, **rest)]

    def events(self, *tracks: int, seconds: float = 1.0, **rest: object) -> list[Event]:
        told: list[Event] = []
        for _ in range(round(seconds * 5)):
            told += self.visits.tick(self.now)
            told += self.visits.see(result(*tracks, at=self.now, **rest), self.now)  # type: ignore[arg-type]
            self.now = round(self.now + 0.2, 6)
        return told

    def waits(self, seconds: float) -> list[Event]:
        self.now += seconds
        return self.visits.tick(self.now)


def test_who_is_seen_for_a_moment_has_arrived() -> None:
    (arrived,) = Room().events(7, seconds=5)
    assert (arrived.kind, arrived.source, arrived.track, arrived.name) == (ARRIVED, "door", 7, None)
    assert arrived.at == arrived.started_at == UNIX
    assert arrived.ended_at is None


def test_a_single_sight_tells_nothing() -> None:
    room = Room()
    assert room.shows(7, seconds=0.4) == []
    assert room.waits(60) == []
    assert room.visits.deadline() is None


def test_sights_that_the_detector_doubts_do_not_count() -> None:
    assert Room().shows(7, seconds=5, score=0.3) == []


def test_faces_that_have_no_track_yet_are_nobody() -> None:
    assert Room().shows(-1, seconds=5) == []
    untracked = result(7)
    untracked.tracks = None
    assert Visits(Ids()).see(untracked, 0.0) == []


def test_who_is_not_seen_for_a_while_has_left_at_the_last_sight() -> None:
    room = Room()
    room.shows(7, seconds=2)
    assert room.waits(9) == []
    (left,) = room.waits(1)
    assert left.kind is LEFT
    assert left.at == left.ended_at == left.seen_at == UNIX + 1.8
    assert left.started_at == UNIX
    assert len(room.visits) == 0


def test_a_short_absence_is_part_of_the_visit() -> None:
    room = Room()
    assert room.shows(7) == [(ARRIVED, 7, None)]
    assert room.waits(8) == []
    assert room.shows(7) == []


def test_a_track_that_comes_back_after_it_left_begins_another_visit() -> None:
    room = Room()
    first = room.events(7)[0]
    room.waits(20)
    second = room.events(7)[0]
    assert second.kind is ARRIVED
    assert second.id > first.id


def test_a_track_that_comes_back_before_anybody_looked_at_the_clock_has_left_all_the_same() -> None:
    room = Room()
    room.shows(7)
    room.now += 20
    assert [event.kind for event in room.visits.see(result(7, at=room.now), room.now)] == [LEFT]
    assert room.shows(7) == [(ARRIVED, 7, None)]


def test_who_is_recognised_is_named() -> None:
    room = Room()
    assert room.shows(7, names=[None]) == [(ARRIVED, 7, None)]
    assert room.shows(7, names=["Ada"], seconds=3) == [(NAMED, 7, "Ada")]
    assert [event.name for event in room.waits(20)] == ["Ada"]


def test_who_is_known_at_once_has_arrived_and_is_named() -> None:
    assert Room().shows(7, names=["Ada"]) == [(ARRIVED, 7, "Ada"), (NAMED, 7, "Ada")]


def test_another_name_is_told_at_once_and_none_after_a_moment() -> None:
    room = Room()
    room.shows(7, names=["Ada"])
    assert room.shows(7, names=["Bob"], seconds=0.2) == [(NAMED, 7, "Bob")]
    assert room.shows(7, names=[None], seconds=1) == []
    assert room.shows(7, names=["Bob"]) == []
    assert room.shows(7, names=[None], seconds=3) == [(NAMED, 7, None)]


def test_results_in_which_nobody_is_looked_for_take_no_name_away() -> None:
    room = Room()
    room.shows(7, names=["Ada"])
    assert room.shows(7, seconds=5) == []


def test_each_source_has_its_own_visits() -> None:
    room = Room()
    assert room.shows(7, source="door") == [(ARRIVED, 7, None)]
    assert room.shows(7, source="yard") == [(ARRIVED, 7, None)]
    assert [event.source for event in room.visits.leave("yard")] == ["yard"]
    assert [event.source for event in room.visits.leave()] == ["door"]


def test_visits_are_numbered_in_order_whatever_the_clock_says() -> None:
    ids = Ids()
    first = ids.next(UNIX)
    assert first == int(UNIX * 1e6)
    assert ids.next(UNIX - 3600) == first + 1
    ids.above(first + 1000)
    assert ids.next(UNIX) == first + 1001
    assert first < 2**53, "JavaScript holds it exactly"


def test_somebody_who_is_renamed_is_so_in_open_visits_and_in_results_on_their_way() -> None:
    room = Room()
    room.shows(7, names=["Ada"])
    (renamed,) = room.visits.rename("ada", "Grace", room.now)
    assert (renamed.kind, renamed.name) == (NAMED, "Grace")
    assert room.shows(7, names=["Ada"]) == []
    assert room.shows(7, names=["Grace"]) == []


def test_somebody_who_is_forgotten_is_not_named_by_results_on_their_way() -> None:
    room = Room()
    room.shows(7, names=["Ada"])
    assert [event.name for event in room.visits.rename("Ada", None, room.now)] == [None]
    assert room.shows(7, names=["Ada"], seconds=3) == []
    assert room.shows(7, names=["Ada"], seconds=20) == [(NAMED, 7, "Ada")], "named again, by hand"


def test_somebody_who_is_named_again_is_believed_at_once() -> None:
    room = Room()
    room.shows(7, names=["Ada"])
    room.visits.rename("Ada", None, room.now)
    room.visits.known("ADA")
    assert room.shows(7, names=["Ada"], seconds=0.2) == [(NAMED, 7, "Ada")]


def test_pictures_are_asked_for_now_and_then_and_the_best_is_kept() -> None:
    room = Room()
    (arrived,) = room.events(7)
    (look,) = room.visits.looks(result(7), room.now)
    assert (look.source, look.track, look.row) == ("door", 7, 0)
    assert look.best < 0, "any picture is better than none"
    assert room.visits.looks(result(7), room.now + 0.1) == []
    told = room.visits.keep("door", 7, Portrait(0.5, b"good"))
    assert told is not None
    assert told.id == arrived.id
    assert told.picture
    assert room.visits.keep("door", 7, Portrait(0.4, b"worse")) is None
    assert room.visits.keep("door", 7, Portrait(0.6, b"better")) is None, "it was told that there is one"
    assert room.visits.portrait(arrived.id) == b"better"
    (look,) = room.visits.looks(result(7), room.now + 1)
    assert look.best > 0.6
    (left,) = room.waits(20)
    assert left.picture
    assert left.jpeg == b"better"
    assert room.visits.portrait(arrived.id) is None


def test_a_picture_from_before_it_was_sure_comes_with_the_arrival() -> None:
    room = Room()
    room.shows(7, seconds=0.2)
    assert room.visits.keep("door", 7, Portrait(0.5, b"jpeg")) is None
    (arrived,) = room.events(7)
    assert arrived.jpeg == b"jpeg"


def test_a_picture_that_comes_too_late_is_let_go() -> None:
    assert Visits(Ids()).keep("door", 7, Portrait(0.5, b"jpeg")) is None


def test_of_a_visit_that_was_removed_nothing_more_is_told() -> None:
    room = Room()
    (arrived,) = room.events(7)
    room.visits.forget(arrived.id)
    assert room.shows(7, names=["Ada"]) == []
    assert room.waits(20) == []
    assert room.shows(7) == [(ARRIVED, 7, None)]


def test_of_a_visit_that_was_removed_no_picture_is_made() -> None:
    room = Room()
    (arrived,) = room.events(1)
    room.visits.forget(arrived.id)
    assert room.visits.looks(result(1, at=room.now), room.now + 1) == []
    assert room.visits.keep("door", 1, Portrait(0.5, b"a picture that was on its way")) is None


def test_a_visit_has_a_clip_once_it_is_there() -> None:
    room = Room()
    (arrived,) = room.events(7)
    room.visits.filmed(arrived.id)
    room.visits.filmed(12345)
    assert [event.clip for event in room.visits.open()] == [True]
    assert [event.clip for event in room.waits(20)] == [True]


def test_a_clock_that_is_set_back_ends_no_visit_before_it_began() -> None:
    room = Room()
    room.shows(7)
    room.visits.see(result(7, at=-3600), room.now)
    (left,) = room.waits(20)
    assert left.started_at == left.ended_at == UNIX


def test_a_crowd_that_flickers_leaves_nothing_behind() -> None:
    room = Room()
    for track in range(0, 5000, 10):
        room.visits.see(result(*range(track, track + 10), at=room.now), room.now)
        room.now += 0.2
        room.visits.tick(room.now)
    assert len(room.visits._visits) <= 10 * 2.0 / 0.2 + 10
