from __future__ import annotations

from pathlib import Path

import pytest

from facestream.jobs.sort.methods import METHODS
from facestream.jobs.sort.order import Group
from facestream.jobs.sort.plan import Picture, group_folder, places, record_of, undoing
from facestream.jobs.sort.record import Entry, Record, former_places

NONE, FACE, YAW = (METHODS[name] for name in ("none", "face", "yaw"))
FOLDER = Path("/faces")


def pictures(*names: str) -> list[Picture]:
    return [Picture(FOLDER / name) for name in names]


def planned(
    which: list[Picture], groups: list[Group], sort: str = "yaw", group: str = "none", there: set[str] = frozenset()
) -> dict[str, str]:  # type: ignore[assignment]
    """Name → new name."""
    taken = {each.path for each in which} | {FOLDER / name for name in there}
    _, targets = places(which, groups, METHODS[sort], METHODS[group], FOLDER, taken.__contains__)
    return {
        str(which[index].path.relative_to(FOLDER)): str(path.relative_to(FOLDER)) for index, path in targets.items()
    }


def test_sorted_faces_are_numbered() -> None:
    assert planned(pictures("a.png", "b.png"), [Group(None, [1, 0])]) == {
        "b.png": "000000_b.png",
        "a.png": "000001_a.png",
    }


def test_groups_are_folders_each_numbered_from_the_start() -> None:
    assert planned(pictures("a.png", "b.png", "c.png"), [Group(0, [2, 0]), Group(1, [1])], group="face") == {
        "c.png": "_face_000_by_yaw/000000_c.png",
        "a.png": "_face_000_by_yaw/000001_a.png",
        "b.png": "_face_001_by_yaw/000000_b.png",
    }


def test_unsorted_groups_keep_the_names() -> None:
    assert planned(pictures("a.png"), [Group(12, [0])], sort="none", group="face") == {"a.png": "_face_012/a.png"}


@pytest.mark.parametrize(
    ("sort", "group", "name"),
    [(FACE, FACE, "_face_007"), (NONE, FACE, "_face_007"), (YAW, FACE, "_face_007_by_yaw")],
)
def test_a_folder_says_how_it_is_sorted(sort: object, group: object, name: str) -> None:
    assert group_folder(sort, group, 7) == name  # type: ignore[arg-type]


def test_a_number_of_ours_makes_way_for_the_new_one() -> None:
    again = [Picture(FOLDER / "000004_a.png", FOLDER / "a.png"), Picture(FOLDER / "000001_b.png", name="b.png")]
    assert planned(again, [Group(None, [0, 1])]) == {"000004_a.png": "000000_a.png", "000001_b.png": "000001_b.png"}


def test_a_number_that_nobody_knows_is_part_of_the_name() -> None:
    assert planned(pictures("000004_a.png"), [Group(None, [0])]) == {"000004_a.png": "000000_000004_a.png"}


def test_a_taken_name_is_varied() -> None:
    both = [Picture(FOLDER / "g" / "a.png"), Picture(FOLDER / "h" / "a.png")]
    found = planned(both, [Group(0, [0, 1])], sort="none", group="face", there={"_face_000/a.png"})
    assert list(found.values()) == ["_face_000/a-2.png", "_face_000/a-3.png"]


def test_no_target_is_anothers_place_so_that_no_move_waits_for_another() -> None:
    swapped = [
        Picture(FOLDER / "000001_a.png", FOLDER / "a.png"),
        Picture(FOLDER / "000000_a.png", FOLDER / "x" / "a.png"),
    ]
    assert planned(swapped, [Group(None, [0, 1])]) == {
        "000001_a.png": "000000_a-2.png",
        "000000_a.png": "000001_a-2.png",
    }


def test_names_differ_in_more_than_capitals() -> None:
    found = planned(pictures("A.png", "a.png"), [Group(0, [0, 1])], sort="none", group="face")
    assert list(found.values()) == ["_face_000/A.png", "_face_000/a-2.png"]


def test_a_name_that_grows_too_long_is_shortened_and_kept_in_the_record() -> None:
    name = "ä" * 124 + ".png"
    which = pictures(name)
    _, targets = places(which, [Group(None, [0])], YAW, NONE, FOLDER, lambda path: False)
    assert len(targets[0].name.encode()) <= 240
    assert targets[0].suffix == ".png"
    (entry,) = record_of(which, targets, FOLDER, how="yaw", copies=False, folders=()).entries
    assert entry.was == entry.source == name


def test_a_record_is_relative_within_its_folder_and_absolute_beyond(tmp_path: Path) -> None:
    which = [Picture(tmp_path / "in" / "a.png")]
    record = record_of(which, {0: tmp_path / "out" / "0.png"}, tmp_path / "out", how="", copies=False, folders=())
    assert record.entries == (Entry(str(tmp_path / "in" / "a.png"), str(tmp_path / "in" / "a.png"), "0.png"),)


def test_faces_are_known_again_where_somebody_moved_them() -> None:
    record = Record(FOLDER, (Entry("a", "x", "g/0_a"), Entry("b", "y", "g/0_b"), Entry("c", "z", "h/0_c")), "face")
    assert former_places(record, ["g/0_a", "h/0_b", "new"]) == {"g/0_a": "a", "h/0_b": "b"}


def test_of_two_equal_names_neither_is_guessed() -> None:
    record = Record(FOLDER, (Entry("a", "x", "g/0"), Entry("b", "y", "h/0")), "face")
    assert former_places(record, ["i/0"]) == {}


def test_undoing_brings_all_back_that_are_still_there() -> None:
    record = Record(FOLDER, (), "face", folders=("_face_000",))
    which = [
        Picture(FOLDER / "_face_000/000000_a.png", FOLDER / "a.png"),
        Picture(FOLDER / "_face_000/000001_b.png", FOLDER / "b.png"),
        Picture(FOLDER / "unknown.png"),
    ]
    back = undoing(record, which, {FOLDER / "b.png"}.__contains__)
    assert [(entry.source, entry.target) for entry in back.entries] == [
        ("_face_000/000000_a.png", "a.png"),
        ("_face_000/000001_b.png", "b-2.png"),
    ]
    assert back.folders == ("_face_000",)
