from __future__ import annotations

from pathlib import Path

from facestream.jobs.sort.job import Report
from facestream.jobs.sort.looking import Left
from facestream.jobs.sort.plan import Picture, Placed
from facestream.jobs.sort.record import Entry, Record
from facestream.jobs.sort.report import summary
from tests.jobs.sort.build import settings

FOLDER = Path("/faces")


def placed(*sizes: int) -> list[Placed]:
    return [Placed(f"_face_{number:03d}", ["x"] * size) for number, size in enumerate(sizes)]


def test_groups_are_told_by_their_size() -> None:
    lines = summary(Report(FOLDER, placed(9, 8, 7, 6, 5, 4, 3, 2, 1, 1)), settings("yaw", "face"))
    assert lines == [
        "46 faces sorted in /faces by face by yaw",
        "10 groups of 9, 8, 7, 6, 5, 4, 3, 2, … faces; 2 of them of a single face",
    ]


def test_copies_and_the_page_are_told() -> None:
    lines = summary(Report(FOLDER, placed(1)), settings("blur"), copies=True, sheet=FOLDER / "sheet.html")
    assert lines[0] == "1 face copied to /faces by blur"
    assert lines[-1] == "look at them in /faces/sheet.html"


def test_what_stayed_and_what_vanished_is_told_with_its_reason() -> None:
    left = [Left(Picture(FOLDER / f"{number}.png"), "has no header") for number in range(7)]
    left.append(Left(Picture(FOLDER / "x.png"), "is damaged"))
    lines = summary(Report(FOLDER, placed(1), left=left, gone=["a.png"]), settings("blur"))
    assert lines[2:] == [
        "7 left where they were, each has no header: 0.png, 1.png, 2.png, 3.png, 4.png and 2 more",
        "left where it was, it is damaged: x.png",
        "1 face vanished meanwhile: a.png",
    ]


def test_links_are_told() -> None:
    lines = summary(Report(FOLDER, placed(1), links=["a.png", "b.png"]), settings("blur"))
    assert lines[2:] == ["2 links left alone, only files are sorted: a.png, b.png"]


def test_nothing_to_sort_is_told() -> None:
    assert summary(Report(FOLDER), settings("blur")) == ["no face to sort in /faces"]


def test_where_the_faces_are_is_told_if_not_here() -> None:
    folders = [FOLDER / "holiday", FOLDER / "photos"]
    assert summary(Report(FOLDER), settings("blur"), folders=folders[:1]) == [
        "no face to sort in /faces itself; give the folder in it: /faces/holiday"
    ]
    assert summary(Report(FOLDER), settings("blur"), folders=folders)[0].endswith("--batch-mode to sort each of them")


def test_a_finished_run_and_an_undone_one_are_told() -> None:
    record = Record(FOLDER, (Entry("a", "0_a", "a"),), "undo", done=True)
    assert summary(Report(FOLDER, record=record), settings("blur"), undone=True) == ["1 face back at its place"]
    assert summary(Report(FOLDER, finished=3), settings("blur")) == [
        "3 faces of an interrupted run are at their places now"
    ]
