from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import OutputError
from facestream.jobs.sort.moves import TEMPORARY, carry_out
from facestream.jobs.sort.record import Entry, Record
from tests.jobs.alignments.build import full_disk


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(name)


def record(folder: Path, *moves: tuple[str, str], copies: bool = False, folders: tuple[str, ...] = ()) -> Record:
    entries = tuple(Entry(source, source, target) for source, target in moves)
    return Record(folder, entries, "face", copies, folders=folders)


def listing(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder is a file system of its own."""
    rename = os.rename

    def across(source: Any, target: Any) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", across)


def test_moves_are_made_and_empty_folders_go(tmp_path: Path) -> None:
    files(tmp_path, "old/a", "b", "kept/x")
    moved = carry_out(record(tmp_path, ("old/a", "new/a"), ("b", "new/b"), folders=("old", "kept", "never")))
    assert listing(tmp_path) == {"new/a": "old/a", "new/b": "b", "kept/x": "kept/x"}
    assert (moved.arrived, moved.gone, moved.complete) == (2, [], True)
    assert not (tmp_path / "old").exists()


def test_made_again_moves_change_nothing(tmp_path: Path) -> None:
    files(tmp_path, "a", "b")
    plan = record(tmp_path, ("a", "g/a"), ("b", "b"))
    carry_out(plan)
    before = listing(tmp_path)
    assert carry_out(plan).arrived == 2
    assert listing(tmp_path) == before


def test_stopped_moves_go_on_later(tmp_path: Path) -> None:
    files(tmp_path, "a", "b", "c")
    plan = record(tmp_path, *((name, f"g/{name}") for name in "abc"))
    done: list[int] = []
    moved = carry_out(plan, stopped=lambda: len(done) == 2, advanced=lambda number, total: done.append(number))
    assert not moved.complete
    assert sorted(listing(tmp_path)) == ["c", "g/a", "g/b"]
    assert carry_out(plan).complete
    assert sorted(listing(tmp_path)) == ["g/a", "g/b", "g/c"]


def test_copies_leave_the_originals(tmp_path: Path) -> None:
    files(tmp_path, "a")
    os.utime(tmp_path / "a", (1e9, 1e9))
    carry_out(record(tmp_path, ("a", "g/a"), copies=True))
    assert listing(tmp_path) == {"a": "a", "g/a": "a"}
    assert (tmp_path / "g/a").stat().st_mtime == 1e9


def test_another_file_is_never_overwritten(tmp_path: Path) -> None:
    files(tmp_path, "a", "g/a", "z")
    with pytest.raises(OutputError, match=r"g/a is in the way of .*/a; move it away, then run the same command again"):
        carry_out(record(tmp_path, ("a", "g/a"), ("z", "g/z")))
    assert listing(tmp_path) == {"a": "a", "g/a": "g/a", "z": "z"}


def test_what_has_vanished_is_told(tmp_path: Path) -> None:
    files(tmp_path, "b")
    moved = carry_out(record(tmp_path, ("a", "g/a"), ("b", "g/b")))
    assert (moved.arrived, moved.gone) == (1, ["a"])
    assert listing(tmp_path) == {"g/b": "b"}


@pytest.mark.usefixtures("elsewhere")
def test_across_file_systems_a_move_is_a_copy_that_lets_go(tmp_path: Path) -> None:
    files(tmp_path, "a", "b")
    assert carry_out(record(tmp_path, ("a", "g/a"), ("b", "g/b"))).arrived == 2
    assert listing(tmp_path) == {"g/a": "a", "g/b": "b"}


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system here")
def test_to_a_real_other_file_system(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        other = Path(name)
        files(other, "a")
        carry_out(record(tmp_path, (str(other / "a"), "g/a")))
        assert listing(tmp_path) == {"g/a": "a"}
        assert listing(other) == {}


@pytest.mark.usefixtures("elsewhere")
def test_killed_between_copy_and_letting_go_the_source_goes_with_the_next_run(tmp_path: Path) -> None:
    files(tmp_path, "a")
    (tmp_path / "g").mkdir()
    (tmp_path / "g/a").write_text("a")
    (tmp_path / "g" / TEMPORARY).write_text("half")
    carry_out(record(tmp_path, ("a", "g/a")))
    assert listing(tmp_path) == {"g/a": "a"}


@pytest.mark.usefixtures("elsewhere")
def test_on_a_full_disk_every_face_stays_where_it_was(tmp_path: Path) -> None:
    files(tmp_path, "a")
    (tmp_path / "a").write_bytes(bytes(5000))
    with full_disk(1000), pytest.raises(OutputError, match=r"a can't be moved to .*g/a: .*; mend that, then run"):
        carry_out(record(tmp_path, ("a", "g/a")))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == ["a"]
    carry_out(record(tmp_path, ("a", "g/a")))
    assert (tmp_path / "g/a").stat().st_size == 5000


def test_a_refused_rename_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path, "a")

    def refused(source: Any, target: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(OutputError, match=r"a can't be moved to .*: Permission denied"):
        carry_out(record(tmp_path, ("a", "g/a")))
    assert listing(tmp_path) == {"a": "a"}


MOVER = (
    "import sys; from pathlib import Path; from facestream.jobs.sort.moves import carry_out; "
    "from facestream.jobs.sort.record import read_record; carry_out(read_record(Path(sys.argv[1])))"
)


@pytest.mark.parametrize("across", [False, True])
def test_killed_at_any_moment_each_file_is_whole_and_in_one_place(tmp_path: Path, across: bool) -> None:
    """Across file systems a file may be in both, whole, until the next run."""
    rounds, count = (30, 2000) if os.environ.get("FACESTREAM_FULL") == "1" else (2, 100)
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir="/dev/shm" if across and Path("/dev/shm").is_dir() else tmp_path) as name:
            source, folder = Path(name), tmp_path / f"{number}"
            files(source, *(f"{index}" for index in range(count)))
            folder.mkdir()
            plan = record(folder, *((str(source / f"{index}"), f"g/0_{index}") for index in range(count))).save()
            process = subprocess.Popen([sys.executable, "-c", MOVER, str(folder)])
            while process.poll() is None and len(os.listdir(source)) > count - 1 - number * 7:
                pass
            process.kill()
            process.wait()
            here = {path.name: path.read_text() for path in source.iterdir()}
            there = {path.name: path.read_text() for path in (folder / "g").iterdir() if path.name != TEMPORARY}
            assert all(name == text for name, text in here.items())
            assert all(name == f"0_{text}" for name, text in there.items())
            assert len(here) + len(there) - count in ((0, 1) if across else (0,))
            assert carry_out(plan).arrived == count
            assert sorted(os.listdir(folder / "g")) == sorted(f"0_{index}" for index in range(count))
            assert os.listdir(source) == []
