from __future__ import annotations

from pathlib import Path

import pytest

from facestream.errors import AlignmentsError
from facestream.jobs.alignments.changes import Move, Plan, SetHeader, carry_out, check_moves, move_all
from tests.jobs.alignments.build import NOW


def files(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.write_text(path.name)
    return paths


def test_names_can_be_swapped_and_passed_on(tmp_path: Path) -> None:
    a, b, c, d = files(tmp_path, "a.png", "b.png", "c.png", "d.png")
    move_all([Move(a, b), Move(b, a), Move(c, d), Move(d, tmp_path / "e.png")])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.png": "b.png",
        "b.png": "a.png",
        "d.png": "c.png",
        "e.png": "d.png",
    }


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    a, b, c = files(tmp_path, "a.png", "b.png", "c.png")
    with pytest.raises(AlignmentsError, match=r"b\.png is in the way of a\.png"):
        check_moves([Move(a, b)])
    with pytest.raises(AlignmentsError, match=r"a\.png and b\.png are both to become .*d\.png"):
        check_moves([Move(a, tmp_path / "d.png"), Move(b, tmp_path / "d.png")])
    check_moves([Move(a, b), Move(b, c), Move(c, a)])


def test_a_name_that_is_taken_stops_the_job_before_it_begins(tmp_path: Path) -> None:
    a, b = files(tmp_path, "a.png", "b.png")
    with pytest.raises(AlignmentsError, match="in the way"):
        carry_out(Plan(headers=[SetHeader(a, {"face_index": 1})], moves=[Move(a, b)]), NOW)
    assert a.read_text() == "a.png"


def test_what_cant_be_renamed_is_named(tmp_path: Path) -> None:
    (tmp_path / "_duplicates").write_text("a file where a folder should be")
    (a,) = files(tmp_path, "a.png")
    with pytest.raises(AlignmentsError, match=r"_duplicates can't be renamed: .*run the same job again"):
        move_all([Move(a, tmp_path / "_duplicates" / "a.png")])
    assert a.exists()


def test_a_header_that_is_gone_is_named(tmp_path: Path) -> None:
    (a,) = files(tmp_path, "a.png")
    with pytest.raises(AlignmentsError, match=r"a\.png.*run the same job again"):
        carry_out(Plan(headers=[SetHeader(a, {"face_index": 1})]), NOW)


def test_a_plan_says_what_it_does(tmp_path: Path) -> None:
    a = tmp_path / "a.png"
    plan = Plan(
        headers=[SetHeader(a, {"face_index": 1})],
        moves=[Move(a, tmp_path / "b.png"), Move(tmp_path / "c.png", tmp_path / "_duplicates" / "c.png")],
    )
    assert plan.lines(NOW) == [
        "set in the header of a.png: face_index 1",
        "rename a.png to b.png",
        "rename c.png to _duplicates/c.png",
    ]
    assert not plan.empty
    assert Plan(notes=["x"]).empty
