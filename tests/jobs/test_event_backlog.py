from __future__ import annotations

from dataclasses import replace

from facestream.jobs.event_backlog import MOST_PICTURES, MOST_VISITS, Backlog
from facestream.stream.events import Event, Kind


def visit(id_: int, name: str | None = None, jpeg: bytes | None = None) -> Event:
    return Event(id_, Kind.ARRIVED, "door", 7, name, 1.0, 1.0, 1.0, picture=jpeg is not None, jpeg=jpeg)


def test_several_events_of_a_visit_are_written_once() -> None:
    backlog = Backlog()
    backlog.put(visit(1, jpeg=b"first"))
    backlog.put(visit(1, "Ada", jpeg=b"best"))
    batch = backlog.take()
    assert [event.name for event in batch.visits.values()] == ["Ada"]
    assert batch.pictures == {1: b"best"}
    assert not backlog


def test_of_too_many_pictures_the_oldest_give_way_before_any_visit() -> None:
    backlog = Backlog()
    for id_ in range(MOST_PICTURES + 5):
        backlog.put(visit(id_, jpeg=b"jpeg"))
    assert (backlog.lost_pictures, backlog.lost_events) == (5, 0)
    assert len(backlog) == MOST_PICTURES + 5
    assert min(backlog.take().pictures) == 5


def test_of_too_many_visits_the_oldest_give_way() -> None:
    backlog = Backlog()
    for id_ in range(MOST_VISITS + 5):
        backlog.put(visit(id_))
    assert backlog.lost_events == 5
    assert min(backlog.take().visits) == 5


def test_what_could_not_be_written_comes_back_unless_there_is_something_newer() -> None:
    backlog = Backlog()
    backlog.put(visit(1, jpeg=b"old"))
    backlog.put(visit(2))
    batch = backlog.take()
    backlog.put(visit(1, "Ada", jpeg=b"new"))
    backlog.seen([visit(2)])
    backlog.restore(batch)
    again = backlog.take()
    assert {id_: event.name for id_, event in again.visits.items()} == {1: "Ada", 2: None}
    assert again.pictures == {1: b"new"}
    assert list(again.seen) == [2]


def test_a_name_that_is_forgotten_is_forgotten_in_what_waits() -> None:
    backlog = Backlog(str.casefold)
    backlog.put(visit(1, "Ada"))
    backlog.put(visit(2, "Bob"))
    backlog.rename("ADA", None)
    batch = backlog.take()
    assert [event.name for event in batch.visits.values()] == [None, "Bob"]
    assert batch.renamed == [("ADA", None)]


def test_a_name_that_is_forgotten_while_writing_fails_is_forgotten_in_what_comes_back() -> None:
    backlog = Backlog()
    backlog.put(visit(1, "Ada"))
    batch = backlog.take()
    backlog.rename("Ada", None)
    backlog.restore(batch)
    again = backlog.take()
    assert again.visits[1].name is None
    assert again.renamed == [("Ada", None)]


def test_a_visit_that_is_removed_is_not_written() -> None:
    backlog = Backlog()
    backlog.put(visit(1, jpeg=b"jpeg"))
    backlog.put_picture(1, b"better")
    assert backlog.waiting(1) == b"better"
    backlog.forget(1)
    backlog.forget(1)
    assert not backlog


def test_what_waits_holds_no_picture_twice() -> None:
    backlog = Backlog()
    backlog.put(replace(visit(1), jpeg=b"jpeg"))
    assert backlog.take().visits[1].jpeg is None
