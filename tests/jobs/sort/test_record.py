from __future__ import annotations

from pathlib import Path

import pytest

from facestream.errors import FileFormatError, OutputError
from facestream.jobs.sort.record import NAME, Entry, Record, read_record


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    names = ("a b.png", "ü.png", "\udcff.png")  # the last isn't UTF-8 on the disk
    record = Record(tmp_path, tuple(Entry(name, name, f"0_{name}") for name in names), "face", folders=("_face_000",))
    assert record.save() == read_record(tmp_path) == record
    assert read_record(tmp_path) != record.save(done=True)
    assert read_record(tmp_path).done  # type: ignore[union-attr]


def test_no_record_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    assert read_record(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"facestream_sort": 2}',
        b'{"facestream_sort": 1, "how": "", "copies": false, "done": false, "folders": [], "moves": [["a", "b"]]}',
        b'{"facestream_sort": 1, "how": "", "copies": false, "done": false, "folders": [3], "moves": []}',
        b'{"facestream_sort": 1, "how": "", "copies": false, "done": false, "folders": [], "moves": [["a", "b", ""]]}',
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"{NAME} isn't what facestream sort wrote .*; remove it"):
        read_record(tmp_path)


def test_a_folder_that_cant_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"can't write in .*/gone: No such file"):
        Record(tmp_path / "gone", (), "face").save()
